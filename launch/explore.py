"""A model to play with, in a browser: ``python launch/explore.py runs/SWEEP/CELL --open``."""

from __future__ import annotations

import gc
import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

if not __package__:  # run as a file: Python then searches launch/, not the root of the code
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    gc.disable()  # while it imports: see data_prep.start_up

import tyro

from data_prep.errors import LaunchError, report_user_errors
from data_prep.program_name import program
from data_prep.start_up import imports_are_done
from launch.command_line import described, parsed
from launch.explorers import send_explorer
from launch.monitoring.named import named_run
from pipeline.cell import Cell
from pipeline.pages.explored_cell import FILE, write_explorer


@dataclass(frozen=True, kw_only=True)
class Explore:
    """Write the explorer of a run: one HTML file in which its encoder and decoder work, without a server or a network.

    A slider for each label's latents, fresh draws of a label's value, swaps, walks, planes of two labels, pictures from
    labels alone, and pictures of your own. The file is written into the run's folder and sent to MLflow.

    Examples:
      python launch/explore.py runs/fashion-mnist/ccvae-fashion_mnist-f1-seed0-1a2b3c4d --open
      python launch/explore.py fashion-mnist ccvae-                   the only run of the sweep with this in its name
    """

    run: Annotated[str, tyro.conf.arg(metavar="RUN"), tyro.conf.Positional]
    """the run's folder, or the name of its sweep"""
    cell: Annotated[str, described("[CELL]"), tyro.conf.Positional] = ""
    """with a sweep: a part of the run's name"""
    open: bool = False
    """open the page in the browser"""
    pictures: Annotated[int, tyro.conf.arg(metavar="N")] = 50
    """pictures to choose from, spread over the split"""
    split: Annotated[str | None, described("SPLIT")] = None
    """their split (default: the run's)"""
    out: Annotated[Path | None, described("FILE")] = None
    """where to write the page, which is not sent to MLflow then (default: explorer.html in the run's folder)"""
    runs: Path = Path("runs")
    """folder of the sweeps"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ``arguments`` without the program's name."""
    with report_user_errors():
        explore(parsed(Explore, arguments, prog=program("explore")))


def explore(options: Explore) -> Path:
    """Write the page, and say where it is; returns its path.

    Raises:
        LaunchError: there is no such run, or too few pictures.
        RunError: it has no checkpoint yet.
        ConfigError: a page cannot run or show the model, or there is no such split.
    """
    if options.pictures < 1:
        raise LaunchError(f"--pictures is {options.pictures}; it must be at least 1")
    cell = Cell.open(named_run(options.run, options.cell, options.runs).config_file)
    path = (options.out or cell.folder / FILE).absolute()
    write_explorer(cell, path, split=options.split, pictures=options.pictures)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    if options.out is None:
        send_explorer(cell, path)
    if options.open:
        webbrowser.open(path.as_uri())
    return path


if __name__ == "__main__":
    imports_are_done()
    main()
