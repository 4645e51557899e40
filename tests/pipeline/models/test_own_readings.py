"""Consistency and pseudo-labels: written out row by row in float64, and in a run from the step at which they begin."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.data.dataset import DataSet
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.ccvae_one_per_class import OnePerClassCCVAEConfig
from pipeline.models.diva import DivaConfig
from pipeline.models.diva_original import DivaOriginalConfig
from pipeline.models.interface import DataSpec
from pipeline.models.m3 import M3Config
from pipeline.models.parts import own_readings
from pipeline.models.parts.label_changes import changed_labels
from pipeline.models.parts.own_readings import OwnReadingsVAE
from pipeline.models.registry import PRESETS
from pipeline.training.loop import train
from tests.pipeline.models.ccvae_reference import CCVAEReference
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.labels_cases import LABELS, MIXED, OBSERVED, batch_with, known_values
from tests.pipeline.models.quadrature import grid
from tests.pipeline.models.reference_densities import log_normal, network
from tests.pipeline.models.tiny_models import IMAGES, gradients, part, randomise
from tests.pipeline.runs import small_run
from tests.pipeline.training.test_resume import ALONE, Recorder, assert_goes_on_bitwise, die

SMALL: dict[str, Any] = {"characteristic_size": 2, "style_size": 1, "hidden_width": 8}
SYSTEMS: dict[str, Any] = {"ccvae": CCVAEConfig, "diva": DivaConfig, "m3": M3Config}
ROWS, SAMPLES, NOISE, BLUR = 5, 3, 0.1, 0.8
PLACES = [0.4, 0.9, 0.1, 0.5, 0.7]
"""Of the changed label: the second in each row's order of blocks (label 2 of the data), the third (1), the first (0), …"""
FURTHER = [0.1, 0.6, 0.2, 0.9, 0.4]
STRENGTHS = [0.3, 0.75, 1.0, 0.6, 0.5]
BLOCKS = [0, 2, 1]
"""The labels in the order of the blocks: both binary ones first."""


def tiny(system: str = "ccvae", **options: Any) -> OwnReadingsVAE:
    model: OwnReadingsVAE = SYSTEMS[system](**SMALL | options).build(MIXED)
    randomise(model)
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.mul_(2.0)
    model.begin_step(10_000, 50)
    return model


def reference_of(model: OwnReadingsVAE) -> CCVAEReference:
    return CCVAEReference(model, MIXED, CCVAEConfig(**SMALL))


def given_uniforms(monkeypatch: pytest.MonkeyPatch, *values: list[float]) -> None:
    """In place of ``torch.rand``, one list per call."""
    left = list(values)

    def rand(*shape: int, **_: Any) -> Tensor:
        return torch.tensor(left.pop(0)).reshape(shape)

    monkeypatch.setattr(torch, "rand", rand)


def kernel(offset: int) -> float:
    return [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16][offset + 2]


def blurred(image: Tensor) -> Tensor:
    """A flat image of 2 x 2 pixels under a 5 x 5 kernel, its edges repeated."""
    found = []
    for y in (0, 1):
        for x in (0, 1):
            total = torch.zeros(())
            for down in range(-2, 3):
                for right in range(-2, 3):
                    near = 2 * min(max(y + down, 0), 1) + min(max(x + right, 0), 1)
                    total = total + kernel(down) * kernel(right) * image[near]
            found.append(total)
    return torch.stack(found)


def most_probable(reference: CCVAEReference, label: int, z: Tensor) -> int:
    return max(reference.values(label), key=lambda y: float(reference.log_q_y(label, z, y).detach()))


def read_again(reference: CCVAEReference, x: Tensor, labels: list[int], unit: Tensor) -> Tensor:
    """``Σ_j log`` of the mean of ``q(y_j | z_c)`` over samples of ``q(z_c | x)``, with noise (sample, latent)."""
    mean, scale = reference.posterior(x)
    size = reference.characteristic.stop
    total = torch.zeros(())
    for label, y in enumerate(labels):
        probability = torch.zeros(())
        for one in unit:
            z = mean[:size] + scale[:size] * one
            probability = probability + torch.exp(reference.log_q_y(label, z, y)) / len(unit)
        total = total + torch.log(probability)
    return total


