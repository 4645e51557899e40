"""Short names of variants: what most of them have in common is stated once, not in each name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from pipeline.measures.short_numbers import short_numbers
from pipeline.measures.summary import Row

COMMON = "common"
"""Name of the variant with only the common settings."""


def short_variants(rows: Sequence[Row]) -> dict[str, list[str]]:
    """By a row's ``variant``: its settings that differ from the common ones, as ``name=value``.

    Two variants of a kind differ in a setting, in which at most one has the common value, so their names differ too.
    """
    common, short, shown = _common(rows), _short_names(rows), _shown_values(rows)
    return {
        row.variant: [
            f"{short[name]}={shown[name][value]}" for name, value in row.settings if common.get(name) != value
        ]
        or [COMMON] * bool(row.settings)
        for row in rows
    }


def what_is_common(rows: Sequence[Row]) -> str:
    """The settings that the names of ``short_variants`` leave out, as a sentence; empty if there are none."""
    common, short, shown = _common(rows), _short_names(rows), _shown_values(rows)
    said = ", ".join(f"{short[name]}={shown[name][value]}" for name, value in common.items())
    return f"unless stated otherwise: {said}" if said else ""


def _common(rows: Sequence[Row]) -> dict[str, str]:
    """Param → the value of more than half of the variants, among params that differ."""
    kinds = {(row.dataset, row.system, row.epochs, row.settings) for row in rows}
    values: dict[str, Counter[str]] = {}
    for *_, settings in sorted(kinds):
        for name, value in settings:
            values.setdefault(name, Counter())[value] += 1
    most = {name: counts.most_common(1)[0] for name, counts in values.items()}
    return {name: value for name, (value, count) in most.items() if 2 * count > values[name].total()}


def _short_names(rows: Sequence[Row]) -> dict[str, str]:
    """Param → its name without the section, if it is unique."""
    names = {name for row in rows for name, _ in row.settings}
    ends = Counter(name.rpartition(".")[2] for name in names)
    return {name: end if ends[end := name.rpartition(".")[2]] == 1 else name for name in names}


def _shown_values(rows: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Param → each of its values as it is shown."""
    values: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for name, value in row.settings:
            values[name].append(value)
    return {name: short_numbers(found) for name, found in values.items()}
