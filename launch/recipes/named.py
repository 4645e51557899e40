"""Finding a recipe by what the user wrote: a name of ours, one that an installed package brings, or a function in a file."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from data_prep.errors import ConfigError, LaunchError
from launch.recipes.registry import RECIPES, Recipe
from pipeline.config import RunConfig
from pipeline.own_module import imported
from pipeline.own_source import OwnSource, is_own
from pipeline.raised import in_one_sentence
from pipeline.reports.paper_table import PaperTable
from pipeline.reports.registry import reports_of

ENTRY_POINTS = "traitvae.recipes"
"""Group of entry points by which an installed package brings recipes; a name of ours stays ours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundRecipe:
    """A recipe, wherever it comes from."""

    name: str
    """What finds it again from any folder: its name, or its file with an absolute path, and function."""
    sweep: str
    """Name of the sweep unless the user gives another one."""
    make: Callable[[], Any]
    source: OwnSource | None = None
    """Its code, which is copied into the sweep's folder; None for ours, which is in the snapshot of the code."""

    def runs(self) -> list[RunConfig]:
        """Its runs, at least one.

        Raises:
            LaunchError: the user's function fails, or does not return runs.
        """
        if self.source is None:
            ours: list[RunConfig] = self.make()
            return ours
        try:
            made = self.make()
            made = list(made) if isinstance(made, Iterable) else [made]
        except Exception as error:
            raise LaunchError(f"recipe {self.name} fails: {in_one_sentence(error)}") from None
        strange = [each for each in made if not isinstance(each, RunConfig)]
        if strange or not made:
            got = f"{type(strange[0]).__name__} {_shortly(strange[0])}" if strange else "none"
            raise LaunchError(f"recipe {self.name} must return a list of RunConfig, but returned {got}")
        return made


def find_recipe(name: str) -> FoundRecipe:
    """The recipe of that name, of ours or a package's, or in a file: ``my_recipes.py:name``, ``package.module:name``.

    Raises:
        LaunchError: there is none, with the closest name; or its code cannot be imported.
    """
    name = of_table(name) or name
    if name in RECIPES:
        return FoundRecipe(name=name, sweep=name, make=RECIPES[name].runs)
    if is_own(name):
        source = _read(name)
        return FoundRecipe(name=source.choice, sweep=source.class_name, make=_function(source), source=source)
    brought = recipes_of_packages()
    if name in brought:
        source = _read(brought[name].value.partition(" ")[0], is_installed=True)
        return FoundRecipe(name=name, sweep=name, make=_loaded(brought[name]), source=source)
    file = name.partition(":")[0]
    if file.endswith(".py"):
        raise LaunchError(f"--recipe {name} names no function of that file: write {file}:NAME")
    names = [*RECIPES, *brought]
    close = difflib.get_close_matches(name, names, n=1)
    guess = f"; did you mean {close[0]}?" if close else ""
    raise LaunchError(f"there is no recipe {name!r}{guess} (recipes: {', '.join(names)})")


def of_table(name: str) -> str | None:
    """The recipe whose runs another table of a paper is of, ``celeba-table1`` for ``celeba-table2``; None for others."""
    found = re.fullmatch(r"(?P<data>.+-table)(?P<number>\d+)(?P<quick>-quick)?", name)
    if found is None or name in RECIPES:
        return None
    first = f"{found['data']}1{found['quick'] or ''}"
    tables = {report.table for report in reports_of(first) if isinstance(report, PaperTable)}
    return first if first in RECIPES and found["number"] in tables else None


def recipes_of_packages() -> dict[str, EntryPoint]:
    """The recipes that installed packages bring, by name, without those named as one of ours."""
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS) if entry.name not in RECIPES}


def listed() -> Iterable[str]:
    """A line for each recipe, for ``--help``; a package's is not imported for it."""
    yield from (f"  {name}: {recipe.describes}" for name, recipe in RECIPES.items())
    for name, entry in recipes_of_packages().items():
        yield f"  {name}: of the package {entry.dist.name if entry.dist else entry.value}"
    yield "  celeba-table2, csvae-table3, ...: the same as for table 1, since those tables are of the same runs"
    yield "  my_recipes.py:NAME: the function NAME of a file of your own (docs/own_sweeps.md)"


def _read(choice: str, *, is_installed: bool = False) -> OwnSource:
    try:
        return OwnSource.read(choice, "recipe", may_import_itself=is_installed)
    except ConfigError as error:
        raise LaunchError(str(error)) from None


def _function(source: OwnSource) -> Callable[[], Any]:
    """The user's function."""
    try:
        module = imported(source)
    except Exception as error:
        raise LaunchError(f"recipe {source.choice}: importing it fails: {in_one_sentence(error)}") from None
    found = getattr(module, source.class_name, None)
    if isinstance(found, Recipe):
        return found.runs
    if not callable(found):
        names = [
            name
            for name, value in vars(module).items()
            if isinstance(value, Recipe)
            or (callable(value) and getattr(value, "__module__", None) == module.__name__ and name[0] != "_")
        ]
        likely = difflib.get_close_matches(source.class_name, names, n=1)
        guess = f"; did you mean {likely[0]}?" if likely else f" (it has: {', '.join(names) or 'none'})"
        raise LaunchError(
            f"recipe {source.choice}: {source.module} has no function {source.class_name}{guess}"
        )
    return found


def _shortly(value: object) -> str:
    """A value in a part of a line, however long it is."""
    return " ".join(reprlib.repr(value).split())


def _loaded(entry: EntryPoint) -> Callable[[], Any]:
    """What an entry point names, imported as it is installed: it may import the rest of its package."""
    try:
        found = entry.load()
    except Exception as error:
        raise LaunchError(f"recipe {entry.name} ({entry.value}): {in_one_sentence(error)}") from None
    made: Callable[[], Any] = found.runs if isinstance(found, Recipe) else found
    return made
