"""What may import what.

The four floors import downwards only: launch → jobs → pipeline → data_prep, and none of them imports a test. Within a
floor no modules import each other in a circle, not even inside functions or for annotations alone: of two files that need
each other, neither can be read, tested or moved without the other.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UPWARDS = ("data_prep", "pipeline", "jobs", "launch", "tests")
FLOORS = UPWARDS[:-1]


def imported_modules(source: str, known: Collection[str] = ()) -> Iterator[tuple[int, str]]:
    """Line and name of every import, also inside functions and through ``import_module`` with a plain string.

    ``from package import name`` is an import of ``package.name`` where that is among the known modules.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for alias in names:
                    submodule = f"{module}.{alias.name}"
                    yield node.lineno, submodule if submodule in known else module
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


def modules() -> dict[str, str]:
    """The source of every module of the four floors, by its dotted name."""
    found = {}
    for file in (file for floor in FLOORS for file in (ROOT / floor).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file.read_text()
    return found


def imports_among(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Module → those of the modules that it imports, wherever in its text."""
    graph: dict[str, set[str]] = {}
    for name, source in sources.items():
        graph[name] = {module for _, module in imported_modules(source, sources) if module in sources}
    return graph


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Modules of which each imports the next, and the last the first; empty if there is no cycle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1][::-1]
    return []


def test_there_are_no_circular_imports() -> None:
    graph = imports_among(modules())
    assert len(graph) > 100, "hardly any code was found"
    assert " → ".join(circle(graph)) == ""


def test_a_circle_is_seen_inside_functions_and_for_annotations() -> None:
    sources = {
        "pipeline.a": "def late():\n    from pipeline import b",
        "pipeline.b": "if TYPE_CHECKING:\n    from pipeline.c import C",
        "pipeline.c": "import pipeline.a",
        "pipeline": "",
    }
    found = circle(imports_among(sources))
    assert set(found) == {"pipeline.a", "pipeline.b", "pipeline.c"}
    assert found[0] == found[-1]
    assert circle(imports_among(sources | {"pipeline.c": "import torch"})) == []


def rooms(graph: Mapping[str, set[str]], floor: str) -> dict[str, set[str]]:
    """Folder of a floor → those of its other folders that its modules import from.

    Modules that lie on the floor itself bind rooms together and count as none; nor do ``settings.py``, a section of a run's
    configuration, which stand next to the code that reads them.
    """
    room_of = {
        module: path[1]
        for module in graph
        if len(path := module.split(".")) > 2 and path[0] == floor and path[-1] != "settings"
    }
    found: dict[str, set[str]] = {room: set() for room in room_of.values()}
    for module, room in room_of.items():
        found[room] |= {room_of[name] for name in graph[module] if name in room_of} - {room}
    return found


@pytest.mark.parametrize("floor", FLOORS)
def test_no_rooms_of_a_floor_import_from_each_other_in_a_circle(floor: str) -> None:
    assert " → ".join(circle(rooms(imports_among(modules()), floor))) == ""


def test_a_circle_of_rooms_is_seen() -> None:
    sources = {
        "pipeline.cells.folder": "from pipeline.measures.plan import planned",
        "pipeline.cells.record": "from pipeline.training.settings import TrainingConfig",
        "pipeline.measures.plan": "",
        "pipeline.measures.take": "from pipeline.cells.record import RunRecord\nimport pipeline.config",
        "pipeline.training.settings": "",
        "pipeline.config": "from pipeline.measures.plan import planned",
    }
    graph = imports_among(sources)
    assert circle(graph) == []
    assert rooms(graph, "pipeline") == {"cells": {"measures"}, "measures": {"cells"}}
    assert set(circle(rooms(graph, "pipeline"))) == {"cells", "measures"}


def test_parts_of_systems_do_not_depend_on_systems() -> None:
    graph = imports_among(modules())
    systems = {name for name in graph if name.startswith("pipeline.models.")} - {
        "pipeline.models.interface",
        "pipeline.models.capabilities",
    }
    parts = {name for name in systems if name.startswith("pipeline.models.parts")}
    wrong = {part: graph[part] & (systems - parts) for part in parts if graph[part] & (systems - parts)}
    assert wrong == {}
