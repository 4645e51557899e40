"""The source of a network or recipe of the user's own: found from its name, hashed, and copied into the folder of a sweep.

``FILE.py:NAME`` is one file that stands by itself, ``MODULE:NAME`` a module, or a package, that Python finds from the
current folder (``FOLDER/MODULE:NAME``: in that one). All Python files of a package count as the source. Nothing here
imports it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Literal

from data_prep.errors import ConfigError
from data_prep.files import atomic_folder

CODE = Path(__file__).resolve().parents[1]
"""The root of this code, from which programs import."""
FLOORS = ("data_prep", "pipeline", "jobs", "launch")
_COPY = re.compile(r"/code/(?:network|recipe)_([0-9a-f]{12})/[^/]+$")
Kind = Literal["network", "recipe"]


def is_own(choice: str) -> bool:
    """Whether it names something of the user's rather than something of this project."""
    place, _, name = choice.rpartition(":")
    return bool(place) and name.isidentifier()


def identity_of(choice: str) -> str:
    """The class and the hash of its source, without where it is; of a sweep's copy its name says it."""
    copy = _COPY.search(choice)
    digest = copy[1] if copy else OwnSource.read(choice).digest
    return f"{choice.rpartition(':')[2]} {digest}"


@dataclass(frozen=True, slots=True)
class OwnSource:
    """The files of a network or recipe, and the class or function in them."""

    folder: Path
    """Absolute; what files are relative to."""
    module: str
    """``file.py``, or a dotted name."""
    class_name: str
    """Of a recipe: the name of its function."""
    files: Mapping[str, bytes]
    kind: Kind = "network"

    @property
    def choice(self) -> str:
        """Its name with an absolute path, which finds it from any folder."""
        return f"{self.folder / self.module}:{self.class_name}"

    @property
    def is_file(self) -> bool:
        """Whether it is one file, found by its path."""
        return self.module.endswith(".py")

    @property
    def digest(self) -> str:
        """Twelve hex characters: a hash of the files, for one file independent of its name."""
        digest = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            label = "" if self.is_file else f"{self.module}\0{name}"
            digest.update(f"{label}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()[:12]

    @property
    def package(self) -> str:
        """The name of the folder of its copy, and of the package it is imported from, so that pickles can be opened."""
        return f"{self.kind}_{self.digest}"

    @property
    def copied_file(self) -> str:
        """The name of its copy, if it is one file."""
        return f"{self.kind}.py"

    @classmethod
    def read(cls, choice: str, kind: Kind = "network", *, may_import_itself: bool = False) -> OwnSource:
        """The source of a class or function; ``may_import_itself``: it is used as it is installed, not its copy.

        Raises:
            ConfigError: it is not found, is no Python, was changed after a sweep copied it, or imports what is next to it.
        """
        (place, _, name), copy = choice.rpartition(":"), _COPY.search(choice)
        try:
            folder, module, files = (
                _file(place) if place.endswith(".py") else _package(place, f"{kind} {choice}")
            )
            source = cls(folder, module, name, files, kind)
            if copy is None and not may_import_itself:
                _refuse_neighbours(source)
        except OSError as error:
            raise ConfigError(f"{kind} {choice}: {error.filename} cannot be read: {error.strerror}") from None
        except (SyntaxError, ValueError) as error:
            raise ConfigError(f"{kind} {choice} is not Python: {error}") from None
        if copy and copy[1] != source.digest:
            raise ConfigError(
                f"network {choice}: the sweep's copy of its source was changed; undo the change, or remove {source.folder}"
                " and run the command that started the sweep"
            )
        return source

    def copied_into(self, sweep: Path) -> str:
        """The name of its copy in a sweep's folder, next to the snapshots of the code; made unless it exists."""
        folder = sweep.absolute() / "code" / self.package
        if not folder.is_dir():
            with atomic_folder(folder) as partial:
                for name, content in self.files.items():
                    file = partial / (self.copied_file if self.is_file else name)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)
        return f"{folder / (self.copied_file if self.is_file else self.module)}:{self.class_name}"


def _file(place: str) -> tuple[Path, str, dict[str, bytes]]:
    path = Path(place).expanduser().absolute()
    return path.parent, path.name, {path.name: path.read_bytes()}


def _package(place: str, described: str) -> tuple[Path, str, dict[str, bytes]]:
    folder, module = os.path.split(os.path.expanduser(place))
    spec = _found(module.partition(".")[0], folder)
    if spec is None:
        where = f"in {folder}" if folder else f"in {Path.cwd()} or on Python's path"
        raise ConfigError(f"{described}: there is no module {module.partition('.')[0]} {where}")
    if spec.submodule_search_locations:
        package = Path(next(iter(spec.submodule_search_locations))).absolute()
        root, found = package.parent, sorted(package.rglob("*.py"))
    else:
        root, found = Path(spec.origin or "").absolute().parent, [Path(spec.origin or "").absolute()]
    files = {str(path.relative_to(root)): path.read_bytes() for path in found if path.suffix == ".py"}
    name = module.replace(".", "/")
    if not {f"{name}.py", f"{name}/__init__.py"} & set(files):
        raise ConfigError(f"{described}: {root} has no Python file of a module {module}")
    return root, module, files


def _found(top: str, folder: str) -> ModuleSpec | None:
    """Where Python finds a module or package of that name; its code is not run."""
    found = PathFinder.find_spec(top, [folder] if folder else [os.getcwd(), *sys.path])
    if found is not None or folder:
        return found
    try:
        return importlib.util.find_spec(top)  # installed in a way of its own, such as editable
    except (ImportError, ValueError):
        return None


def _refuse_neighbours(source: OwnSource) -> None:
    """ConfigError if it imports what a copy of it would not have, or would have under another name."""
    own = None if source.is_file else source.module.partition(".")[0]
    for name, content in source.files.items():
        for top, line in _imports(ast.parse(content, filename=name)):
            if top == own or _is_next_to(top, source.folder):
                raise ConfigError(
                    f"{source.kind} {source.choice}: {name}, line {line}, imports {top}, which its copy in a sweep would not"
                    " have: put what belongs together into one package, with relative imports (from . import ...)"
                )


def _imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The first part of the name, and the line, of every import that is not relative."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0], node.lineno


def _is_next_to(top: str, folder: Path) -> bool:
    """Whether a program started here would import it from the source's own folder or the current one."""
    if (
        top in sys.stdlib_module_names
        or top in (*FLOORS, "traitvae")
        or folder.name in ("site-packages", "dist-packages")
    ):
        return False
    spec = PathFinder.find_spec(top, [str(folder), os.getcwd(), str(CODE)])
    return spec is not None and spec.origin is not None
