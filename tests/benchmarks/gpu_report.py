"""The tables of ``python -m tests.benchmarks gpu``, from the content of its file."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

AIM_HUNDRED_EPOCHS_S = 60
AIM_OF_EIGHT = 5
"""Throughput of eight cells at once relative to one."""


def show(found: dict[str, Any]) -> None:
    """Print every part that there is."""
    console = Console(width=120)
    console.print(", ".join(f"{name} {value}" for name, value in found["machine"].items()))
    for name in ("tests", "tests of compiling"):
        if name in found:
            console.print(
                f"{name}: {found[name]['summary']}", *found[name]["failures"], sep="\n", markup=False
            )
    if "epochs" in found:
        console.print(epochs_table(found["epochs"]))
        without_number(console, found["epochs"])
    for name in [name for name in found if name.startswith("speed")]:
        console.print(speed_table(found[name]))
        without_number(console, found[name])
    if "profile" in found:
        for line in found["profile"]:
            console.print(profile_table(line) if "longest" in line else line["failed"], markup=False)
    for name in ("packed", "packed under MPS"):
        if name in found:
            console.print(packed_table(name, found[name]))
    if "not begun" in found:
        console.print(f"not begun for lack of time: {', '.join(found['not begun'])}")


def table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left")
    return made


def without_number(console: Console, lines: list[dict[str, Any]]) -> None:
    """What was refused or failed, a line each."""
    for line in filter(outcome, lines):
        console.print(f"{line['system']} {line['variant']}: {outcome(line)}", markup=False)


def outcome(line: dict[str, Any]) -> str | None:
    """Why there is no number."""
    return line.get("refused") or line.get("failed")


def epochs_table(lines: list[dict[str, Any]]) -> Table:
    """An epoch of CelebA's size."""
    made = table(
        f"An epoch of the loop (the aim: 100 in {AIM_HUNDRED_EPOCHS_S} s)",
        "", "s per epoch", "images/s", "s to the first record", "100 epochs, s",
    )  # fmt: skip
    for line in lines:
        name = f"{line['system']}, {line['variant']}"
        if outcome(line):
            continue
        made.add_row(
            name,
            f"{line['seconds_per_epoch']:.3f}",
            f"{line['images_per_second']:,.0f}",
            f"{line['seconds_to_first_record']:.1f}",
            f"{line['hundred_epochs_s']:.1f}",
        )
    return made


def speed_table(lines: list[dict[str, Any]]) -> Table:
    """Steps of systems in variants, each relative to the system's first."""
    made = table(
        "A training step on one batch", "", "images/s", "ms", "ratio to its first", "peak MiB", "s to start"
    )
    first: dict[str, float] = {}
    for line in lines:
        name = f"{line['system']}, {line['variant']}"
        if outcome(line):
            continue
        base = first.setdefault(line["system"], line["images_per_second"])
        made.add_row(
            f"{name} ({line['precision']})",
            f"{line['images_per_second']:,.0f}",
            f"{line['ms_per_step']:.3f}",
            f"{line['images_per_second'] / base:.2f}",
            "" if line["peak_MiB"] is None else f"{line['peak_MiB']:,.0f}",
            f"{line['seconds_to_start']:.1f}",
        )
    return made


def profile_table(line: dict[str, Any]) -> Table:
    """The longest operations of a step."""
    made = table(
        f"{line['system']}, {line['variant']}: device busy {line['busy_ms_per_step']:.3f} ms of"
        f" {line['ms_per_step_while_profiled']:.3f} ms per step, {line['kernels_per_step']:.0f} operations",
        "operation", "ms per step", "per step",
    )  # fmt: skip
    for name, milliseconds, count in line["longest"]:
        made.add_row(name, f"{milliseconds:.4f}", f"{count:.1f}")
    return made


def packed_table(name: str, lines: list[dict[str, Any]]) -> Table:
    """Several processes at once, relative to the first."""
    made = table(
        f"Processes at once, {name} (the aim: eight at {AIM_OF_EIGHT} times the throughput of one)",
        "processes", "images/s of all", "ratio to the first", "slowest", "failures",
    )  # fmt: skip
    base = lines[0]["images_per_second"] or float("nan")
    for line in lines:
        made.add_row(
            str(line["processes"]),
            f"{line['images_per_second']:,.0f}",
            f"{line['images_per_second'] / base:.2f}",
            f"{min(line['each'], default=0):,.0f}",
            "; ".join(line["failures"]),
        )
    return made
