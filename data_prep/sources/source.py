"""The interface of every source of raw data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from data_prep.manifest import LabelSpec
from data_prep.progress import Progress
from data_prep.rows import Rows


@runtime_checkable
class Source(Protocol):
    """Raw files of one kind. Cheap to construct: nothing is read until it is needed.

    Every worker reopens a source by its registered name, so it must not hold state of its own.
    """

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str:
        """Its name for people."""
        ...

    @property
    def home(self) -> str:
        """Where it comes from, and where to ask for it."""
        ...

    @property
    def licence(self) -> str: ...

    @property
    def options(self) -> Mapping[str, Any]:
        """JSON values that decide the content besides the raw files, including all that the user can set."""
        ...

    @property
    def factors(self) -> tuple[str, ...]: ...

    @property
    def raw(self) -> Path | None:
        """The folder of its raw files, if known; reopening the source with it gives an equal one."""
        ...

    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        ...

    def labels(self) -> tuple[LabelSpec, ...]:
        """The labels of a row, in the order of ``Rows.labels``."""
        ...

    def checksums(self) -> Mapping[str, str]:
        """Raw file, unpacked → checksum; fast, and without reading the files if they are known in advance."""
        ...

    def verified(self, scratch: Path, progress: Progress, workers: int | None = None) -> Source:
        """The same source with raw files that were found, checked, and unpacked below ``scratch`` if packed.

        May download. ``workers``: processes that it may start (None: up to one per core).
        ``RawDataError`` says in one sentence what is missing, or what is wrong with which file.
        """
        ...

    def where_raw(self) -> str:
        """For a person: where the raw files are, or would be downloaded from."""
        ...

    def splits(self) -> Mapping[str, int]:
        """Split → rows."""
        ...

    def ids(self, split: str) -> list[str]:
        """The source's ids of the rows of a split, in order."""
        ...

    def label_column(self, split: str) -> NDArray[np.uint8] | None:
        """The classes (n,) of a whole split if its ranks are to be stratified by one class label, else None."""
        ...

    def rows(self, split: str, start: int, stop: int) -> Rows:
        """Rows ``start`` to ``stop`` of a split; ``RawDataError`` names the file and the row that is wrong."""
        ...


@runtime_checkable
class Guessing(Protocol):
    """What else a source does that guesses what its raw files mean, where no option says it, and tells."""

    def told(self) -> list[str]:
        """What was taken for what, and which option says otherwise, in lines for a person."""
        ...

    def examples(self, most: int) -> list[tuple[str, list[NDArray[np.uint8]]]]:
        """For each value of each label, up to ``most`` images (C, H, W) that have it, as they would be prepared."""
        ...
