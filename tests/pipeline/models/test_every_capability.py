"""Every capability that a system in the registry has: its shapes and its range (``test_every_contract`` has the rest)."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.data.batch import Batch
from pipeline.models import capabilities, interface
from pipeline.pages.explored_cell import uses_labels
from tests.pipeline.models.every_system import CASES, SIZE, Case, images, labels, model_of

CAPABILITIES = (
    capabilities.NeedsLabels,
    capabilities.BoundsLikelihood,
    capabilities.WeighsImportance,
    capabilities.Classifies,
    capabilities.Encodes,
    capabilities.HasLabelLatents,
    capabilities.HasCentres,
    capabilities.Reconstructs,
    capabilities.GeneratesFromLabels,
    capabilities.EncodesFactors,
    capabilities.HasReference,
    capabilities.Intervenes,
    capabilities.SwitchesAttribute,
    capabilities.FlipsClosest,
    capabilities.SwapsCharacteristics,
    capabilities.Traverses,
)


def cases_with(capability: type) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", [case for case in CASES if isinstance(small_model_of(case), capability)], ids=str
    )


@cache
def small_model_of(case: Case) -> nn.Module:
    """Quickly built: what it can do does not depend on its networks."""
    return case.build(network="mlp")


def assert_pictures(found: Tensor, *shape: int) -> None:
    assert found.shape == shape
    assert found.dtype == torch.float32
    assert (found >= 0).all()
    assert (found <= 1).all()


ALWAYS = {"BoundsLikelihood", "Reconstructs", "Encodes"}
CHANGES = {"GeneratesFromLabels", "Intervenes"}
READS = {"Classifies"}
WEIGHS = {"WeighsImportance"}  # systems whose posterior takes no labels
PLACES = {"HasLabelLatents"}
OWN_LATENTS = {"EncodesFactors", "SwapsCharacteristics"} | PLACES
PATHS = {"Traverses", "HasCentres"}
TARGETS = {"EncodesFactors", "SwapsCharacteristics"}
REFERENCES = TARGETS | {"HasReference"}
ATTRIBUTES = {"SwitchesAttribute", "NeedsLabels"} | PLACES
CAN = {
    "ccvae": ALWAYS | CHANGES | READS | WEIGHS | OWN_LATENTS | PATHS,
    "ccvae_one_per_class": ALWAYS | CHANGES | READS | WEIGHS | OWN_LATENTS | PATHS,
    "m3": ALWAYS
    | CHANGES
    | READS
    | WEIGHS
    | OWN_LATENTS
    | {"FlipsClosest"},  # its labels have no mean to walk to
    "m2": ALWAYS | CHANGES | READS | WEIGHS | PLACES | {"SwapsCharacteristics"},  # labels have no latents
    "mvae": ALWAYS | CHANGES | READS | WEIGHS | {"SwapsCharacteristics"},  # labels have no place in its code
    "diva": ALWAYS | CHANGES | READS | WEIGHS | OWN_LATENTS | PATHS,
    "diva_original": ALWAYS | CHANGES | READS | WEIGHS | OWN_LATENTS | PATHS | {"HasSchedule"},
    "vae": ALWAYS | WEIGHS | {"SwitchesAttribute"},  # by the means of a split: it sees no labels
    # Nothing predicts a label from an image, in these three.
    "cond_vae": ALWAYS | CHANGES | ATTRIBUTES | PATHS,
    "cond_vae_info": ALWAYS | CHANGES | ATTRIBUTES | PATHS | {"HasAdversaries"},
    "csvae": ALWAYS | CHANGES | ATTRIBUTES | OWN_LATENTS | PATHS | {"HasAdversaries"},
    # No latent of theirs belongs to a label.
    "beta_vae": ALWAYS | WEIGHS,
    "beta_tcvae": ALWAYS | WEIGHS | {"CouplesBatch"},
    "dip_vae_i": ALWAYS | WEIGHS | {"CouplesBatch"},
    "dip_vae_ii": ALWAYS | WEIGHS | {"CouplesBatch"},
    # Images of a reference set, and no labels, tell its characteristics from the style.
    "rb_vae": ALWAYS | WEIGHS | REFERENCES,
    "srb_vae": ALWAYS | WEIGHS | REFERENCES | {"HasAdversaries"},
    "svae": ALWAYS | WEIGHS | {"HasAdversaries"},
    "mathieu": (ALWAYS - {"BoundsLikelihood"}) | TARGETS | {"HasAdversaries", "CouplesBatch"},
    "label_reader": READS,  # no VAE: it judges the others
}
"""What each system can do, and what it needs of the loop and of whoever measures it, by the names of the protocols."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_system_states_what_it_can_do(case: Case) -> None:
    model = small_model_of(case)
    protocols = (*CAPABILITIES, interface.HasSchedule, interface.HasAdversaries, interface.CouplesBatch)
    assert {each.__name__ for each in protocols if isinstance(model, each)} == CAN[case.system]


