from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from pipeline.measures.applies import why_not
from pipeline.measures.needs import Needs
from tests.pipeline.measures.all_able import AllAble


@pytest.mark.parametrize(
    ("needs", "reason"),
    [
        (Needs(), None),
        (Needs(capabilities=("Reconstructs",)), "the system lacks the capability Reconstructs"),
        (Needs(columns=("labels", "factors", "ids", "reference")), None),
        (Needs(columns=("regions",)), "colour_rows has no regions"),
        (
            Needs(extras=("label_readers",)),
            "no label readers are named (python launch/measure.py trains them)",
        ),
    ],
)
def test_what_is_missing_is_named(examples, needs: Needs, reason: str | None) -> None:
    assert why_not(needs, nn.Identity(), examples.data.manifest) == reason


def test_a_model_that_can_do_it_all_lacks_nothing(examples) -> None:
    needs = Needs(capabilities=("Classifies", "BoundsLikelihood", "Reconstructs", "Intervenes", "Traverses"))
    assert why_not(needs, AllAble(), examples.data.manifest) is None


def test_data_without_labels_and_factors_lack_them(examples) -> None:
    bare = replace(examples.data.manifest, labels=(), factors=())
    assert why_not(Needs(columns=("labels",)), AllAble(), bare) == "colour_rows has no labels"
    assert why_not(Needs(columns=("factors",)), AllAble(), bare) == "colour_rows has no factors"
