"""What a derived source inherits from the source that it is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from data_prep.progress import Progress
from data_prep.sources.idx_images import IdxImages

Derived = TypeVar("Derived", bound="DerivedImages")


@dataclass(frozen=True, kw_only=True)
class DerivedImages:
    """Images made from those of a source of the MNIST family, with its raw files, home and licence."""

    plain: IdxImages

    @property
    def home(self) -> str:
        return self.plain.home

    @property
    def licence(self) -> str:
        return self.plain.licence

    @property
    def raw(self) -> Path | None:
        return self.plain.raw

    def checksums(self) -> Mapping[str, str]:
        return self.plain.checksums()

    def verified(self: Derived, scratch: Path, progress: Progress, workers: int | None = None) -> Derived:
        return replace(self, plain=self.plain.verified(scratch, progress, workers))

    def where_raw(self) -> str:
        return self.plain.where_raw()