def consistency_written_out(
    model: OwnReadingsVAE,
    change: str,
    fresh: Tensor,
    z_noise: Tensor,
    pixel_noise: Tensor,
    unit: Tensor,
    asked: list[int],
) -> Tensor:
    """The term of each row; ``fresh`` are the latents that the system draws for all labels of a row, arranged."""
    reference, found = reference_of(model), []
    codes, labels = [], []
    for row, known in enumerate(known_values(MIXED, OBSERVED)):
        mean, scale = reference.posterior(IMAGES[row] / 255)
        codes.append((mean + scale * z_noise[row]).detach())
        labels.append(
            [y if y is not None else most_probable(reference, i, codes[row]) for i, y in enumerate(known)]
        )
    for row in range(ROWS):
        if row not in asked:
            found.append(torch.zeros(()))
            continue
        place = asked.index(row)
        wanted, drawn = list(labels[row]), [0, 1, 2]
        if change == "another_row":
            wanted = labels[(row + 1 + int(FURTHER[row] * (ROWS - 1))) % ROWS]
        else:
            (label,) = drawn = [BLOCKS[int(PLACES[row] * 3)]]
            values = len(reference.values(label))
            wanted[label] = (wanted[label] + 1 + int(FURTHER[row] * (values - 1))) % values
        z = codes[row].clone()
        for label in drawn:
            z[reference.places[label]] = fresh[row, reference.places[label]]
        x = 1 / (1 + torch.exp(-network(reference.weights, "decoder", z)))
        share = BLUR * max(0.0, 2 * STRENGTHS[place] - 1)
        x = (1 - share) * x + share * blurred(x) + NOISE * pixel_noise[place]
        found.append(ROWS / len(asked) * read_again(reference, x, wanted, unit[:, place]))
    return torch.stack(found)


@pytest.mark.parametrize(
    ("system", "change", "share", "asked_rows"),
    [
        ("ccvae", "one_label", 1.0, [0, 1, 2, 3, 4]),
        ("ccvae", "another_row", 0.6, [1, 2, 4]),
        ("diva", "one_label", 0.4, [1, 4]),
        ("m3", "another_row", 1.0, [0, 1, 2, 3, 4]),
    ],
)
@pytest.mark.usefixtures("float64")
def test_consistency_is_that_written_out_and_moves_the_decoder_alone(
    system: str,
    change: str,
    share: float,
    asked_rows: list[int],
    draws: InjectedDraws,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_readings, "READING_SAMPLES", SAMPLES)
    rows = len(asked_rows)
    options: dict[str, Any] = {"consistency_change": change, "consistency_noise": NOISE}
    options |= {"consistency_blur": BLUR, "consistency_share": share}
    model, fresh = tiny(system, consistency_weight=2.0, **options), noise(ROWS, 4, seed=1)
    asked: list[Tensor] = []

    def characteristics_of(labels: Tensor) -> Tensor:
        asked.append(labels)
        return fresh

    monkeypatch.setattr(model, "characteristics_of", characteristics_of)
    z_noise, pixel_noise, unit = (
        noise(1, ROWS, 5, seed=2),
        noise(rows, 4, seed=3),
        noise(SAMPLES, rows, 4, seed=4),
    )
    draws.give(z_noise, pixel_noise, unit)
    start = [[0.7]] if share < 1 else []
    given_uniforms(
        monkeypatch, *start, *([PLACES] if change == "one_label" else []), FURTHER, STRENGTHS[:rows]
    )
    batch = batch_with(MIXED, OBSERVED, 3)
    mean, scale = (of.detach() for of in model.posterior(IMAGES / 255))
    found = model.consistency(batch, mean, scale)
    expected = consistency_written_out(model, change, fresh, z_noise[0], pixel_noise, unit, asked_rows)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    weights = torch.tensor([1.0, -0.5, 2.0, 0.7, 1.3])
    gradient = gradients((weights * found).sum(), model)
    of_reference = gradients((weights * expected).sum(), model)
    assert part(of_reference, "encoder").any(), "what is held fixed would have a gradient"
    for name, value in gradient.items():
        moves = name.startswith("decoder")
        torch.testing.assert_close(value, of_reference[name] if moves else torch.zeros_like(value), msg=name)
        assert value.any() == moves, name
    assert len(asked) == 1


