"""A part of any source: ``--option count=5000``.

Each split keeps its share of the rows. Within a split the rows are the first in an order that ``count_seed`` decides,
stratified where the source has one class label, so that a smaller part is inside a larger one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.counted import counted
from data_prep.errors import ConfigError
from data_prep.faults import DamagedPictures, Fault, OnError
from data_prep.files import atomic_write
from data_prep.manifest import LabelSpec
from data_prep.progress import Progress
from data_prep.rows import Rows
from data_prep.sources.picture_listing import DAMAGED
from data_prep.sources.source import Source
from data_prep.supervision import supervision_rank

_DAMAGED_FILE = "damaged-in-part-{}.npy"


@dataclass(frozen=True, kw_only=True)
class PartOfSource:
    """``count`` rows of a source."""

    source: Source
    count: int
    count_seed: int = 0
    raw: Path | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"{self.name}: count is {self.count}, but must be at least 1")

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def title(self) -> str:
        return f"{counted(self.count, 'row')} of {self.source.title}"

    @property
    def home(self) -> str:
        return self.source.home

    @property
    def licence(self) -> str:
        return self.source.licence

    @property
    def options(self) -> Mapping[str, Any]:
        return {**self.source.options, "count": self.count, "count_seed": self.count_seed}

    @property
    def factors(self) -> tuple[str, ...]:
        return self.source.factors

    def image_shape(self) -> tuple[int, int, int]:
        return self.source.image_shape()

    def labels(self) -> tuple[LabelSpec, ...]:
        return self.source.labels()

    def checksums(self) -> Mapping[str, str]:
        return self.source.checksums()

    def where_raw(self) -> str:
        return self.source.where_raw()

    def verified(self, scratch: Path, progress: Progress, workers: int | None = None) -> PartOfSource:
        """The same part of what the source itself has verified."""
        for file in scratch.glob(_DAMAGED_FILE.format("*")):
            file.unlink()  # of an earlier attempt, with other raw files
        return replace(self, source=self.source.verified(scratch, progress, workers), raw=scratch)

    def surveyed(self, scratch: Path, on_error: OnError) -> PartOfSource:
        """As ``verified``; a source that cannot go on after an error raises it."""
        survey = getattr(self.source, "surveyed", None)
        if survey is None:
            return self.verified(scratch, Progress(shown=False))
        return replace(self, source=survey(scratch, on_error), raw=scratch)

    def without(self, faults: Sequence[Fault]) -> PartOfSource:
        """The same part without some of its rows, which are not replaced by others."""
        assert self.raw is not None
        for split in self.source.splits():
            rows = [fault.row for fault in faults if fault.split == split]
            with atomic_write(self.raw / _DAMAGED_FILE.format(split)) as file:
                np.save(file, np.array(rows, dtype=np.int64))
        return replace(self)

    @property
    def left_out(self) -> Mapping[str, int]:
        """Reason → number of pictures, of all of the source except for damaged ones."""
        damaged = sum(len(self._damaged(split)) for split in self.source.splits())
        return {**getattr(self.source, "left_out", {}), **({DAMAGED: damaged} if damaged else {})}

    def splits(self) -> Mapping[str, int]:
        return {split: len(rows) for split, rows in self._chosen.items()}

    def ids(self, split: str) -> list[str]:
        ids = self.source.ids(split)
        return [ids[row] for row in self._chosen[split].tolist()]

    def label_column(self, split: str) -> NDArray[np.uint8] | None:
        classes = self.source.label_column(split)
        return None if classes is None else classes[self._chosen[split]]

    def made_from(self, split: str, start: int, stop: int) -> bytes:
        """All of the raw files that decides rows ``start`` to ``stop``; empty if the source does not tell."""
        tell = getattr(self.source, "made_from", None)
        runs = _runs(self._chosen[split][start:stop])
        return b"" if tell is None else b"\n".join(tell(split, first, last) for first, last in runs)

    def rows(self, split: str, start: int, stop: int) -> Rows:
        found, faults = list[Rows](), list[Fault]()
        for first, last in _runs(self._chosen[split][start:stop]):
            try:
                found.append(self.source.rows(split, first, last))
            except DamagedPictures as error:
                faults += error.faults
        if faults:
            raise DamagedPictures(faults)
        regions = [rows.regions for rows in found if rows.regions is not None]
        return Rows(
            image=np.concatenate([rows.image for rows in found]),
            labels=np.concatenate([rows.labels for rows in found]),
            observed=np.concatenate([rows.observed for rows in found]),
            reference=np.concatenate([rows.reference for rows in found]),
            factors=np.concatenate([rows.factors for rows in found]),
            ids=[row_id for rows in found for row_id in rows.ids],
            regions=np.concatenate(regions) if regions else None,
        )

    @cached_property
    def _chosen(self) -> dict[str, NDArray[np.int64]]:
        """Split → positions of the part's rows in it, ascending."""
        sizes = dict(self.source.splits())
        total = sum(sizes.values())
        if self.count > total or self.count < len(sizes):
            raise ConfigError(
                f"{self.name}: count is {self.count:,}, but there are {counted(total, 'row')} in"
                f" {counted(len(sizes), 'split')}"
            )
        chosen = {}
        for (split, size), share in zip(sizes.items(), shares(list(sizes.values()), self.count), strict=True):
            ids = [f"part\0{row_id}" for row_id in self.source.ids(split)]
            rank = supervision_rank(ids, seed=self.count_seed, classes=self.source.label_column(split))
            rows = np.sort(np.argsort(rank, kind="stable")[: min(share, size)])
            chosen[split] = np.setdiff1d(rows, self._damaged(split))
        return chosen

    def _damaged(self, split: str) -> NDArray[np.int64]:
        file = None if self.raw is None else self.raw / _DAMAGED_FILE.format(split)
        if file is None or not file.is_file():
            return np.zeros(0, dtype=np.int64)
        return np.asarray(np.load(file, allow_pickle=False))


def shares(sizes: Sequence[int], count: int) -> list[int]:
    """``count`` divided in proportion to ``sizes``, at least 1 each, the largest remainders first."""
    exact = np.array(sizes) * count / sum(sizes)
    found = np.maximum(np.floor(exact).astype(np.int64), 1)
    order = np.argsort(np.floor(exact) - exact, kind="stable")
    for i in range(count - int(found.sum())):
        found[order[i % len(order)]] += 1
    while found.sum() > count:  # where a split that was too small got its 1
        found[int(found.argmax())] -= 1
    return found.tolist()


def _runs(positions: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Ascending positions as (first, last + 1) of each run of neighbours."""
    parts = np.split(positions, np.flatnonzero(np.diff(positions) != 1) + 1) if len(positions) else []
    return [(int(part[0]), int(part[-1]) + 1) for part in parts]
