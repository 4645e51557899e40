"""Mathieu et al.'s adversary on swapped codes: objectives and gradients against the formulas, and who is whose partner."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from data_prep.errors import ConfigError
from pipeline.models.mathieu import MathieuConfig, partners
from tests.pipeline.models.csvae_reference import kl_from_standard
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.rb_vae_reference import RbVAEReference
from tests.pipeline.models.reference_densities import network
from tests.pipeline.models.tiny_models import IMAGES, LABELS, TINY, assert_players, batch_of, randomise

NEXT_REFERENCE = {0: 1, 1: 0}
ACROSS = {0: 2, 1: 3, 2: 0, 3: 1, 4: 0}
"""Of five images of which the first two are references."""


@pytest.mark.usefixtures("float64")
def test_both_objectives_and_all_gradients_are_those_written_out(draws: InjectedDraws) -> None:
    config = MathieuConfig(
        network="mlp",
        latent_size=3,
        target_size=2,
        hidden_width=8,
        adversary_width=6,
        likelihood_scale=0.3,
        adversarial_weight=0.7,
    )
    model = config.build(TINY)
    randomise(model)
    z_noise = noise(5, 3, seed=1)
    draws.give(z_noise)
    losses = model(replace(batch_of(IMAGES, LABELS, 0), references=2))

    reference = RbVAEReference(model, config)
    x = IMAGES / 255
    e = [network(reference.weights, "target_encoder", one) for one in x]
    of_model, of_adversary = [], []
    for row, image in enumerate(x):
        q = reference.q_z(image)
        z = q.mean + q.stddev * z_noise[row]
        value = reference.log_p_x(image, z, e[row]) - kl_from_standard(q)
        if row in NEXT_REFERENCE:
            value = value + reference.log_p_x(image, z, e[NEXT_REFERENCE[row]])
        own, other = (torch.tensor([float(each < 2)]) for each in (row, ACROSS[row]))
        swapped = reference.image(z, e[ACROSS[row]])
        of_data, of_swapped = (
            reference.d("adversary", pixels, [y], (1, 1)) for pixels, y in ((image, own), (swapped, other))
        )
        of_model.append(value + 0.7 * torch.log(1 / (1 + torch.exp(-of_swapped))))
        right = torch.log(1 / (1 + torch.exp(-of_data))) + torch.log(1 - 1 / (1 + torch.exp(-of_swapped)))
        of_adversary.append(right / 2)
    assert_players(model, losses, torch.stack(of_model), {"adversary": torch.stack(of_adversary)})


@pytest.mark.parametrize("in_set", [[1, 1, 0, 0, 0], [1, 0, 0, 1, 0], [0, 0, 1, 1, 1, 1], [1, 1, 1], [0, 0]])
def test_partners_follow_the_order_of_each_set_on_whichever_rank_its_rows_are(in_set: list[int]) -> None:
    following, across = (each.tolist() for each in partners(torch.tensor(in_set)))
    of_set = {y: [row for row, own in enumerate(in_set) if own == y] for y in (0, 1)}
    for row, y in enumerate(in_set):
        same, other = of_set[y], of_set[1 - y]
        place = same.index(row)
        assert following[row] == same[(place + 1) % len(same)]
        assert across[row] == (other[place % len(other)] if other else following[row])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"target_size": 0}, "mathieu: target_size is 0; it must be at least 1"),
        ({"adversarial_weight": -1.0}, "mathieu: adversarial_weight is -1.0; it must not be negative"),
        ({"adversary_learning_rate": 0.0}, "mathieu: adversary_learning_rate is 0.0; it must be above 0"),
    ],
)
def test_settings_without_a_meaning_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        MathieuConfig(**options)