@pytest.mark.parametrize("system", SYSTEMS)
def test_fresh_latents_are_those_of_the_labels_asked_for(system: str) -> None:
    """Of the prior's means, or of what the classifier is sure of, by the label of each row."""
    model = tiny(system)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("raw_mean"):
                parameter.copy_(torch.tensor([[-0.3, 0.3], [0.3, -0.3]]))
            elif name.endswith(("raw_scale", "intercept")):
                parameter.fill_(-5.0 if name.endswith("raw_scale") else 0.0)
        labels = torch.tensor([[1, 0, 2], [0, 1, 1]], dtype=torch.uint8).repeat(50, 1)
        z_c = model.characteristics_of(labels)
        assert z_c.shape == (100, 4)
        if system == "m3":
            assert (model.classifier(z_c)[0].argmax(-1) == labels[:, :2]).float().mean() > 0.95
        else:
            assert torch.equal(z_c[:, 0] > 0, labels[:, 0] == 1)
            assert torch.equal(z_c[:, 1] < 0, labels[:, 1] == 1)


def test_one_label_changes_to_any_other_value_or_all_to_those_of_another_row() -> None:
    rows = 3000
    torch.manual_seed(0)
    labels = torch.randint(2, (rows, 3), dtype=torch.uint8)
    labels[:, 2] = (torch.arange(rows) % 3).to(torch.uint8)
    batch = batch_with(
        MIXED, torch.ones(rows, 3, dtype=torch.bool), rows, images=torch.zeros(rows, 4), labels=labels
    )
    cardinalities = torch.tensor([2, 2, 3])
    one, chosen = changed_labels("one_label", labels, cardinalities, batch)
    assert torch.equal(one != labels, chosen)
    assert torch.equal(chosen.sum(1), torch.ones(rows, dtype=torch.long))
    assert (one < cardinalities).all()
    assert chosen.float().mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=0.04)
    further = (one[chosen[:, 2], 2].int() - labels[chosen[:, 2], 2]) % 3
    assert (further == 1).float().mean() == pytest.approx(0.5, abs=0.06)

    numbers = torch.arange(3, dtype=torch.uint8)[:, None]
    few = batch_with(MIXED, torch.ones(3, 3, dtype=torch.bool), 3, images=IMAGES[:3])
    pairs = {
        (row, int(of))
        for _ in range(40)
        for row, of in enumerate(changed_labels("another_row", numbers, cardinalities[:1], few)[0])
    }
    assert pairs == {(row, of) for row in range(3) for of in range(3) if row != of}

    mixed, chosen = changed_labels("mixed", labels, cardinalities, batch)
    whole = chosen.all(1)
    assert whole.float().mean() == pytest.approx(0.5, abs=0.04)
    assert (chosen[~whole].sum(1) == 1).all()
    assert (mixed[~whole] != labels[~whole]).sum() == (~whole).sum()


def test_a_share_of_a_batch_asks_each_row_with_the_same_probability() -> None:
    torch.manual_seed(0)
    found = torch.cat([own_readings.evenly_spread(7, 0.4, torch.device("cpu")) for _ in range(3000)])
    assert len(found) == 3 * 3000, "0.4 of 7 rows are 3"
    assert (found.bincount(minlength=7) / 3000).tolist() == pytest.approx([3 / 7] * 7, abs=0.03)
    assert own_readings.evenly_spread(1, 0.1, torch.device("cpu")).tolist() == [0]


# pseudo-labels


def read_exactly(reference: CCVAEReference, x: Tensor, label: int, unit: Tensor) -> Tensor:
    """``q(y_i | x)`` of each value: by a grid over a binary label's latent, from samples (sample, latent) for others."""
    mean, scale = (of[reference.places[label]] for of in reference.posterior(x))
    z, log_cell = grid(1, radius=9.0, points=4001) if label in reference.binary else (unit, torch.zeros(()))
    log_weight = (
        log_cell + log_normal(z, 0.0, 1.0).sum(-1)
        if label in reference.binary
        else -math.log(len(unit)) * torch.ones(len(unit))
    )
    code = torch.zeros(len(z), reference.characteristic.stop)
    code[:, reference.places[label]] = mean + scale * z
    return torch.stack(
        [(log_weight.exp() * reference.log_q_y(label, code, y).exp()).sum() for y in reference.values(label)]
    )


