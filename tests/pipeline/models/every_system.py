"""Every preset of the registry, narrow, on each kind of data that this project has: cases for tests of all systems.

A system that is added to the registry is in these tests by that alone. Where one does not take a kind of data, ``REFUSED``
says so; there is no other way out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.data.batch import Batch
from pipeline.models.interface import DataSpec, HasLaterTerms, HasSchedule, KeepsExamples
from pipeline.models.parts.class_draws import ClassDistribution
from pipeline.models.registry import PRESETS

NARROW = {"hidden_width": 8, "predictive_samples": 3, "adversary_width": 8, "label_width": 8, "channels": 8}
"""Of the fields that a system has of these."""
ONE_CLASS_LABEL = r"needs a data set with one class label; this one has \d+ labels"
NO_DOMAIN = "needs a data set with a domain and at least one other label; this one has 1 labels"
REFUSED: dict[tuple[str, str], str] = {
    ("revae-one-per-class", "faces"): ONE_CLASS_LABEL,
    ("revae-one-per-class", "radiographs"): ONE_CLASS_LABEL,
    ("revae-one-per-class", "mixed"): ONE_CLASS_LABEL,
    ("diva_original", "digits"): NO_DOMAIN,
}
"""The message for a kind of data that a preset does not support."""


def shape(image: tuple[int, int, int], cardinalities: tuple[int, ...], *, partly_observed: bool) -> DataSpec:
    """Data whose values differ in how often they occur."""
    return DataSpec(
        image_shape=image,
        cardinalities=cardinalities,
        label_frequencies=tuple(
            tuple((1 + value) / (count * (count + 1) / 2) for value in range(count))
            for count in cardinalities
        ),
        partly_observed=partly_observed,
        training_rows=1000,
    )


DATA = {
    "digits": shape((1, 28, 28), (10,), partly_observed=False),
    "faces": shape((3, 64, 64), (2,) * 18, partly_observed=False),
    "radiographs": shape((1, 64, 64), (2,) * 5, partly_observed=True),
    # The third value of its class label is the absence of the other four.
    "mixed": replace(shape((1, 28, 28), (2, 5, 2), partly_observed=True), neutral_values=(None, 2, None)),
}
SIZE = 4
LABELLED = {"some": 2, "none": 0, "all": SIZE}
"""How many rows of a batch have labels."""


@dataclass(frozen=True)
class Case:
    """A preset on a kind of data that it supports."""

    preset: str
    data: str

    def __str__(self) -> str:
        return f"{self.preset}-{self.data}"

    @property
    def shape(self) -> DataSpec:
        return DATA[self.data]

    @property
    def system(self) -> str:
        return PRESETS[self.preset].config().system

    def build(self, **options: Any) -> nn.Module:
        """A narrow model, its weights a function of the preset and the default dtype alone."""
        torch.manual_seed(0)
        model = narrow(self.preset, **options).build(self.shape)
        return ready(model, self.shape)


SEES_NO_LABELS = {"rb_vae", "srb_vae", "svae", "mathieu"}
"""To them, kinds of data that differ in their labels alone are the same."""
# ``…-ruiz`` are systems that see no labels, too, with other networks.
OF_DIFFERENT_IMAGES = ("digits", "radiographs")
OF_OWN_READINGS = {"ccvae-consistent": ("radiographs", "mixed"), "ccvae-few-labels": ("digits", "mixed")}
"""Presets that add a term to another preset, and the kinds of data on which that is tried."""
CASES = [
    case
    for case in (Case(preset, data) for preset in PRESETS for data in DATA)
    if (case.preset, case.data) not in REFUSED
    and case.data in OF_OWN_READINGS.get(case.preset, DATA)
    and (case.system not in SEES_NO_LABELS or case.data in OF_DIFFERENT_IMAGES)
    and (not case.preset.endswith("-ruiz") or case.data == "digits")
]


def narrow(preset: str, **options: Any) -> Any:
    """The configuration of a preset with small networks, and others of its fields that have these names."""
    config: Any = PRESETS[preset].config()
    names = {field.name for field in fields(config)}
    return replace(config, **{name: value for name, value in (NARROW | options).items() if name in names})


def ready(model: nn.Module, data: DataSpec) -> nn.Module:
    """The model, initialised as by the loop before a step in the middle of any warm-up, when all terms have begun."""
    if isinstance(model, HasSchedule):
        model.begin_epoch(50)
    if isinstance(model, HasLaterTerms):
        model.begin_step(step=10_000, epoch=50)
    if isinstance(model, KeepsExamples):
        classes = data.cardinalities[0]
        model.keep_examples(
            Batch(
                image=images(data, classes, seed=1),
                labels=torch.arange(classes, dtype=torch.uint8)[:, None],
                observed=torch.ones(classes, 1, dtype=torch.bool),
                labelled=classes,
            )
        )
    return model


@cache
def model_of(case: Case) -> nn.Module:
    """A model shared by all tests that do not change it."""
    return case.build()


def images(data: DataSpec, rows: int, seed: int = 0) -> Tensor:
    """Random pictures."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (rows, *data.image_shape), dtype=torch.uint8, generator=generator)


