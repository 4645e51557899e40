"""Packages that only some measures need: the extras ``measures`` and ``ffcv``."""

from __future__ import annotations

import importlib
from typing import Any

from data_prep.errors import MissingDependencyError


def optional_package(name: str, extra: str = "measures") -> Any:
    """A module of an optional package, imported; ``MissingDependencyError`` if it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            raise
        raise MissingDependencyError(
            f"this measure needs {package}; pip install 'traitvae[{extra}]' installs it"
        ) from None