def test_the_documentation_has_what_each_system_can_do() -> None:
    """Its columns are in the order of the protocols, without those that only say what a code is."""
    columns = (
        capabilities.Classifies,
        capabilities.Reconstructs,
        capabilities.GeneratesFromLabels,
        capabilities.Intervenes,
        capabilities.SwitchesAttribute,
        capabilities.FlipsClosest,
        capabilities.SwapsCharacteristics,
        capabilities.Traverses,
    )
    documented = {}
    for line in (Path(__file__).parents[3] / "docs" / "systems.md").read_text().splitlines():
        if line.startswith("| `"):
            system, _, *ticks = (cell.strip() for cell in line.strip("|").split("|"))
            documented[system.strip("`")] = {
                column.__name__ for column, tick in zip(columns, ticks, strict=True) if tick
            }
    names = {column.__name__ for column in columns}
    assert documented == {system: can & names for system, can in CAN.items()}


@cases_with(capabilities.Classifies)
@torch.no_grad()
def test_classify_gives_probabilities_of_every_label_of_any_number_of_images(case: Case) -> None:
    for rows in (1, SIZE):
        found = model_of(case).classify(images(case.shape, rows))  # type: ignore[operator]
        for log_q, count in zip(found, case.shape.cardinalities, strict=True):
            assert log_q.shape == (rows, count)
            torch.testing.assert_close(log_q.exp().sum(-1), torch.ones(rows))


@cases_with(capabilities.Reconstructs)
@torch.no_grad()
def test_reconstruct_gives_pictures(case: Case) -> None:
    for rows in (1, SIZE):
        found = model_of(case).reconstruct(images(case.shape, rows))  # type: ignore[operator]
        assert_pictures(found, rows, *case.shape.image_shape)


@cases_with(capabilities.GeneratesFromLabels)
@torch.no_grad()
def test_generate_gives_pictures_that_differ_from_draw_to_draw(case: Case) -> None:
    torch.manual_seed(0)
    asked = labels(case.shape, 1).expand(SIZE, -1)
    found = model_of(case).generate(asked)  # type: ignore[operator]
    assert_pictures(found, SIZE, *case.shape.image_shape)
    assert (found[0] != found[1]).any()


@cases_with(capabilities.EncodesFactors)
@torch.no_grad()
def test_characteristic_latents_are_shared_out_among_the_labels(case: Case) -> None:
    model: Any = model_of(case)
    latents = model.characteristic_latents(images(case.shape, SIZE))
    assert latents.shape[0] == SIZE
    numbers = range(latents.shape[1])
    owned = [list(numbers[model.latents_of(label)]) for label in range(len(case.shape.cardinalities))]
    assert all(owned)
    if not isinstance(model, capabilities.HasLabelLatents):  # it knows no labels: they share all of them
        owned = owned[: len({tuple(own) for own in owned})]
    assert sorted(itertools.chain(*owned)) == list(numbers)


@cases_with(capabilities.BoundsLikelihood)
@torch.no_grad()
def test_the_bound_of_each_image_is_what_training_records_as_elbo(case: Case) -> None:
    """Whatever the objective adds to it, or weighs in it; without weights the objective is the bound."""
    model: Any = small_model_of(case)
    nothing = torch.zeros(SIZE, len(case.shape.cardinalities), dtype=torch.uint8)
    batch = Batch(image=images(case.shape, SIZE), labels=nothing, observed=nothing.bool(), labelled=0)
    torch.manual_seed(0)
    bound = model.log_likelihood_bound(batch)
    torch.manual_seed(0)
    losses = model(batch)
    assert bound.shape == (SIZE,)
    assert bound.isfinite().all()
    names = ("elbo", "objective_without_own_readings", "objective")
    recorded = next(losses.terms[name] for name in names if name in losses.terms)
    torch.testing.assert_close(bound.sum(), recorded[0])


def test_a_page_says_of_exactly_the_systems_that_see_no_labels_that_they_used_none() -> None:
    unlabelled = {case.system for case in CASES if not uses_labels(small_model_of(case))}
    of_images = {"vae", "beta_vae", "beta_tcvae", "dip_vae_i", "dip_vae_ii"}
    assert unlabelled == of_images | {"svae", "rb_vae", "srb_vae", "mathieu"}
