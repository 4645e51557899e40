"""Rates of several things measured in turn, so that drifts of the machine's speed affect all equally."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.table import Table


def rates(
    contenders: Mapping[str, Callable[[], int]],
    rounds: int = 7,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Units per second of each contender in each round, after one round that does not count.

    A contender does some work and returns how many units that was.
    """
    measured: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, work in contenders.items():
            began = clock()
            units = work()
            if number:
                measured[name].append(units / (clock() - began))
    return measured


def show(title: str, measured: Mapping[str, list[float]], unit: str) -> None:
    """Print medians, spread, and the median of the ratio to the first contender, round by round."""
    base = next(iter(measured.values()))
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in (f"{unit}/s, median", "lowest to highest", "ratio to the first"):
        table.add_column(column, justify="right")
    for name, values in measured.items():
        ratio = statistics.median(value / first for value, first in zip(values, base, strict=True))
        table.add_row(
            name,
            f"{statistics.median(values):,.0f}",
            f"{min(values):,.0f} to {max(values):,.0f}",
            f"{ratio:.2f}",
        )
    Console(width=110).print(table)
