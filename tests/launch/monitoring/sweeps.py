"""Sweep folders for tests, and the subcommands that show them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launch.sweep import main
from pipeline.cells.folder import CellFolder

NAME = "a b; echo 'x'"
"""Name of the sweep, with characters that are special to a shell."""


def make_cells(sweep: Path, count: int) -> list[CellFolder]:
    cells = []
    for number in range(count):
        folder = sweep / f"m2-mnist-f1-seed{number}-{number:08x}"
        folder.mkdir(parents=True)
        settings = {"data": {"folder": "/nowhere"}, "training": {"epochs": 2, "batch_size": 10, "ranks": 1}}
        (folder / "config.json").write_text(json.dumps(settings))
        cells.append(CellFolder(folder))
    return cells


def say(word: str, *arguments: str | Path, runs: Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([word, *map(str, arguments), "--runs", str(runs)])
    return int(end.value.code or 0)
