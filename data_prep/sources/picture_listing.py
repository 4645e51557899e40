"""What the lists of a picture source say next to which pictures are there, and what is on one side only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.faults import OnError, SeveralFaults
from data_prep.sources.picture_files import PLACE, PictureFiles
from data_prep.sources.picture_index import Pictures
from data_prep.sources.raw_files import archives_in
from data_prep.sources.text_tables import Names, TextFile

WhichPictures = Literal["all", "both"]
"""``all``: every picture is named by the lists and is there; ``both``: what is on one side only is left out."""
Damaged = Literal["refuse", "leave_out", "use"]
"""What to do with a damaged picture; ``use`` takes what the decoder makes of it, if it can make anything of it."""

BOTH = "--option pictures=both"
NOT_THERE, NOT_NAMED, DAMAGED = (
    "named by a list, but not there",
    "there, but not named by the lists",
    "damaged",
)
"""Reasons why a picture was left out."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What the lists of a source say, and where its pictures are."""

    files: PictureFiles
    splits: Mapping[str, Pictures]
    """in the order of the manifest; ``places`` are not known yet"""
    lists: Mapping[str, TextFile]
    """split → the list that the line numbers refer to"""
    all_names: Names
    """sorted: of every picture that the lists name, used or not"""
    official: Mapping[Path, str] = field(default_factory=dict)
    """file that should be the official one → its MD5; a mismatch is only a warning"""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """reason → number of pictures"""


def listed(
    names: Names,
    lines: NDArray[np.int64],
    labels: NDArray[np.uint8],
    observed: NDArray[np.bool_],
) -> Pictures:
    """Rows without factors, of no reference set, whose places are not known yet."""
    n = len(names)
    return Pictures(
        names=names,
        lines=lines,
        labels=labels,
        observed=observed,
        reference=np.zeros(n, dtype=np.bool_),
        factors=np.zeros((n, 0), dtype=np.float32),
        places=np.zeros(n, dtype=PLACE),
    )


def those_on_both_sides(found: Listing, name: str, which: WhichPictures, on_error: OnError) -> Listing:
    """The listing with the places of its pictures, without what is on one side only.

    That is an error unless it is to be left out; ``RawDataError`` if nothing is left to train on.
    """
    lists = " and ".join(dict.fromkeys(str(path) for path in found.lists.values()))
    if not any(len(rows) for rows in found.splits.values()):
        raise RawDataError(f"{found.files.path} has no picture for {name}")
    if not len(found.splits["train"]):
        raise RawDataError(f"{lists}: no picture is in the split train, so there is nothing to train on")
    splits, missing = {}, 0
    for split, rows in found.splits.items():
        if not len(rows):
            continue
        places, there = found.files.places(rows.names)
        if not there.all() and which == "all":
            on_error(_missing(found, split, rows, ~there))
        missing += int(np.sum(~there))
        splits[split] = replace(rows, places=places)[there]
    if not len(splits["train"]):
        raise RawDataError(f"{found.files.path} has none of the pictures for training that {lists} name")
    extra = found.files.unlisted(found.all_names)
    if extra and which == "all":
        on_error(_surplus(found, extra, lists))
    missing += found.left_out.get(NOT_THERE, 0)
    left_out = {**found.left_out, NOT_THERE: missing, NOT_NAMED: len(extra)}
    splits = {split: rows for split, rows in splits.items() if len(rows)}
    return replace(found, splits=splits, left_out={why: n for why, n in left_out.items() if n})


def _missing(found: Listing, split: str, rows: Pictures, gone: NDArray[np.bool_]) -> SeveralFaults:
    missing = np.flatnonzero(gone)
    missing = missing[np.argsort(rows.lines[missing])]
    sentences = [
        f"{found.files.name_of(bytes(rows.names[row]))} is missing, but is named in {found.lists[split]}, "
        f"line {rows.lines[row]}"
        for row in missing
    ]
    return SeveralFaults(
        f"{sentences[0]} ({len(missing):,} of {len(rows):,} in {split} are missing); {BOTH} takes the "
        f"{len(rows) - len(missing):,} that are there{archives_in(found.files.path.parent)}",
        sentences,
    )


def _surplus(found: Listing, extra: Sequence[bytes], lists: str) -> SeveralFaults:
    names = [found.files.name_of(name) for name in extra]
    others = f" ({len(extra):,} such pictures)" if extra[1:] else ""
    return SeveralFaults(
        f"{names[0]} is not named by {lists}: the list is shorter than the pictures{others}; "
        f"{BOTH} takes those that the lists name",
        [f"{name} is not named by {lists}" for name in names],
    )


def content_of(rows: Pictures) -> bytes:
    """Size and CRC-32 of each picture: the same for a file of a folder and of a zip archive."""
    sizes, crcs = (np.ascontiguousarray(rows.places[column]) for column in ("size", "crc"))
    return sizes.astype("<i8").tobytes() + crcs.astype("<u4").tobytes()
