"""What each column of a table is: names, a label, a factor, a split, a group; as told, or guessed and said."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.errors import RawDataError
from data_prep.sources.own_pictures.label_values import MOST_VALUES, LabelValues, label_values
from data_prep.sources.own_pictures.table import Column, Table
from data_prep.sources.own_pictures.words import SPLIT_NUMBERS, plain, split_named

AUTO, NONE = "auto", "none"
_MOST_GUESSED_VALUES, _MOST_GUESSED_NUMBERS = 50, 20
"""A column with more different values, or with more numbers that are not 0, 1, 2, ..., is no label unless named as one."""
_SPLIT_NAMES = frozenset(("split", "partition"))
"""Columns that say the split, even by number; in others all values have to be words for splits."""
_GROUP_NAMES = frozenset(
    f"{who}{mark}" for who in (
        "patient", "subject", "person", "participant", "identity", "celeb", "individual", "speaker", "group",
    ) for mark in ("", "id", "_id", " id", "-id")
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Roles:
    """The columns by what they are for."""

    labels: Mapping[str, LabelValues]
    factors: tuple[str, ...]
    reference: str | None
    group: str | None
    split: str | None
    left_out: Mapping[str, str]
    """column → why"""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The user's options on columns: ``auto``, ``none``, or names."""

    labels: str = AUTO
    factors: str = NONE
    reference: str = NONE
    group: str = AUTO
    split: str = AUTO


def roles_of(table: Table, wanted: Wanted, unknown: frozenset[str] | None, names: str | None) -> Roles:
    """Decide for each column; ``names`` is the one that names the pictures.

    ``RawDataError`` where an option names a column that is not there, or that cannot be what it is to be.
    """
    free = [name for name in table.columns if name != names]
    split = _single(table, "split", wanted.split) if wanted.split != AUTO else _guessed_split(table, free)
    if split is not None:
        unsplit = next((t for t in _texts(table.columns[split]) if split_of(t, split) is None), None)
        if unsplit is not None:
            raise RawDataError(
                f"{table.where}: the split {unsplit!r} in column {split} is none of train, valid and test: "
                "split=COLUMN names another column, split=none divides by a hash"
            )
    reference = _single(table, "reference", wanted.reference)
    factors = _several(table, "factors", wanted.factors)
    group = _single(table, "group", wanted.group) if wanted.group != AUTO else _guessed_group(table, free)
    taken = {split, reference, group, *factors}
    labels, left_out = dict[str, LabelValues](), dict[str, str]()
    if wanted.labels != AUTO:
        for name in _several(table, "labels", wanted.labels):
            labels[name] = _told_label(table, name, unknown)
    else:
        for name in (name for name in free if name not in taken):
            found = _guessed_label(table, name, unknown)
            if isinstance(found, str):
                left_out[name] = found
            else:
                labels[name] = found
    if not labels:
        shown = "; ".join(f"{name}: {why}" for name, why in left_out.items()) or "it has no other columns"
        raise RawDataError(
            f"{table.where} has no column of labels ({shown}): labels=COLUMN,COLUMN names them"
        )
    return Roles(
        labels=labels, factors=factors, reference=reference, group=group, split=split, left_out=left_out
    )


def split_of(text: str, column: str) -> str | None:
    """The split that a text of a column means; numbers as in CelebA's partition."""
    return split_named(text) or (SPLIT_NUMBERS.get(plain(text)) if column else None)


