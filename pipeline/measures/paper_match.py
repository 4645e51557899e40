"""Which rows of the papers' tables are compared with a run, and how the run differs from the paper's settings.

A row belongs to a run of its data set, unaltered (``data.options``), whose model is one of the row's presets and that has
the settings that distinguish the paper's rows: the sizes of the latents (ReVAE's ``revae``, ``revae_10``, ``revae_20``), one
label per class, a constant supervision rate. Other runs have no paper value.

Deviations from everything else that a paper states, or that its preset or recipe has if the paper does not, are *listed*:
epochs, learning rate and its milestones, the estimator and every other setting of the model. What no paper's numbers are
said to depend on is not compared: seeds, precision, ranks, device, compilation, the loader, checkpoints; nor is the batch
size, which of these papers only Klys et al. and Ruiz et al. state, nor a strength of regularisation of which the paper
has the best of several.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.measures.paper_settings import SETTINGS, PaperSetting
from pipeline.measures.papers import PaperValue

_UNALTERED = {"data.options": "()", "data.supervision_schedule": "()", "data.one_per_class": "False"}
"""What all rows have in common unless stated otherwise."""
_BEFORE = {**_UNALTERED, "model.label_latents": "()"}
"""Values for runs recorded before a param existed."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """A setting in which the run differs from the paper."""

    name: str
    paper: str
    here: str

    def __str__(self) -> str:
        return f"{self.name}: paper {self.paper}, here {self.here}"


@dataclass(frozen=True, slots=True)
class Match:
    """A paper's rows that belong to a run."""

    setting: PaperSetting
    deviations: tuple[Deviation, ...]

    def curve(self, dataset: str, metric: str) -> dict[float, PaperValue]:
        """The paper's numbers by supervision rate; empty for a row that has no rate."""
        curve: dict[float, PaperValue] = {}
        for number in self.setting.numbers(dataset, metric):
            if number.supervision_rate is not None:
                curve.setdefault(number.supervision_rate, number)
        return dict(sorted(curve.items()))

    def number(self, dataset: str, supervision_rate: float, metric: str) -> PaperValue | None:
        """The paper's number for exactly this setting; None if there is none."""
        if self.setting.row is not None:
            return next(self.setting.numbers(dataset, metric), None)
        for rate, number in self.curve(dataset, metric).items():
            if math.isclose(rate, supervision_rate, rel_tol=1e-6):
                return number
        return None


def has_numbers(dataset: str) -> bool:
    """Whether any paper's rows are of this data set."""
    return any(dataset in setting.datasets for setting in SETTINGS)


def matches(
    params: Mapping[str, str], preset: str, preset_deviations: Mapping[str, str]
) -> tuple[Match, ...]:
    """The rows that belong to a run.

    Args:
        params: of the run, by dotted name.
        preset: the nearest preset of its model.
        preset_deviations: the preset's values that the model's differ from, by dotted name.
    """
    return tuple(
        Match(setting, tuple(_deviations(setting, params, preset, preset_deviations)))
        for setting in SETTINGS
        if params.get("data.name") in setting.datasets
        and preset in (*setting.presets, *setting.related)
        and all(
            _equal(params.get(name, _BEFORE.get(name, "")), value)
            for name, value in {**_UNALTERED, **setting.decides}.items()
        )
    )


def _deviations(
    setting: PaperSetting, params: Mapping[str, str], preset: str, preset_deviations: Mapping[str, str]
) -> Iterator[Deviation]:
    if preset in setting.related:
        yield Deviation("preset", setting.presets[0], preset)
    stated = {**preset_deviations, **setting.states}
    sections = ("training.", "optimiser.")  # listed first
    for name in sorted(
        set(stated) - {*setting.decides, *setting.tried},
        key=lambda name: (not name.startswith(sections), name),
    ):
        here = params.get(name)
        if here is not None and not _equal(here, stated[name]):
            yield Deviation(name.rpartition(".")[2], stated[name], here)


def _equal(one: str, other: str) -> bool:
    try:
        return one == other or math.isclose(float(one), float(other), rel_tol=1e-6)
    except ValueError:
        return False
