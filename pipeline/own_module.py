"""Importing what the user wrote, a network or a recipe, from the files that are there now."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from importlib.abc import MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import NoReturn

from pipeline.own_source import OwnSource


def imported(source: OwnSource) -> ModuleType:
    """The module of a source, imported under a name of its own: other versions in this process stay what they are."""
    above = sys.modules.setdefault(source.package, ModuleType(source.package))
    above.__path__ = [str(source.folder)]
    if not source.is_file:
        if not any(isinstance(finder, _OfPackages) for finder in sys.meta_path):
            sys.meta_path.insert(0, _OfPackages())
        return importlib.import_module(f"{source.package}.{source.module}")
    name = f"{source.package}.{source.kind}"  # whatever the original is called
    if name not in sys.modules:
        path = source.folder / source.module
        spec = spec_from_file_location(name, path, loader=_Source(name, str(path)))
        assert spec is not None and spec.loader is not None  # noqa: PT018
        sys.modules[name] = module = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


class _Source(SourceFileLoader):
    """Compiles a file as it is now: kept bytecode passes for current if size and second of a change are the same."""

    def path_stats(self, path: str) -> NoReturn:
        raise OSError("no bytecode")


class _OfPackages(MetaPathFinder):
    """Finds the modules of users' packages, which are imported below a name of this project."""

    def find_spec(
        self, fullname: str, path: Iterable[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is None or not fullname.startswith(("network_", "recipe_")):
            return None
        found = (FileFinder(folder, (_Source, [".py"])).find_spec(fullname, target) for folder in path)
        return next((spec for spec in found if spec is not None), None)
