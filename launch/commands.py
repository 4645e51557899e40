"""The commands of an installation, ``traitvae-sweep`` and the others: the same as ``python launch/sweep.py``."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from data_prep.program_name import OF_AN_INSTALLATION, by_command
from data_prep.start_up import imports_are_done

CODE = Path(__file__).resolve().parents[1]
"""The root of this code."""


def children_import_this_code() -> None:
    """Let all processes that this one starts import this code, and name programs as this one was called.

    Otherwise ``python -m jobs.trial`` would take a user's ``pipeline.py``, since Python looks there first.
    """
    os.environ.update(variables_of_children(os.environ))


def variables_of_children(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that do so."""
    found = {"PYTHONSAFEPATH": "1"}
    if by_command():
        found[OF_AN_INSTALLATION] = "1"
    # Where packages are installed, Python finds this code by itself; put first, that place would hide standard modules.
    if CODE.name not in ("site-packages", "dist-packages"):
        others = [place for place in variables.get("PYTHONPATH", "").split(os.pathsep) if place]
        found["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(CODE), *others]))
    return found


def compare() -> None:
    """``traitvae-compare``."""
    _run("compare")


def debug() -> None:
    """``traitvae-debug``."""
    _run("debug")


def explore() -> None:
    """``traitvae-explore``."""
    _run("explore")


def export() -> None:
    """``traitvae-export``."""
    _run("export")


def measure() -> None:
    """``traitvae-measure``."""
    _run("measure")


def prepare() -> None:
    """``traitvae-prepare``."""
    _run("prepare")


def report() -> None:
    """``traitvae-report``."""
    _run("report")


def sweep() -> None:
    """``traitvae-sweep``."""
    from launch.subcommands import SUBCOMMANDS

    if sys.argv[1:2] and sys.argv[1] in SUBCOMMANDS:  # before torch is imported, which takes seconds
        SUBCOMMANDS[sys.argv[1]].main(sys.argv[1], sys.argv[2:])
    _run("sweep")


def _run(name: str) -> None:
    children_import_this_code()
    gc.disable()  # while it imports: see data_prep.start_up
    main = import_module(f"launch.{name}").main
    imports_are_done()
    main()