def factor_values(table: Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The numbers of a column (n,); ``RawDataError`` naming the row that has none."""
    column, numbers = table.columns[name], []
    for text in column.texts.to_pylist():
        try:
            numbers.append(float(text if "." in text else text.replace(",", ".")))
        except ValueError:
            numbers.append(float("nan"))
    values = np.array(numbers)[column.codes]
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise RawDataError(
            f"{table.row(int(bad[0]))}: {name} is {column.text(int(bad[0]))!r}, but a factor is a number in every row"
        )
    return values.astype(np.float32)


def _told_label(table: Table, name: str, unknown: frozenset[str] | None) -> LabelValues:
    texts = table.columns[name].texts
    if len(texts) > MOST_VALUES * 4:
        raise RawDataError(f"{table.where}: {name} has {len(texts):,} different values, too many for a label")
    found = _named(table, name, label_values(name, texts.to_pylist(), unknown))
    if not 2 <= found.spec.cardinality <= MOST_VALUES:
        few = "only one value" if found.spec.cardinality == 1 else f"{found.spec.cardinality} values"
        raise RawDataError(f"{table.where}: {name} has {few}, but a label has 2 to {MOST_VALUES}")
    return found


def _guessed_label(table: Table, name: str, unknown: frozenset[str] | None) -> LabelValues | str:
    """The values of a column that looks like a label, or why it does not."""
    texts = table.columns[name].texts
    sample = texts[: 2 * _MOST_GUESSED_VALUES].to_pylist()
    kind = "numbers" if all(_is_number(text) for text in sample if text) else "texts"
    as_factor = f" (factors={name} takes them as a factor)" if kind == "numbers" else ""
    if len(texts) > len(sample):
        return f"{len(texts):,} different {kind}{as_factor}"
    found = _named(table, name, label_values(name, sample, unknown))
    count = found.spec.cardinality
    if count < 2:
        return f"only one value, {found.spec.values[0]}" if count else "no known value"
    numbers = kind == "numbers" and found.spec.values != tuple(map(str, range(count)))
    measured = numbers and (count > _MOST_GUESSED_NUMBERS or any("." in value for value in found.spec.values))
    if measured or count > _MOST_GUESSED_VALUES or 2 * count > max(len(table), 5):
        return f"{count} different {kind}{as_factor or f' (labels={name} takes it all the same)'}"
    return found


def _named(table: Table, name: str, found: LabelValues) -> LabelValues:
    """With the class names that the file has for the numbers 0, 1, ..., including those that no row has."""
    names = table.value_names.get(name)
    values = ("0", "1") if found.spec.values == ("no", "yes") else found.spec.values
    if names is None or not all(value.isdecimal() and int(value) < len(names) for value in values):
        return found
    numbers = [int(value) for value in values]
    new = np.array(numbers, dtype=np.uint8)
    spec = type(found.spec)(name, len(names), names)
    return LabelValues(
        spec=spec, value=new[found.value], known=found.known, unknown_words=found.unknown_words
    )


def _guessed_split(table: Table, names: Sequence[str]) -> str | None:
    for name in names:
        texts = [text for text in _texts(table.columns[name]) if text]
        by_words = bool(texts) and all(split_named(text) for text in texts)
        # Where only some are known, the others are refused rather than taken for values of a label.
        by_name = plain(name) in _SPLIT_NAMES and any(split_of(text, name) for text in texts)
        if by_words or by_name:
            return name
    return None


def _guessed_group(table: Table, names: Sequence[str]) -> str | None:
    for name in names:
        if plain(name) in _GROUP_NAMES and 1 < len(table.columns[name].texts) < len(table):
            return name
    return None


def _texts(column: Column) -> list[str]:
    """The different texts of a column that has few."""
    return [] if len(column.texts) > _MOST_GUESSED_VALUES else column.texts.to_pylist()


def _single(table: Table, option: str, wanted: str) -> str | None:
    return None if wanted in (NONE, AUTO) else column_named(table, option, wanted)


def _several(table: Table, option: str, wanted: str) -> tuple[str, ...]:
    if wanted in (NONE, AUTO):
        return ()
    names = tuple(column_named(table, option, part) for part in wanted.split(","))
    if len(set(names)) < len(names):
        raise RawDataError(f"{option}={wanted} names a column twice")
    return names


def column_named(table: Table, option: str, wanted: str) -> str:
    """The column that an option names, in any case of letters; ``RawDataError`` with the ones that are there."""
    columns = {plain(name): name for name in table.columns}
    if wanted.strip() in table.columns:
        return wanted.strip()
    if plain(wanted) in columns:
        return columns[plain(wanted)]
    close = difflib.get_close_matches(plain(wanted), columns, n=1)
    meant = f"did you mean {columns[close[0]]}? " if close else ""
    raise RawDataError(
        f"{table.where} has no column {wanted.strip()!r}, which {option} names: {meant}it has {', '.join(columns.values())}"
    )


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def observed_counts(column: Column, found: LabelValues) -> tuple[list[int], int]:
    """Rows of each value, and rows where the label is unknown."""
    value, known = found.value[column.codes], found.known[column.codes]
    counts = np.bincount(value[known], minlength=found.spec.cardinality).tolist()
    return counts, int((~known).sum())
