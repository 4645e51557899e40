"""A source of labelled picture files: lists give each picture's labels, a folder or archive holds the pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.counted import counted
from data_prep.decode import Box, Mode, decode_picture, opened
from data_prep.errors import RawDataError
from data_prep.faults import DamagedPictures, Fault, OnError, raising
from data_prep.files import checksum
from data_prep.manifest import LabelSpec
from data_prep.progress import Progress
from data_prep.rows import Rows
from data_prep.sources.own_pictures.files import opened_pictures
from data_prep.sources.picture_index import PictureIndex, Pictures
from data_prep.sources.picture_listing import (
    DAMAGED,
    Damaged,
    Listing,
    WhichPictures,
    content_of,
    those_on_both_sides,
)
from data_prep.sources.picture_reading import decoded, use_each

_LOOKED_AT = 10
"""number of pictures whose size is looked at before the work"""


@dataclass(frozen=True, kw_only=True)
class LabelledPictures:
    """Picture files with labels from lists.

    The digest of such a source covers the content of its lists (names, splits, labels, in whichever file format) and
    of its pictures, so that a repaired picture is noticed, and so that a folder and its zip archive give the same data set.
    """

    name: str
    title: str
    home: str
    licence: str
    label_specs: tuple[LabelSpec, ...]
    mode: Mode
    size: tuple[int, int]
    """(H, W)"""
    crop: Box | None = None
    """(left, upper, right, lower): cut out before the resize"""
    file_size: tuple[int, int] | None = None
    """(width, height) of every picture file, if they all have the same"""
    pictures: WhichPictures = "all"
    damaged: Damaged = "refuse"
    own_options: Mapping[str, Any] = field(default_factory=dict)
    """besides ``pictures`` and ``damaged``"""
    raw: Path | None
    find: Callable[[Path | None, OnError], Listing]
    """reads the lists in the folder that the user names, or in the usual place; ``RawDataError`` if they are missing"""

    @property
    def options(self) -> Mapping[str, Any]:
        return {**self.own_options, "pictures": self.pictures, "damaged": self.damaged}

    @property
    def factors(self) -> tuple[str, ...]:
        return ()

    def labels(self) -> tuple[LabelSpec, ...]:
        return self.label_specs

    def image_shape(self) -> tuple[int, int, int]:
        return (1 if self.mode == "L" else 3, *self.size)

    @cached_property
    def _listing(self) -> Listing:
        """The lists, and the places of the pictures they name; ``RawDataError`` if one is missing."""
        return self._list(raising)

    def _list(self, on_error: OnError) -> Listing:
        return those_on_both_sides(self.find(self.raw, on_error), self.name, self.pictures, on_error)

    def checksums(self) -> Mapping[str, str]:
        lists, content = hashlib.sha256(), hashlib.sha256()
        for split, rows in self._listing.splits.items():
            for digest in (lists, content):
                digest.update(f"{split} {len(rows)}\n".encode())
                # The width of a numpy string array is that of its longest string, which differs between splits.
                digest.update(b"\n".join(rows.names.tolist()))
            lists.update(np.ascontiguousarray(rows.labels).tobytes())
            lists.update(np.ascontiguousarray(rows.observed).tobytes())
            content.update(content_of(rows))
        return {
            "lists": f"sha256:{lists.hexdigest()}",
            "names and content of pictures": f"sha256:{content.hexdigest()}",
        }

    def verified(self, scratch: Path, progress: Progress, workers: int | None = None) -> LabelledPictures:
        """Write what the tasks need below ``scratch``; the pictures stay where they are, and each task checks its own."""
        found = self._listing
        self._check_size(found)
        progress.say(
            f"{self.title}: {found.files.path}, {counted(sum(map(len, found.splits.values())), 'picture')}"
        )
        for path, md5 in found.official.items():
            if checksum(path, "md5") != md5:
                progress.say(
                    f"warning: {path} has the name and the length of {self.title}'s official file but not its MD5 ({md5});  "
                    "unless you changed or repacked it yourself, download it again"
                )
        return self._indexed(found, scratch)

    def _check_size(self, found: Listing) -> None:
        """``RawDataError`` at once if none of the first pictures has the size that all must have."""
        train = found.splits["train"][:_LOOKED_AT]
        if self.file_size is None:
            return
        sizes: list[tuple[int, int]] = []

        def note(_: int, content: bytes) -> None:
            sizes.append(opened(content, lenient=True).size)

        use_each(train.names.tolist(), train.places, found.files, note)
        if sizes and self.file_size not in sizes:
            (width, height), (found_width, found_height) = self.file_size, sizes[0]
            raise RawDataError(
                f"{found.files.name_of(bytes(train.names[0]))} has {found_width} x {found_height} pixels, and none of the "
                f"{len(sizes)} pictures looked at has the {width} x {height} of {self.title}'s aligned ones; pictures of "
                "other sizes can be prepared with the source pictures"
            )

    def surveyed(self, scratch: Path, on_error: OnError) -> LabelledPictures:
        """As ``verified``, with every error in the lists passed on, and with what can be used in spite of them."""
        return self._indexed(self._list(on_error), scratch)

    def _indexed(self, found: Listing, scratch: Path) -> LabelledPictures:
        PictureIndex.write(scratch, found.files.record(), found.splits, found.lists, found.left_out)
        return replace(self, raw=scratch)

    def without(self, faults: Sequence[Fault]) -> LabelledPictures:
        """The same without some pictures, counted as damaged; for what ``verified`` returned."""
        assert self._index is not None
        self._index.leave_out(faults, DAMAGED)
        return replace(self)

    @property
    def left_out(self) -> Mapping[str, int]:
        """Reason → number of pictures that are in no split for it."""
        return (self._listing if self._index is None else self._index).left_out

    def splits(self) -> Mapping[str, int]:
        if self._index is not None:
            return dict(self._index.splits)
        return {split: len(rows) for split, rows in self._listing.splits.items()}

    def ids(self, split: str) -> list[str]:
        return [name.decode() for name in self._rows_of(split).names.tolist()]

    def label_column(self, split: str) -> NDArray[np.uint8] | None:
        """The classes if there is a single, fully observed label; rows with several labels are ranked by id alone."""
        rows = self._rows_of(split)
        if len(self.label_specs) > 1 or not rows.observed.all():
            return None
        return np.array(rows.labels[:, 0])

    def made_from(self, split: str, start: int, stop: int) -> bytes:
        """All of the raw files that decides rows ``start`` to ``stop`` of a split."""
        rows = self._rows_of(split)[start:stop]
        return b"\n".join(
            [*rows.names.tolist(), rows.labels.tobytes(), rows.observed.tobytes(), content_of(rows)]
        )

    def rows(self, split: str, start: int, stop: int) -> Rows:
        """Rows of a plan written by ``verified``; nothing else of the lists or the archive is read.

        ``DamagedPictures`` names all of these rows that are damaged.
        """
        index = self._index
        if index is None:
            raise RawDataError(
                f"{self.raw} holds no plan of {self.name}; only the tasks of a plan read its pictures"
            )
        pictures = index.split(split)[start:stop]
        decode = partial(
            decode_picture,
            mode=self.mode,
            size=self.size,
            crop=self.crop,
            lenient=self.damaged == "use",
            file_size=self.file_size,
        )
        images, faults = decoded(pictures, opened_pictures(index.pictures), decode, self.image_shape())
        if faults:
            raise DamagedPictures(
                [
                    Fault(
                        split, start + row, picture, f"{index.lists[split]}, line {pictures.lines[row]}", why
                    )
                    for row, picture, why in faults
                ]
            )
        n = len(pictures)
        return Rows(
            image=images,
            labels=np.array(pictures.labels),
            observed=np.array(pictures.observed),
            reference=np.zeros(n, dtype=np.bool_),
            factors=np.zeros((n, 0), dtype=np.float32),
            ids=[name.decode() for name in pictures.names.tolist()],
        )

    def where_raw(self) -> str:
        return f"found in {self._listing.files.path}"

    @cached_property
    def _index(self) -> PictureIndex | None:
        """The index of a plan, if ``raw`` is what ``verified`` wrote."""
        return PictureIndex.open(self.raw) if self.raw is not None and PictureIndex.is_in(self.raw) else None

    def _rows_of(self, split: str) -> Pictures:
        return self._listing.splits[split] if self._index is None else self._index.split(split)
