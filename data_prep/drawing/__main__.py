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
    """Draw pictures into a folder laid out as CelebA's (faces) or CheXpert's (radiographs). Killed, it goes on."""

    kind: tyro.conf.Positional[Literal["faces", "radiographs"]]
    """what is drawn"""
    out: Path
    """folder of the raw files; for a contact sheet, the picture's file"""
    count: int = 20_000
    """number of pictures"""
    seed: int = 0
    """decides every picture"""
    workers: int | None = None
    """processes (default: one per core where there is work for them); the result does not depend on it"""
    sheet: bool = False
    """write one picture that shows the first COUNT with their labels instead"""
    label_sheet: bool = False
    """write one picture with a row per label, off and on with all else the same, as a model sees it at 64 x 64"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ``arguments`` without the program's name."""
    with report_user_errors():
        asked = tyro.cli(Draw, args=arguments, prog="python -m data_prep.drawing")
        out = asked.out.expanduser().absolute()
        check_numbers(asked.count, asked.seed)
        with naming_unwritable_places(out), Progress(shown=True) as progress:
            if asked.sheet or asked.label_sheet:
                write = write_sheet if asked.sheet else write_label_sheet
                write(asked.kind, out, count=asked.count, seed=asked.seed)
            else:
                draw_raw_folder(
                    asked.kind,
                    out,
                    count=asked.count,
                    seed=asked.seed,
                    workers=asked.workers,
                    progress=progress,
                )
        print(asked.out)


if __name__ == "__main__":
    main(sys.argv[1:])
