"""Every capability that a system in the registry has: its shapes, its range, and what of an image it leaves alone."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from data_prep.errors import ConfigError
from pipeline.models import interface
from tests.pipeline.models.every_system import CASES, SIZE, Case, images, labels, model_of

CAPABILITIES = (
    interface.Classifies,
    interface.Reconstructs,
    interface.GeneratesFromLabels,
    interface.EncodesFactors,
    interface.Intervenes,
    interface.FlipsClosest,
    interface.SwapsCharacteristics,
    interface.Traverses,
)
ENTANGLED = ("mvae",)
"""All latents are of all labels (Wu & Goodman 2018 have one ``z``): an intervention moves whatever it must."""
SWITCHES_ALONE = ("cond_vae", "cond_vae_info", "csvae")
"""Attribute switching (Klys et al. 2018, 4.3) shows one label without the others, which do not stay as they are."""


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


def decoded(model: Any, capability: str, *arguments: Any, **options: Any) -> tuple[Tensor, Tensor]:
    """The pictures that a capability makes, and what the decoder was given for them, (draw or step, image, number)."""
    given: list[tuple[Tensor, ...]] = []
    hook = model.decoder.register_forward_pre_hook(lambda _, inputs: given.append(inputs))
    try:
        pictures = getattr(model, capability)(*arguments, **options)
    finally:
        hook.remove()
    ((first, *more),) = given
    rows = torch.broadcast_shapes(first.shape[:-1], *(of.shape[:-1] for of in more))
    numbers = torch.cat([of.expand(*rows, -1) for of in (first, *more)], dim=-1)
    return pictures, numbers.reshape(-1, SIZE, numbers.shape[-1])


def columns_that_differ(one: Tensor, other: Tensor) -> set[int]:
    return set((one != other).flatten(0, -2).any(0).nonzero()[:, 0].tolist())


@cache
def interventions(case: Case) -> list[Tensor]:
    """What the decoder is given for interventions on each label: every value, two draws of it."""
    model: Any = model_of(case)
    found = []
    for label, count in enumerate(case.shape.cardinalities):
        inputs = []
        for value in range(count):
            values = torch.full((SIZE,), value, dtype=torch.uint8)
            pictures, numbers = decoded(model, "intervene", images(case.shape, SIZE), label, values, 2)
            assert_pictures(pictures, 2, SIZE, *case.shape.image_shape)
            inputs.append(numbers)
        found.append(torch.cat(inputs))
    return found


def changed_by_label(case: Case, label: int) -> set[int]:
    """Which numbers of the decoder's input the value or the draw of a label changes."""
    inputs = interventions(case)[label]
    return columns_that_differ(inputs, inputs[:1])


