"""Every system of the registry satisfies every contract that it claims, exactly, in the input of its decoder."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from data_prep.errors import ConfigError
from pipeline.models import capabilities
from pipeline.models.capabilities import KnownLabels
from pipeline.models.parts.class_means import class_means
from pipeline.models.registry import PRESETS
from tests.pipeline.models.every_system import CASES, SIZE, Case, images, labels
from tests.pipeline.models.test_every_capability import assert_pictures

WITH_THE_STYLE = {"diva_original": {1}}
"""Labels whose latents a swap takes from the second image: the domain, of DIVA."""
SEES_LABELS = {"m2", "mvae", "csvae", "cond_vae", "cond_vae_info"}
"""Systems whose codes depend on known labels."""


FIRST_PRESETS: dict[str, str] = {PRESETS[preset].config().system: preset for preset in reversed(PRESETS)}
"""System → the first of its presets: a contract is kept or broken by the system, whatever its settings."""
SYSTEMS = [case for case in CASES if case.preset == FIRST_PRESETS[case.system]]


@cache
def model_of(case: Case) -> nn.Module:
    """Quickly built, with latents of style, which some presets have none of."""
    return case.build(network="mlp", style_size=3)


def cases_with(*able: type | tuple[type, ...], without: type | tuple[type, ...] = ()) -> pytest.MarkDecorator:
    """Those whose models can do all of these (one of those in a tuple), and none of the others."""

    def belongs(case: Case) -> bool:
        model = model_of(case)
        can = all(isinstance(model, capability) for capability in able)
        return can and not isinstance(model, without)

    return pytest.mark.parametrize("case", [case for case in SYSTEMS if belongs(case)], ids=str)


def known(case: Case, seed: int = 0) -> KnownLabels:
    return KnownLabels.all_of(labels(case.shape, SIZE, seed))


@contextmanager
def calls_of(model: Any, method: str) -> Iterator[list[tuple[Any, ...]]]:
    """The positional arguments of every call of a method meanwhile."""
    calls: list[tuple[Any, ...]] = []
    original: Callable[..., Any] = getattr(model, method)

    def recorded(*arguments: Any) -> Any:
        calls.append(arguments)
        return original(*arguments)

    setattr(model, method, recorded)
    try:
        yield calls
    finally:
        delattr(model, method)


def code_of(model: Any, capability: str, *arguments: Any, **options: Any) -> Tensor:
    """The one code that a capability decodes, having made pictures of it."""
    torch.manual_seed(0)
    with calls_of(model, "decode") as calls:
        pictures = getattr(model, capability)(*arguments, **options)
    ((code,),) = calls
    assert_pictures(
        pictures, *torch.broadcast_shapes(pictures.shape[:-3], code.shape[:-1]), *pictures.shape[-3:]
    )
    return code


def places(model: Any, case: Case) -> list[set[int]]:
    """The places of each label in the code."""
    return [
        set(range(place.start, place.stop))
        for place in map(model.latents_of, range(len(case.shape.cardinalities)))
    ]


def columns(of: set[int]) -> list[int]:
    return sorted(of)


def assert_same_but_for(code: Tensor, before: Tensor, place: set[int]) -> None:
    """A code outside a position is unchanged bit for bit."""
    rest = columns(set(range(before.shape[-1])) - place)
    assert torch.equal(code[..., rest], before[..., rest].expand(*code.shape[:-1], -1))


def of_value(value: int) -> Tensor:
    return torch.full((SIZE,), value, dtype=torch.uint8)


@cases_with(capabilities.HasLabelLatents)
@torch.no_grad()
def test_labels_have_separate_positions(case: Case) -> None:
    model: Any = model_of(case)
    each = places(model, case)
    assert all(each)
    for one, other in itertools.combinations(each, 2):
        assert not one & other
    assert set.union(*each) <= set(range(model.encode(images(case.shape, 1)).shape[1]))


@cases_with(capabilities.Encodes)
@torch.no_grad()
def test_known_labels_affect_systems_that_use_them(case: Case) -> None:
    model: Any = model_of(case)
    picture = images(case.shape, SIZE)
    plain, one, other = (model.encode(picture, of) for of in (None, known(case), known(case, seed=1)))
    nothing = KnownLabels(
        labels(case.shape, SIZE), torch.zeros(SIZE, len(case.shape.cardinalities), dtype=torch.bool)
    )
    torch.testing.assert_close(model.encode(picture, nothing), plain)
    assert torch.equal(one, other) == (case.system not in SEES_LABELS)
    assert torch.equal(one, plain) == (case.system not in SEES_LABELS)


@pytest.mark.parametrize("labelled", [False, True])
@cases_with(capabilities.Reconstructs)
@torch.no_grad()
def test_a_reconstruction_is_decoded_from_the_code(case: Case, labelled: bool) -> None:
    model: Any = model_of(case)
    picture, of = images(case.shape, SIZE), known(case) if labelled else None
    assert torch.equal(code_of(model, "reconstruct", picture, of), model.encode(picture, of))


@pytest.mark.parametrize("labelled", [False, True])
@cases_with(capabilities.Intervenes, capabilities.HasLabelLatents)
@torch.no_grad()
def test_an_intervention_redraws_its_label_and_leaves_all_else_exactly_as_it_was(
    case: Case, labelled: bool
) -> None:
    model: Any = model_of(case)
    picture, of = images(case.shape, SIZE), known(case) if labelled else None
    before = model.encode(picture, of)
    for label, place in enumerate(places(model, case)):
        drawn = []
        for value in range(case.shape.cardinalities[label]):
            code = code_of(model, "intervene", picture, label, of_value(value), 2, labels=of)
            assert code.shape == (2, *before.shape)
            assert_same_but_for(code, before, place)
            torch.manual_seed(0)
            drawn.append(model.draw(label, of_value(value), 2))
            assert torch.equal(code[..., columns(place)], drawn[-1])
        own = torch.cat(drawn)  # of every value and draw
        assert (own != own[:1]).any()


@pytest.mark.parametrize("labelled", [False, True])
@cases_with(capabilities.Intervenes, without=capabilities.HasLabelLatents)
@torch.no_grad()
def test_without_latents_of_labels_an_intervention_keeps_what_it_is_told_of_the_others(
    case: Case, labelled: bool
) -> None:
    model: Any = model_of(case)
    picture, of = images(case.shape, SIZE), known(case) if labelled else None
    told = model.known_or_predicted(picture, of)
    if of is not None:
        assert torch.equal(told, of.labels)
    for label, count in enumerate(case.shape.cardinalities):
        for value in range(count):
            with calls_of(model, "label_experts") as calls:
                model.intervene(picture, label, of_value(value), 2, of)
            changed = told.clone()
            changed[:, label] = value
            assert torch.equal(calls[-1][0], model.codes.code(changed))


@pytest.mark.parametrize("labelled", [False, True])
@cases_with(capabilities.SwapsCharacteristics, (capabilities.HasLabelLatents, capabilities.EncodesFactors))
@torch.no_grad()
def test_a_swap_takes_characteristics_and_style_exactly_from_one_image_each(
    case: Case, labelled: bool
) -> None:
    model: Any = model_of(case)
    first, second = images(case.shape, SIZE), images(case.shape, SIZE, seed=1)
    of, style_of = (known(case), known(case, seed=1)) if labelled else (None, None)
    one, other = model.encode(first, of), model.encode(second, style_of)
    owned = [
        place
        for label, place in enumerate(places(model, case))
        if label not in WITH_THE_STYLE.get(case.system, ())
    ]
    taken = set.union(*owned)
    code = code_of(model, "swap", first, second, of, style_of)
    assert_same_but_for(code, other, taken)
    assert torch.equal(code[:, columns(taken)], one[:, columns(taken)])


@pytest.mark.parametrize("labelled", [False, True])
@cases_with(
    capabilities.SwapsCharacteristics, without=(capabilities.HasLabelLatents, capabilities.EncodesFactors)
)
@torch.no_grad()
def test_without_latents_of_labels_a_swap_encodes_one_image_under_the_labels_of_the_other(
    case: Case, labelled: bool
) -> None:
    model: Any = model_of(case)
    first, second = images(case.shape, SIZE), images(case.shape, SIZE, seed=1)
    of, style_of = (known(case), known(case, seed=1)) if labelled else (None, None)
    with calls_of(model, "label_experts") as of_labels, calls_of(model, "image_expert") as of_images:
        model.swap(first, second, of, style_of)
    assert torch.equal(of_labels[-1][0], model.codes.code(model.known_or_predicted(first, of)))
    assert torch.equal(of_images[-1][0], second.flatten(1) / 255)


@pytest.mark.parametrize("labelled", [False, True])
@cases_with(capabilities.Traverses)
@torch.no_grad()
def test_a_traversal_goes_straight_between_centres_and_leaves_all_else_exactly_as_it_was(
    case: Case, labelled: bool
) -> None:
    model: Any = model_of(case)
    picture, of = images(case.shape, SIZE), known(case) if labelled else None
    before = model.encode(picture, of)
    for label, place in enumerate(places(model, case)):
        last = case.shape.cardinalities[label] - 1
        code = code_of(model, "traverse", picture, label, 3, start=last, end=0, labels=of)
        assert_same_but_for(code, before, place)
        centres = model.centres(label)
        assert centres.shape == (last + 1, len(place))
        path = code[..., columns(place)]
        ends = torch.stack([centres[last], (centres[last] + centres[0]) / 2, centres[0]])
        torch.testing.assert_close(path, ends[:, None].expand(-1, SIZE, -1))


@cases_with(capabilities.FlipsClosest)
@torch.no_grad()
def test_the_closest_flip_leaves_all_else_exactly_as_it_was_or_is_refused(case: Case) -> None:
    model: Any = model_of(case)
    picture = images(case.shape, SIZE)
    before = model.encode(picture)
    for label, place in enumerate(places(model, case)):
        if case.shape.cardinalities[label] > 2:
            with pytest.raises(ConfigError, match="only those have a closest flip"):
                model.flip_closest(picture, label)
            continue
        code = code_of(model, "flip_closest", picture, label)
        assert_same_but_for(code, before, place)
        assert (code != before)[:, columns(place)].all()


@pytest.mark.parametrize("pointed", [False, True])
@cases_with(capabilities.SwitchesAttribute, capabilities.HasLabelLatents)
@torch.no_grad()
def test_switching_shows_its_label_alone_in_the_style_of_the_image(case: Case, pointed: bool) -> None:
    """``G_ij`` of Klys et al. 2018: ``p_l = 0`` for all other attributes."""
    model: Any = model_of(case)
    picture, of = images(case.shape, SIZE), known(case)
    means = class_means(model, batches_of(case), case.shape.cardinalities)
    each = places(model, case)
    before = model.encode(picture, of)
    for label, place in enumerate(each):
        points = model.switching_points(label, means) if pointed else None
        for value in range(case.shape.cardinalities[label]):
            code = code_of(
                model, "switch_attribute", picture, label, of_value(value), 2, labels=of, points=points
            )
            assert_same_but_for(code, before, set.union(*each))
            others = columns(set.union(*each) - place)
            assert (code[..., others] == 0).all()
            own = code[..., columns(place)]
            torch.manual_seed(0)
            expected = model.draw(label, of_value(value), 2)
            if points is not None:
                expected = model.at_points(label, of_value(value), points).expand(2, -1, -1)
                present = own[0, 0].unflatten(0, (-1, points.shape[1]))
                shown = [point for point in present if (point != 0).any()]
                assert len(shown) <= 1  # nothing of the label's own other values
                assert all(torch.equal(point, points[value]) for point in shown)
                assert bool(shown) == (value != case.shape.absent_value(label))
            assert torch.equal(own, expected)


def batches_of(case: Case) -> list[tuple[Tensor, KnownLabels]]:
    """Images that have every value of every label."""
    most = max(case.shape.cardinalities)
    every = torch.arange(2 * most)[:, None].expand(-1, len(case.shape.cardinalities))
    values = (every % torch.tensor(case.shape.cardinalities)).to(torch.uint8)
    picture = images(case.shape, 2 * most, seed=2)
    return [
        (picture[:most], KnownLabels.all_of(values[:most])),
        (picture[most:], KnownLabels.all_of(values[most:])),
    ]


@cases_with(capabilities.SwitchesAttribute, without=capabilities.HasLabelLatents)
@torch.no_grad()
def test_without_latents_of_labels_switching_is_arithmetic_with_the_means_of_both_values(case: Case) -> None:
    model: Any = model_of(case)
    picture, of = images(case.shape, SIZE), known(case)
    means = class_means(model, batches_of(case), case.shape.cardinalities)
    for label, count in enumerate(case.shape.cardinalities):
        points = model.switching_points(label, means)
        assert points.shape[0] == count
        for value in range(count):
            code = code_of(
                model, "switch_attribute", picture, label, of_value(value), 2, labels=of, points=points
            )
            expected = model.encode(picture) - points[of.labels[:, label].long()] + points[value]
            torch.testing.assert_close(code, expected)
    unknown = KnownLabels(of.labels, torch.zeros_like(of.observed))
    for options in ({"labels": of}, {"points": points}, {"labels": unknown, "points": points}):
        with pytest.raises(ConfigError, match="it needs both"):
            model.switch_attribute(picture, 0, of_value(0), **options)


NEEDING = [case for case in SYSTEMS if case.system in {"csvae", "cond_vae", "cond_vae_info"}]


@pytest.mark.parametrize("case", NEEDING, ids=str)
@torch.no_grad()
def test_a_system_that_never_hid_labels_encodes_with_known_labels_only_and_says_so(case: Case) -> None:
    model: Any = case.build(network="mlp", hidden_labels=0.0)
    picture, of = images(case.shape, SIZE), known(case)
    assert model.needs_labels
    assert capabilities.labels_if_needed(model, of) is of
    assert capabilities.labels_if_needed(model_of(case), of) is None
    sentence = (
        f"^{case.system} with hidden_labels=0 encodes images with known labels only, and none were given$"
    )
    for call in (
        lambda: model.reconstruct(picture),
        lambda: model.intervene(picture, 0, of_value(0)),
        lambda: model.traverse(picture, 0, 2),
    ):
        with pytest.raises(ConfigError, match=sentence):
            call()
    model.reconstruct(picture, of)
    model.intervene(picture, 0, of_value(0), labels=of)
    model.traverse(picture, 0, 2, labels=of)
    model.switch_attribute(picture, 0, of_value(0), labels=of)
    if case.system == "csvae":
        model.switch_attribute(picture, 0, of_value(0))  # its q(z | x) sees no labels
