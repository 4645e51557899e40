"""Which picture file each row of a table names: with or without folders, endings, and the case of letters."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.sources.picture_files import ENDINGS
from data_prep.sources.text_tables import Names

_SAMPLE = 2000
_ENDING = "(?i)(" + "|".join(ending.replace(".", r"\.") for ending in ENDINGS) + ")$"


@dataclass(frozen=True)
class Rule:
    """How a name in a table is compared with a file's."""

    depth: int | None
    """this many last parts of both paths; None: the whole paths"""
    with_ending: bool = True
    with_case: bool = True
    with_zeros: bool = True
    """at the beginning of a file name, which spreadsheets take away"""

    def __str__(self) -> str:
        parts = {None: "path", 1: "file name"}.get(self.depth, f"last {self.depth} parts of the path")
        parts += "" if self.with_ending else " without ending"
        parts += "" if self.with_case else ", in any case"
        return parts + ("" if self.with_zeros else ", without zeros at its beginning")

    def keys(self, paths: pa.StringArray) -> Any:
        """What is compared, (n,)."""
        if self.depth is not None:
            last = pc.extract_regex(paths, rf"(?P<last>(?:[^/]+/){{{self.depth - 1}}}[^/]+)$")
            paths = pc.coalesce(pc.struct_field(last, "last"), paths)
        if not self.with_ending:
            paths = pc.replace_substring_regex(paths, _ENDING, "")
        if not self.with_zeros:
            paths = pc.replace_substring_regex(paths, r"(^|/)0+([0-9][^/]*)$", r"\1\2")
        return paths if self.with_case else pc.utf8_lower(paths)


def as_paths(texts: Any) -> Any:
    """Names from a table, with slashes between folders, and none at the beginning."""
    return pc.replace_substring_regex(pc.replace_substring(texts, "\\", "/"), r"^(\./|/)+", "")


def as_strings(names: Names) -> pa.StringArray:
    """Names of files as Arrow's strings."""
    return pa.array(names.tolist(), pa.binary()).cast(pa.string())


def best_rule(texts: pa.StringArray, files: pa.StringArray) -> tuple[Rule, float]:
    """The strictest rule by which most of the texts name one file each, and their share, from evenly spread texts."""
    step = max(1, len(texts) // _SAMPLE)
    sample = as_paths(texts.take(pa.array(np.arange(0, len(texts), step))))
    deepest = 1 + int(pc.max(pc.count_substring(files, "/")).as_py() or 0)
    depths = [None, *range(deepest, 0, -1)]
    best, share = Rule(1), 0.0
    rules = [Rule(d, ending, case) for ending, case, d in product((True, False), (True, False), depths)]
    for rule in (*rules, Rule(1, with_zeros=False), Rule(1, with_ending=False, with_zeros=False)):
        found = float((_found(rule, sample, files) >= 0).mean())
        if found > share:
            best, share = rule, found
        if share == 1:
            break
    return best, share


def matched(texts: pa.StringArray, files: pa.StringArray, rule: Rule) -> NDArray[np.int64]:
    """The file of each text, (n,); -1 where no file, or more than one, has this name."""
    return _found(rule, as_paths(texts), files)


def _found(rule: Rule, paths: Any, files: pa.StringArray) -> NDArray[np.int64]:
    keys = rule.keys(files)
    found = pc.fill_null(pc.index_in(rule.keys(paths), value_set=keys), -1).to_numpy().astype(np.int64)
    counts = pc.value_counts(keys)
    several = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if len(several):
        ambiguous = pc.is_in(keys, value_set=several).to_numpy(zero_copy_only=False)
        found[(found >= 0) & ambiguous[found]] = -1
    return found
