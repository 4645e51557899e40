"""Packages that only some measures need: the extra ``measures``."""

from __future__ import annotations

import importlib
from typing import Any

from data_prep.errors import MissingDependencyError

INSTALL = "pip install 'traitvae[measures]' installs it"


def optional_package(name: str) -> Any:
    """A module of an optional package, imported; ``MissingDependencyError`` if it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            raise
        raise MissingDependencyError(f"this measure needs {package}; {INSTALL}") from None