ALWAYS = {"Reconstructs"}
SWITCHES = {"GeneratesFromLabels", "Intervenes"}
READS = {"Classifies"}
OWN_LATENTS = {"EncodesFactors", "SwapsCharacteristics"}
PATHS = {"Traverses"}
CAN = {
    "ccvae": ALWAYS | SWITCHES | READS | OWN_LATENTS | PATHS,
    "ccvae_one_per_class": ALWAYS | SWITCHES | READS | OWN_LATENTS | PATHS,
    "m3": ALWAYS | SWITCHES | READS | OWN_LATENTS | {"FlipsClosest"},  # its labels have no mean to walk to
    "m2": ALWAYS | SWITCHES | READS | {"SwapsCharacteristics"},  # labels have no latents
    "mvae": ALWAYS | SWITCHES | READS,  # no latents belong to a label
    "diva": ALWAYS | SWITCHES | READS | OWN_LATENTS | PATHS,
    "diva_original": ALWAYS | SWITCHES | READS | OWN_LATENTS | PATHS | {"HasSchedule"},
    "vae": ALWAYS,  # it sees no labels
    "cond_vae": ALWAYS | SWITCHES | PATHS,  # nothing predicts a label from an image, in these three
    "cond_vae_info": ALWAYS | SWITCHES | PATHS | {"HasAdversaries"},
    "csvae": ALWAYS | SWITCHES | OWN_LATENTS | PATHS | {"HasAdversaries"},
}
"""What each system can do, and what it needs of the loop, by the names of the protocols."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_system_states_what_it_can_do(case: Case) -> None:
    model = small_model_of(case)
    protocols = (*CAPABILITIES, interface.HasSchedule, interface.HasAdversaries)
    assert {each.__name__ for each in protocols if isinstance(model, each)} == CAN[case.system]


def test_the_documentation_has_what_each_system_can_do() -> None:
    """Its columns are in the order of the protocols, but for ``EncodesFactors``, which only the figures ask for."""
    columns = (
        interface.Classifies,
        interface.Reconstructs,
        interface.GeneratesFromLabels,
        interface.Intervenes,
        interface.FlipsClosest,
        interface.SwapsCharacteristics,
        interface.Traverses,
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


@cases_with(interface.Classifies)
@torch.no_grad()
def test_classify_gives_probabilities_of_every_label_of_any_number_of_images(case: Case) -> None:
    for rows in (1, SIZE):
        found = model_of(case).classify(images(case.shape, rows))  # type: ignore[operator]
        for log_q, count in zip(found, case.shape.cardinalities, strict=True):
            assert log_q.shape == (rows, count)
            torch.testing.assert_close(log_q.exp().sum(-1), torch.ones(rows))


@cases_with(interface.Reconstructs)
@torch.no_grad()
def test_reconstruct_gives_pictures(case: Case) -> None:
    for rows in (1, SIZE):
        found = model_of(case).reconstruct(images(case.shape, rows))  # type: ignore[operator]
        assert_pictures(found, rows, *case.shape.image_shape)


@cases_with(interface.GeneratesFromLabels)
@torch.no_grad()
def test_generate_gives_pictures_that_differ_from_draw_to_draw(case: Case) -> None:
    torch.manual_seed(0)
    asked = labels(case.shape, 1).expand(SIZE, -1)
    found = model_of(case).generate(asked)  # type: ignore[operator]
    assert_pictures(found, SIZE, *case.shape.image_shape)
    assert (found[0] != found[1]).any()


@cases_with(interface.EncodesFactors)
@torch.no_grad()
def test_characteristic_latents_are_shared_out_among_the_labels(case: Case) -> None:
    model: Any = model_of(case)
    latents = model.characteristic_latents(images(case.shape, SIZE))
    assert latents.shape[0] == SIZE
    numbers = range(latents.shape[1])
    owned = [list(numbers[model.latents_of(label)]) for label in range(len(case.shape.cardinalities))]
    assert all(owned)
    assert sorted(itertools.chain(*owned)) == list(numbers)


@cases_with(interface.Intervenes)
@torch.no_grad()
def test_an_intervention_changes_what_is_its_labels_and_nothing_else(case: Case) -> None:
    torch.manual_seed(0)
    model: Any = model_of(case)
    _, plain = decoded(model, "reconstruct", images(case.shape, SIZE))
    owners: dict[int, int] = {}
    for label in range(len(case.shape.cardinalities)):
        changed = changed_by_label(case, label)
        assert changed, label
        if case.system in ENTANGLED:
            continue
        assert not changed & owners.keys(), label
        owners |= dict.fromkeys(changed, label)
        if case.system not in SWITCHES_ALONE:
            assert columns_that_differ(interventions(case)[label], plain) <= changed


@cases_with(interface.Traverses)
@torch.no_grad()
def test_a_traversal_moves_what_an_intervention_on_its_label_changes(case: Case) -> None:
    torch.manual_seed(0)
    model: Any = model_of(case)
    for label, count in enumerate(case.shape.cardinalities):
        picture = images(case.shape, SIZE)
        pictures, numbers = decoded(model, "traverse", picture, label, 3, end=count - 1)
        assert_pictures(pictures, 3, SIZE, *case.shape.image_shape)
        moved = columns_that_differ(numbers, numbers[:1])
        assert moved <= changed_by_label(case, label)
        torch.testing.assert_close(numbers[1], (numbers[0] + numbers[2]) / 2)


@cases_with(interface.FlipsClosest)
@torch.no_grad()
def test_the_closest_flip_changes_the_latent_of_its_label_or_is_refused(case: Case) -> None:
    torch.manual_seed(0)
    model: Any = model_of(case)
    picture = images(case.shape, SIZE)
    for label, count in enumerate(case.shape.cardinalities):
        if count > 2:
            with pytest.raises(ConfigError, match="only those have a closest flip"):
                model.flip_closest(picture, label)
            continue
        _, plain = decoded(model, "reconstruct", picture)
        pictures, numbers = decoded(model, "flip_closest", picture, label)
        assert_pictures(pictures, SIZE, *case.shape.image_shape)
        assert columns_that_differ(numbers, plain) == changed_by_label(case, label)


@cases_with(interface.SwapsCharacteristics)
@torch.no_grad()
def test_a_swap_with_itself_is_the_reconstruction(case: Case) -> None:
    model: Any = model_of(case)
    one, other = images(case.shape, SIZE), images(case.shape, SIZE, seed=1)
    assert_pictures(model.swap(one, other), SIZE, *case.shape.image_shape)
    torch.testing.assert_close(model.swap(one, one), model.reconstruct(one), rtol=1e-4, atol=1e-5)
