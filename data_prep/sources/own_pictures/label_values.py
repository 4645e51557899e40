"""From the texts of a column to the values of a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.manifest import LabelSpec
from data_prep.sources.own_pictures.words import NO_AND_YES, UNKNOWN_WORDS, plain

MOST_VALUES = 255
"""A label is stored in a byte."""


@dataclass(frozen=True, kw_only=True)
class LabelValues:
    """What each text of a column means."""

    spec: LabelSpec
    value: NDArray[np.uint8]
    """(texts,): 0 where unknown"""
    known: NDArray[np.bool_]
    """(texts,)"""
    unknown_words: tuple[str, ...]
    """the texts that mean unknown, besides the blank"""


def unknown_words(option: str) -> frozenset[str] | None:
    """The words of the option ``unknown``; None if it is left to the table (``auto``)."""
    if option == "auto":
        return None
    return frozenset(plain(word) for word in option.split(",")) - {"", "none"}


def label_values(name: str, texts: Sequence[str], unknown: frozenset[str] | None = None) -> LabelValues:
    """The values of a label, from the different texts of its column; their number is not checked.

    0 and 1, -1 and 1, yes and no, true and false become ``no`` and ``yes``; whole numbers keep their order, words are
    sorted; upper and lower case are the same. If ``unknown`` is None, the usual words are unknown, and -1 where it is
    the only number below 0 and 0 occurs, as in 0, 1, -1.
    """
    plains = [plain(text) for text in texts]
    candidates = set(plains) - {""}
    words = set(UNKNOWN_WORDS & candidates if unknown is None else unknown & candidates)
    if unknown is None and _is_for_unknown(candidates - words):
        words.add("-1")
    values = candidates - words
    two = next((pair for pair in NO_AND_YES if values == set(pair)), None)
    shown: tuple[str, ...]
    if two is not None:
        order, shown = list(two), ("no", "yes")
    elif all(_is_whole(value) for value in values):
        order = sorted(values, key=int)
        shown = tuple(order)
    else:
        order = sorted(values)
        first = {key: text.strip() for key, text in reversed(list(zip(plains, texts, strict=True)))}
        shown = tuple(first[value] for value in order)
    number = {value: i for i, value in enumerate(order)}
    return LabelValues(
        spec=LabelSpec(name, len(order), shown),
        value=np.array([min(number.get(key, 0), MOST_VALUES) for key in plains], dtype=np.uint8),
        known=np.array([key in number for key in plains], dtype=np.bool_),
        unknown_words=tuple(
            sorted({t.strip() for t, key in zip(texts, plains, strict=True) if key in words})
        ),
    )


def _is_for_unknown(values: set[str]) -> bool:
    """Whether -1 means unknown: 0 to k occur, and no other number below 0."""
    others = values - {"-1"}
    return "-1" in values and "0" in others and all(_is_whole(v) and int(v) >= 0 for v in others)


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and text.isascii()
