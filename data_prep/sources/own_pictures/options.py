"""The source ``pictures`` from its options, each with a sentence for the dry run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from data_prep.decode import DEEPEST
from data_prep.sources.own_pictures.assembled import WhichPictures
from data_prep.sources.own_pictures.source import OwnPictures
from data_prep.sources.picture_listing import Damaged

Colour = Literal["auto", "rgb", "grey"]
Exif = Literal["rotate", "ignore"]


def pictures(
    raw: Path | None,
    *,
    labels: Annotated[str, "columns of labels, A,B,C; auto: those of 2 to 50 values"] = "auto",
    factors: Annotated[str, "columns of numbers that are known factors, A,B,C; or none"] = "none",
    reference: Annotated[str, "column of 0 and 1: is it in the reference set; or none"] = "none",
    group: Annotated[
        str, "column whose rows stay in one split; none; auto: one called patient or person"
    ] = "auto",
    split: Annotated[
        str, "column of train, valid, test; none: 80 / 10 / 10 by a hash; auto: where there is one"
    ] = "auto",
    table: Annotated[
        str, "names of tables in the folder, A,B; none: the folders are the classes; auto"
    ] = "auto",
    file: Annotated[str, "column of file names; auto: the one that names most pictures"] = "auto",
    unknown: Annotated[
        str, "values that mean unknown, A,B; none: blanks only; auto: nan, NA, ?, -1 next to 0"
    ] = "auto",
    size: Annotated[int, "side of the square images in pixels"] = 64,
    colour: Annotated[Colour, "rgb, grey, or auto: grey if all that are looked at are"] = "auto",
    white: Annotated[int, "value of 16-bit grey that becomes white: 4095 if 12 bits are used"] = DEEPEST,
    crop: Annotated[str, "centre: the largest square; none: squeezed; or LEFT,UPPER,RIGHT,LOWER"] = "centre",
    exif: Annotated[Exif, "rotate: as the orientation in a picture's metadata says; or ignore"] = "rotate",
    pictures: Annotated[
        WhichPictures,
        "all: every row and picture has the other; both: those that have; unlabelled: pictures alone as well",
    ] = "all",
    damaged: Damaged = "refuse",
) -> OwnPictures:
    """Pictures of your own: a folder (or .zip) with a table or a folder per class, Parquet files, or an .npz file."""
    options = {
        "labels": labels, "factors": factors, "reference": reference, "group": group, "split": split, "table": table,
        "file": file, "unknown": unknown, "size": size, "colour": colour, "white": white, "crop": crop, "exif": exif,
        "pictures": pictures, "damaged": damaged,
    }  # fmt: skip
    return OwnPictures(raw=raw, options=options)
