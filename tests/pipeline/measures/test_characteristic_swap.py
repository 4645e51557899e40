"""Swaps are judged against the picture that the characteristics come from; exact ones beat typical and ignored ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pipeline.measures.characteristic_swap import CharacteristicSwap
from pipeline.measures.measure import DoesNotApply
from pipeline.measures.swap_differences import random_partners, swap_summary
from tests.pipeline.measures.painted import IgnoresLabels, Painted, Painter, PaintsTypical, Readers

MIXED = (2, 2, 5)


@pytest.mark.parametrize(("count", "partners"), [(50, 20), (5, 20), (2, 1)])
def test_partners_are_different_others_and_everyone_is_one_equally_often(count: int, partners: int) -> None:
    found = random_partners(count, partners)
    expected = min(partners, count - 1)
    assert found.shape == (expected, count)
    for row, own in enumerate(found.T.tolist()):
        assert len({row, *own}) == expected + 1
    assert torch.bincount(found.flatten(), minlength=count).tolist() == [expected] * count


def test_means_medians_and_spread_by_hand() -> None:
    """Two labels, of which one is not known in the second row; two partners; an ensemble and two members."""
    ensemble = torch.tensor([[[1.0, -2.0], [3.0, 100.0]], [[-1.0, 0.0], [5.0, -100.0]]])
    changes = torch.stack([ensemble, 2 * ensemble, 4 * ensemble])
    values = torch.tensor([[0, 2], [1, 0]])
    counted = torch.tensor([[True, True], [True, False]])
    reconstruction = torch.ones(3, 2, 2)
    found = swap_summary(changes, -changes, reconstruction, values, counted, (2, 3))
    assert found.numbers["swap_log_prob_difference"] == pytest.approx(12 / 6)
    assert found.numbers["swap_log_prob_difference_median"] == pytest.approx(1.5)
    assert found.numbers["swap_log_prob_difference_reader_sd"] == pytest.approx(math.sqrt(2) * 2)
    assert found.numbers["swap_log_prob_difference_from_reconstruction"] == pytest.approx(12 / 6)
    assert found.numbers["reconstruction_log_prob_difference"] == 1
    assert found.counts["swap_log_prob_difference"] == 6
    assert found.counts["reconstruction_log_prob_difference"] == 3
    assert found.arrays["label_swap_log_prob_difference"].tolist() == pytest.approx([10 / 4, 2 / 2])
    of_values = found.arrays["value_swap_log_prob_difference"]
    assert of_values[0].tolist() == pytest.approx([1, 4, np.nan], nan_ok=True)
    assert of_values[1].tolist() == pytest.approx([np.nan, np.nan, 1], nan_ok=True)


def measured(
    model: type[Painter], world: Painted, readers: Readers | None = None, **settings
) -> dict[str, float]:
    torch.manual_seed(0)
    return dict(CharacteristicSwap(**settings)(world.view(model(world.cardinalities), readers)).numbers)


@pytest.mark.parametrize("cardinalities", [(2, 2, 2), (10,), MIXED])
def test_exact_characteristics_beat_typical_ones_and_these_beat_none(cardinalities: tuple[int, ...]) -> None:
    world = Painted.drawn(cardinalities, 30)
    exact, typical, none = (measured(model, world) for model in (Painter, PaintsTypical, IgnoresLabels))
    name = "swap_log_prob_difference"
    assert exact[name] == pytest.approx(0, abs=1e-4)
    assert exact[f"{name}_median"] == pytest.approx(0, abs=1e-4)
    assert 0.01 < typical[name] < none[name] / 3
    assert none[name] == pytest.approx(none["partner_log_prob_difference"])  # chance
    assert none["partner_log_prob_difference"] == pytest.approx(exact["partner_log_prob_difference"])
    assert none[f"{name}_from_reconstruction"] == pytest.approx(none[name], rel=1e-3)
    assert none["reader_accuracy"] == 1
    assert none[f"{name}_reader_sd"] > 0


def test_labels_as_read_need_no_known_ones() -> None:
    world = Painted.drawn(MIXED, 12)
    known = measured(PaintsTypical, world, labels="read")
    world.observed[:] = False
    assert measured(PaintsTypical, world, labels="read") == known
    with pytest.raises(DoesNotApply, match="no label of the measured images is known"):
        measured(PaintsTypical, world)


def test_one_reader_has_no_spread_and_one_image_no_swap() -> None:
    found = measured(PaintsTypical, Painted.drawn(MIXED, 4), Readers(MIXED, (4.0,)), images=3)
    assert not any("reader_sd" in name for name in found)
    with pytest.raises(DoesNotApply, match="two images"):
        measured(Painter, Painted.drawn(MIXED, 1))