@pytest.mark.usefixtures("float64")
def test_pseudo_labels_are_those_written_out_label_by_label(
    draws: InjectedDraws, monkeypatch: pytest.MonkeyPatch
) -> None:
    threshold = 0.85
    model = tiny(pseudo_label_weight=1.0, pseudo_label_threshold=threshold, pseudo_label_shift=1)
    reference = reference_of(model)
    first, again = noise(100, ROWS, 2, seed=1), noise(100, ROWS, 2, seed=2)
    draws.give(first, again)
    down, right = [0.1, 0.5, 0.9, 0.5, 0.1], [0.5, 0.9, 0.9, 0.1, 0.5]  # moved by -1, 0 or 1 pixels
    given_uniforms(monkeypatch, down, right, [0.0] * ROWS)
    mean, scale = (of.detach() for of in model.posterior(IMAGES / 255))
    found, number = model.agreement_with_pseudo_labels(batch_with(MIXED, OBSERVED, 3), mean, scale)
    expected, used = [], []
    for row in range(ROWS):
        image = IMAGES[row].reshape(2, 2)
        moved = torch.stack(
            [
                image[min(max(y + int(3 * down[row]) - 1, 0), 1), min(max(x + int(3 * right[row]) - 1, 0), 1)]
                for y in (0, 1)
                for x in (0, 1)
            ]
        )
        value, count = torch.zeros(()), 0
        for label in range(3):
            q = read_exactly(reference, IMAGES[row] / 255, label, first[:, row]).detach()
            if not OBSERVED[row, label] and q.max() >= threshold:
                value, count = (
                    value + read_exactly(reference, moved / 255, label, again[:, row])[q.argmax()].log(),
                    count + 1,
                )
        expected.append(value)
        used.append(count)
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-8, atol=1e-8)
    assert number.tolist() == used
    assert 0 < sum(used) < int((~OBSERVED).sum())
    assert used[0] == 0
    gradient, of_reference = (gradients(of.sum(), model) for of in (found, torch.stack(expected)))
    for name, value in of_reference.items():
        torch.testing.assert_close(gradient[name], value, rtol=1e-6, atol=1e-8, msg=name)
    assert part(gradient, "encoder").any()
    assert part(gradient, "classifier").any()


def test_rows_with_their_only_label_are_not_read_again(draws: InjectedDraws) -> None:
    data = DataSpec(image_shape=(1, 2, 2), cardinalities=(3,), label_frequencies=((0.5, 0.3, 0.2),))
    model = CCVAEConfig(**SMALL, pseudo_label_weight=1.0).build(data)
    observed = torch.ones(5, 1, dtype=torch.bool)
    batch = batch_with(data, observed, 5, labels=LABELS[:, 1:2])
    value, number = model.agreement_with_pseudo_labels(batch, *model.posterior(IMAGES / 255))
    assert value.tolist() == number.tolist() == [0.0] * 5


# in the objective and in a run

BOTH: dict[str, Any] = {
    "consistency_weight": 3.0,
    "consistency_after_steps": 17,
    "pseudo_label_weight": 2.0,
    "pseudo_label_threshold": 0.5,
    "pseudo_label_after_epochs": 1,
}
WITH_OWN_READINGS = {
    "ccvae": (CCVAEConfig, MIXED),
    "ccvae_one_per_class": (OnePerClassCCVAEConfig, None),
    "diva": (DivaConfig, MIXED),
    "diva_original": (DivaOriginalConfig, MIXED),
    "m3": (M3Config, MIXED),
}


