"""Draw pictures: ``python -m data_prep.drawing faces --count 1000 --out FOLDER``; or a contact sheet of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from data_prep.drawing.raw_folder import check_numbers, draw_raw_folder
from data_prep.drawing.sheets import write_label_sheet, write_sheet
from data_prep.errors import report_user_errors
from data_prep.progress import Progress
from data_prep.stages import naming_unwritable_places


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Draw pictures into a folder laid out as CelebA's (faces) or CheXpert's (radiographs). Resumes if killed."""

    kind: tyro.conf.Positional[Literal["faces", "radiographs"]]
    """what is drawn"""
    out: Path
    """folder for the raw files; for a contact sheet, the picture file"""
    count: int = 20_000
    """number of pictures"""
    seed: int = 0
    """seed of all random numbers"""
    workers: int | None = None
    """number of processes (default: up to one per core); the result does not depend on it"""
    sheet: bool = False
    """instead, write one picture of the first COUNT drawings with their labels"""
    label_sheet: bool = False
    """instead, write one picture with a row per label, off and on with all else equal, as a model sees it at 64 x 64"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ``arguments`` without the program's name."""
    with report_user_errors():
        options = tyro.cli(Draw, args=arguments, prog="python -m data_prep.drawing")
        out = options.out.expanduser().absolute()
        check_numbers(options.count, options.seed)
        with naming_unwritable_places(out), Progress(shown=True) as progress:
            if options.sheet or options.label_sheet:
                write = write_sheet if options.sheet else write_label_sheet
                write(options.kind, out, count=options.count, seed=options.seed)
            else:
                draw_raw_folder(
                    options.kind,
                    out,
                    count=options.count,
                    seed=options.seed,
                    workers=options.workers,
                    progress=progress,
                )
        print(options.out)


if __name__ == "__main__":
    main(sys.argv[1:])
