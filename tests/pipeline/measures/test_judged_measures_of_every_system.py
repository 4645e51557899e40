"""Every measure that rests on label readers, of every system that it applies to, judged by real (untrained) readers."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from data_prep.manifest import Manifest
from pipeline.measures.applies import why_not
from pipeline.measures.attribute_switching import AttributeSwitching
from pipeline.measures.characteristic_swap import CharacteristicSwap
from pipeline.measures.frechet_classifier import FrechetClassifier
from pipeline.measures.generation_accuracy import GenerationAccuracy
from pipeline.measures.label_readers import LabelReaders
from pipeline.measures.measure import Measure
from pipeline.measures.naturalness import Naturalness
from pipeline.measures.single_interventions import SingleInterventions
from pipeline.models.label_reader import LabelReaderConfig
from pipeline.models.registry import PRESETS
from tests.pipeline.measures.painted import Painted
from tests.pipeline.models.every_system import DATA, REFUSED, Case

MEASURES: tuple[Measure, ...] = (
    CharacteristicSwap(images=9, partners=2),
    SingleInterventions(images=9),
    GenerationAccuracy(images=9),
    FrechetClassifier(images=9, labels="data"),
    Naturalness(images=8, patches=4, directions=8),
    AttributeSwitching(images=9),
)


class Noise(Painted):
    """Pictures of noise, 28 x 28, some of whose labels are not known."""

    def described(self) -> Manifest:
        return replace(super().described(), image_shape=(1, 28, 28))

    def pictures(self, rows: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(0)
        return rng.integers(256, size=(len(self), 1, 28, 28), dtype=np.uint8)[rows]


@cache
def readers(data: str) -> LabelReaders:
    torch.manual_seed(0)
    members = [LabelReaderConfig(channels=4).build(DATA[data]).eval() for _ in range(2)]
    return LabelReaders(("one", "other"), tuple(members), 16)


def one_per_system() -> list[Case]:
    cases = [Case(preset, "digits" if (preset, "mixed") in REFUSED else "mixed") for preset in PRESETS]
    return list({case.system: case for case in reversed(cases)}.values())


APPLY = {
    "ccvae": 5, "m2": 5, "m3": 5, "mvae": 5, "diva": 5, "csvae": 6, "cond_vae": 5, "vae": 1, "label_reader": 0
}  # fmt: skip
"""How many of these measures apply to a system."""


@pytest.mark.parametrize("case", one_per_system(), ids=str)
@torch.no_grad()
def test_what_applies_has_finite_numbers(case: Case) -> None:
    world = Noise.drawn(case.shape.cardinalities, 60 if case.data == "digits" else 30)
    if case.shape.partly_observed:
        world.observed[::4, 0] = False
    model = case.build(network="mlp").eval()
    view = world.view(model, readers(case.data))
    applying = [
        each for each in MEASURES if why_not(each.needs, model, world.manifest, has_readers=True) is None
    ]
    assert len(applying) == APPLY.get(case.system, len(applying))
    for measure in applying:
        torch.manual_seed(0)
        found = measure(view)
        assert found.numbers.keys() <= measure.metrics.keys()
        assert found.counts.keys() <= found.numbers.keys()
        assert found.numbers["reader_accuracy"] == view.readers.quality(view.examples)
        assert all(
            math.isfinite(value) or "condition_number" in name for name, value in found.numbers.items()
        )
