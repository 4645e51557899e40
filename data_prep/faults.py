"""What is wrong with raw files: one fault raised at once, or all of them collected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from data_prep.errors import RawDataError

_SHOWN = 5

OnError = Callable[[RawDataError], None]
"""What a reader of lists does with an error: ``raising``, or something that notes it so that the reader goes on."""


def raising(error: RawDataError) -> None:
    """Stop at the first error."""
    raise error


@dataclass(frozen=True)
class Fault:
    """One picture of a list that cannot be used."""

    split: str
    row: int
    """in its split, from 0"""
    picture: str
    """its name for a person"""
    listed: str
    """list and line that name it"""
    reason: str
    """completes a sentence that begins with the picture's name"""

    def __str__(self) -> str:
        return f"{self.picture} ({self.listed}) {self.reason}"


class DamagedPictures(RawDataError):
    """Some pictures cannot be used; the sentence names the first few."""

    def __init__(self, faults: Sequence[Fault], remedy: str = "") -> None:
        super().__init__(tuple(faults), remedy)
        self.faults = tuple(faults)
        self.remedy = remedy

    def __str__(self) -> str:
        shown = "; ".join(str(fault) for fault in self.faults[:_SHOWN])
        more = len(self.faults) - _SHOWN
        others = f"; and {more:,} more (--check lists all)" if more > 0 else ""
        return f"{shown}{others}{self.remedy}"


class SeveralFaults(RawDataError):
    """Many errors of one kind: the sentence sums them up, and ``sentences`` has each."""

    def __init__(self, summary: str, sentences: Sequence[str]) -> None:
        super().__init__(summary, tuple(sentences))
        self.sentences = tuple(sentences)

    def __str__(self) -> str:
        return str(self.args[0])
