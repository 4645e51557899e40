"""A trained model to hand on: ``python launch/export.py SWEEP CELL --out FOLDER``."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

if not __package__:  # run as a file: Python then searches launch/, not the root of the code
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    gc.disable()  # while it imports: see data_prep.start_up

import tyro

from data_prep.counted import counted
from data_prep.errors import report_user_errors
from data_prep.program_name import program
from data_prep.start_up import imports_are_done
from launch.command_line import described, parsed
from launch.monitoring.named import named_run
from pipeline.cell import Cell
from pipeline.exports.export import export_cell


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write the trained model of a run into a folder of its own, to hand on: nothing in it is pickled.

    model.safetensors has the weights, model.json the configuration, the labels with their values and what the model was
    measured at, README.md is a model card with the figures. traitvae.load(FOLDER) opens it, without the data set. A network
    of one's own travels with its source, which whoever opens the export has to allow (trust_code=True).

    Examples:
      python launch/export.py fashion-mnist ccvae-fashion_mnist-f0.06-seed0 --out ccvae-clothes
      python launch/export.py runs/debug/ccvae-pictures-f1-seed0-0a1b2c3d --out mine --onnx
    """

    run: Annotated[str, tyro.conf.arg(metavar="RUN"), tyro.conf.Positional]
    """the run's folder, or the name of its sweep"""
    cell: Annotated[str, described("[CELL]"), tyro.conf.Positional] = ""
    """with a sweep: a part of the run's name"""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """the new folder"""
    onnx: bool = False
    """write encoder.onnx and decoder.onnx, too, for other engines (pip install 'traitvae[onnx]')"""
    all_figures: bool = False
    """also figures that show pictures of data whose licence may forbid to pass them on"""
    runs: Path = Path("runs")
    """folder of the sweeps"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ``arguments`` without the program's name."""
    with report_user_errors():
        export(parsed(Export, arguments, prog=program("export")))


def export(options: Export) -> None:
    """Export the model, and say what was written.

    Raises:
        LaunchError: there is no such run.
        RunError: it is not trained, or its data set or checkpoints are lost.
        ConfigError: the folder exists, or the system or its network cannot be exported.
    """
    cell = Cell.open(named_run(options.run, options.cell, options.runs).config_file)
    exported = export_cell(cell, options.out, all_figures=options.all_figures, onnx=options.onnx)
    for file in sorted(path for path in options.out.iterdir() if path.is_file()):
        print(f"{file.stat().st_size:>12,} bytes  {file}")
    print(
        f"{cell.name}: {counted(len(exported.record.measured), 'number')} and {counted(exported.figures, 'figure')} in the"
        " model card"
    )
    if not exported.record.measured:
        print("it has no measures yet: measure it first, and the card says how good it is")
    if exported.figures_left_out:
        print(
            f"left out: {counted(exported.figures_left_out, 'figure that shows', 'figures that show')} pictures of"
            f" {exported.record.data.name}, whose licence is: {exported.record.data.licence} (--all-figures adds them)"
        )


if __name__ == "__main__":
    imports_are_done()
    main()