def labels(data: DataSpec, rows: int, seed: int = 0) -> Tensor:
    """Random values of every label."""
    generator = torch.Generator().manual_seed(seed)
    columns = [
        torch.randint(count, (rows, 1), dtype=torch.uint8, generator=generator)
        for count in data.cardinalities
    ]
    return torch.cat(columns, dim=1)


def batch_of(data: DataSpec, labelled: int = 2, rows: int = SIZE) -> Batch:
    """A batch with so many labelled rows; where labels may be observed in part, the second row has one alone.

    The same rows are references, for systems that draw them.
    """
    observed = (torch.arange(rows)[:, None] < labelled).expand(-1, len(data.cardinalities)).clone()
    if data.partly_observed and labelled > 1:
        observed[1, 1:] = False
    return Batch(
        image=images(data, rows),
        labels=labels(data, rows),
        observed=observed,
        labelled=labelled,
        references=labelled,
    )


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch on another device."""
    return Batch(
        image=batch.image.to(device),
        labels=batch.labels.to(device),
        observed=batch.observed.to(device),
        labelled=batch.labelled,
        references=batch.references,
    )


def row_of(batch: Batch, row: int) -> Batch:
    """One row of a batch as a batch of its own."""
    one = slice(row, row + 1)
    return Batch(
        image=batch.image[one],
        labels=batch.labels[one],
        observed=batch.observed[one],
        labelled=int(row < batch.labelled),
        references=int(row < batch.references),
    )


def take_noise_out(assign: Callable[[Any, str, Any], None]) -> None:
    """Every sample of a Gaussian becomes its mean, of a label its most probable value; the rest is deterministic."""
    assign(torch, "randn", lambda *shape, **_: torch.zeros(*shape))
    assign(torch, "randn_like", torch.zeros_like)
    assign(torch, "rand", lambda *shape, **_: torch.full(shape, 0.5))
    assign(ClassDistribution, "sample", lambda self: self.probs.argmax(-1))


def fix_noise(assign: Callable[[Any, str, Any], None]) -> None:
    """Noise that is the same in every dtype, call by call from here on."""
    calls = iter(range(10**6))

    def normal(*shape: int, **_: Any) -> Tensor:
        generator = torch.Generator().manual_seed(next(calls))
        drawn = torch.empty(shape, dtype=torch.float64).normal_(generator=generator)
        return drawn.to(torch.get_default_dtype())

    assign(torch, "randn", normal)
    assign(torch, "randn_like", lambda values: normal(*values.shape))
    assign(torch, "rand", lambda *shape, **_: torch.full(shape, 0.5))
    assign(ClassDistribution, "sample", lambda self: self.probs.argmax(-1))
