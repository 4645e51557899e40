"""The four floors import downwards only: launch → jobs → pipeline → data_prep, and none of them imports a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UPWARDS = ("data_prep", "pipeline", "jobs", "launch", "tests")
FLOORS = UPWARDS[:-1]


def imported_modules(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of every import, also inside functions and through ``import_module`` with a plain string."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield node.lineno, module
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def imports_from_above(floor: str, source: str) -> list[tuple[int, str]]:
    """The imports that this floor may not have."""
    above = UPWARDS[UPWARDS.index(floor) + 1 :]
    return [(line, name) for line, name in imported_modules(source) if name.split(".")[0] in above]


@pytest.mark.parametrize("floor", FLOORS)
def test_floor_imports_only_from_below(floor: str) -> None:
    files = sorted((ROOT / floor).rglob("*.py"))
    assert files, f"no code was found under {floor}/"
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in files
        for line, name in imports_from_above(floor, file.read_text())
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "source",
    [
        "import pipeline",
        "import numpy, jobs.train",
        "from launch.recipes import quick",
        "def lazily():\n    from pipeline.config import RunConfig",
        "import importlib\nimportlib.import_module('jobs.train')",
        "if TYPE_CHECKING:\n    import tests.conftest",
    ],
)
def test_import_from_above_is_seen(source: str) -> None:
    assert imports_from_above("data_prep", source)
    assert not imports_from_above("tests", source)


def test_import_from_below_or_outside_is_allowed() -> None:
    source = (
        "import torch\nfrom data_prep.manifest import Manifest\nfrom pipeline import config\nimport jobsite"
    )
    assert imports_from_above("jobs", source) == []