@pytest.mark.parametrize("system", WITH_OWN_READINGS)
def test_the_terms_are_added_to_the_objective_and_nothing_else_changes(system: str) -> None:
    """The noise of the rest is the same, whether they are computed or not; at weight 0 and in evaluation they are not."""
    kind, data = WITH_OWN_READINGS[system]
    data = data or DataSpec(image_shape=(1, 2, 2), cardinalities=(3,), label_frequencies=((0.5, 0.3, 0.2),))
    observed = OBSERVED[:, : len(data.cardinalities)]
    batch = batch_with(
        data,
        observed,
        int(observed.any(1).sum()),
        labels=LABELS if len(data.cardinalities) == 3 else LABELS[:, 1:2],
    )

    def losses(change: Callable[[Any], object] = lambda model: None, **options: Any) -> Any:
        model = kind(**SMALL | options).build(data)
        randomise(model)
        change(model)
        torch.manual_seed(2)
        return model(batch), torch.get_rng_state()

    plain, state = losses()
    unweighted, same_state = losses(
        lambda model: model.begin_step(10_000, 50),
        **BOTH | {"consistency_weight": 0.0, "pseudo_label_weight": 0.0},
    )
    assert torch.equal(unweighted.objective, plain.objective)
    assert unweighted.terms.keys() == plain.terms.keys()
    assert torch.equal(state, same_state)
    before, same_state = losses(lambda model: model.begin_step(16, 0), **BOTH)
    assert torch.equal(before.objective, plain.objective)
    assert torch.equal(state, same_state)
    found, other_state = losses(lambda model: model.begin_step(17, 1), **BOTH)
    assert not torch.equal(state, other_state)
    means = {name: float(values[0]) for name, values in found.terms.items()}
    added = 3 * means["consistency"] + 2 * means["pseudo_labels"]
    assert means["consistency"] < 0
    assert means["pseudo_labels"] < 0
    assert means["pseudo_labels_per_image"] > 0
    assert float(found.objective.detach().sum()) == pytest.approx(
        float(plain.objective.detach().sum()) + added, rel=1e-5
    )
    assert torch.equal(found.bound, plain.objective if plain.bound is None else plain.bound)
    assert before.terms.keys() == found.terms.keys(), "names of terms do not change within a run"
    assert ("elbo" in found.terms) == (plain.bound is not None), "an objective is not recorded as a bound"
    measured = losses(lambda model: (model.begin_step(17, 1), model.eval()), **BOTH)[0]
    assert torch.equal(measured.objective, plain.objective)


def test_terms_begin_at_their_step_and_epoch_and_a_run_resumes_bit_for_bit_across_them(
    tiny_data_set: Path, tmp_path: Path
) -> None:
    plain = small_run(tiny_data_set, epochs=2)
    assert isinstance(plain.model, CCVAEConfig)
    later = replace(plain, model=replace(plain.model, **BOTH))
    without = Recorder()
    train(plain, tmp_path / "plain", DataSet(tiny_data_set), ALONE, without)
    whole = assert_goes_on_bitwise(later, tmp_path, 20, die)
    for step in (5, 10):
        assert without.points["train", step].items() <= whole["train", step].items()
    assert "pseudo_labels" not in whole["train", 10]
    assert "pseudo_labels" in whole["train", 15]
    assert "consistency" not in whole["train", 15]
    assert "consistency" in whole["train", 20]


def test_no_preset_of_a_paper_has_a_term_of_ours() -> None:
    on = {
        name
        for name, preset in PRESETS.items()
        if getattr(preset.config(), "consistency_weight", 0)
        or getattr(preset.config(), "pseudo_label_weight", 0)
    }
    assert on == {"ccvae-consistent", "ccvae-few-labels"}
    assert PRESETS["ccvae-consistent"].config() == replace(
        CCVAEConfig.constant_weight(), consistency_weight=10.0
    )
    assert PRESETS["ccvae-few-labels"].config() == CCVAEConfig(pseudo_label_weight=50.0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"consistency_weight": -1.0}, "ccvae: consistency_weight is -1.0; it must not be negative"),
        ({"consistency_blur": 1.1}, "ccvae: consistency_blur is 1.1; it is a share, 0 to 1"),
        (
            {"pseudo_label_threshold": 1.0},
            "ccvae: pseudo_label_threshold is 1.0; it is a probability, 0.5 or more, below 1",
        ),
        ({"pseudo_label_shift": -2}, "ccvae: pseudo_label_shift is -2; it must not be negative"),
    ],
)
def test_settings_without_a_meaning_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        CCVAEConfig(**options)
