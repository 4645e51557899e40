"""The data section of a run: which data set, and how many of its labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from data_prep.counted import counted
from pipeline.field_checks import NOT_IDENTITY, check, check_at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """The data set, and how many of its labels are used."""

    name: Annotated[str, tyro.conf.arg(name="data")] = "fashion_mnist"
    """Name of the data set (the help of `prepare` lists them)."""
    options: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")] = ()
    """Options of the data set, as listed by the dry run of `prepare`: `--options count=6000 seed=1`."""
    folder: Annotated[str, tyro.conf.Suppress] = field(default="", metadata=NOT_IDENTITY)
    """Folder of the prepared data set; found or prepared by the launcher if empty."""
    supervision_rate: float = 1.0
    """Share f of the training examples whose labels are used."""
    supervision_schedule: tuple[tuple[int, float], ...] = ()
    """Later values of f, each after a number of epochs: with `40 0.5 80 0.1`, f is 0.5 after 40 epochs and 0.1
    after 80. The labelled examples at a smaller f are a subset of those at a larger one."""
    one_per_class: bool = False
    """Use the label of one example per class, for any f; with `--supervision-rate 0` nothing else is labelled."""
    label_seed: int | None = None
    """Seed of the labelled subset; None: the run's seed."""
    loader: Literal["auto", "resident", "arrow", "ffcv"] = field(default="auto", metadata=NOT_IDENTITY)
    """How images reach the device; all give the same examples. `auto`: resident if they fit, else arrow."""

    def __post_init__(self) -> None:
        check_at_least(0, self, "label_seed")
        check(
            0 <= self.supervision_rate <= 1,
            f"supervision_rate is {self.supervision_rate}; it is a share, 0 to 1",
        )
        epoch = 0
        for begin, rate in self.supervision_schedule:
            shown = f"supervision_schedule has {rate} after {counted(begin, 'epoch')}"
            check(0 <= rate <= 1, f"{shown}; it is a share, 0 to 1")
            check(begin > epoch, f"{shown}; they must be more than {epoch}")
            epoch = begin
        check(
            self.supervision_rate < 1 or not self.one_per_class,
            f"one_per_class adds no label to those of supervision_rate={self.supervision_rate:g}; set 0 for one label"
            " per class",
        )

    @property
    def supervision_rates(self) -> tuple[float, ...]:
        """The initial share f, and those of the schedule."""
        return self.supervision_rate, *(rate for _, rate in self.supervision_schedule)

    def supervision_rate_in(self, epoch: int) -> float:
        """Share f of an epoch, counted from 0."""
        return self.supervision_rates[sum(begin <= epoch for begin, _ in self.supervision_schedule)]
