"""MVAE as a model: its networks, what it can do with images, its settings."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from data_prep.errors import ConfigError
from pipeline.models.mvae import MVAE, MVAEConfig
from tests.pipeline.models.every_system import DATA, batch_of
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.labels_cases import MIXED
from tests.pipeline.models.mvae_reference import MVAEReference
from tests.pipeline.models.tiny_models import IMAGES, randomise

IMAGE = IMAGES.to(torch.uint8).reshape(5, 1, 2, 2)
CAN = ("Classifies", "Reconstructs", "GeneratesFromLabels", "Intervenes")
CANNOT = ("SwapsCharacteristics", "Traverses", "EncodesFactors", "FlipsClosest")
"""No latents belong to a label."""


def test_one_step_encodes_each_image_once() -> None:
    data = DATA["radiographs"]
    model = MVAEConfig().build(data)
    seen: list[Any] = []
    for network in (model.encoder, model.decoder):
        network.register_forward_hook(lambda _, inputs, __: seen.append(tuple(inputs[0].shape)))
    model(batch_of(data, labelled=2, rows=3))
    assert seen == [(3, 64 * 64), (3 + 2, 64)]  # and decodes all samples together


# what it can do


def tiny() -> tuple[MVAE, MVAEReference]:
    model = MVAEConfig(latent_size=2, hidden_width=8, label_width=8).build(MIXED)
    randomise(model)
    with torch.no_grad():  # so that images differ in the labels that are read from them
        model.label_decoder[0].weight.mul_(8)  # type: ignore[operator]
    return model, MVAEReference(model, MIXED.cardinalities, 2)


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_images_are_reconstructed_from_themselves_and_changed_through_their_labels() -> None:
    model, reference = tiny()
    values = [2, 0, 1, 1, 0]
    changed = model.intervene(IMAGE, 1, torch.tensor(values, dtype=torch.uint8), 3)
    assert changed.shape == (3, 5, 1, 2, 2)
    reconstruction = model.reconstruct(IMAGE)
    read = set()
    for row in range(5):
        x = IMAGES[row] / 255
        mean, _ = reference.posterior(x, [None] * 3)
        torch.testing.assert_close(reconstruction[row].flatten(), model.decoder(mean).sigmoid())
        labels = [
            max(range(cardinality), key=lambda value, i=i, z=mean: float(reference.log_p_label(i, value, z)))  # type: ignore[misc]
            for i, cardinality in enumerate(MIXED.cardinalities)
        ]
        read.add(tuple(labels))
        mean, _ = reference.posterior(x, [labels[0], values[row], labels[2]])
        for draw in range(3):
            torch.testing.assert_close(changed[draw, row].flatten(), model.decoder(mean).sigmoid())
    assert len(read) > 1


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_labels_are_read_from_samples_of_the_images_posterior(draws: InjectedDraws) -> None:
    model, reference = tiny()
    of_z = noise(100, 5, 2, seed=1)
    draws.give(of_z)
    found = model.classify(IMAGE)
    assert [tuple(each.shape) for each in found] == [(5, 2), (5, 3), (5, 2)]
    for row in range(5):
        mean, scale = reference.posterior(IMAGES[row] / 255, [None] * 3)
        z = mean + scale * of_z[:, row]
        for label, cardinality in enumerate(MIXED.cardinalities):
            for value in range(cardinality):
                expected = reference.log_p_label(label, value, z).exp().mean().log()
                torch.testing.assert_close(found[label][row, value], expected)


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_generated_images_come_from_the_labels_posterior(draws: InjectedDraws) -> None:
    model, reference = tiny()
    of_z = noise(2, 2, seed=1)
    draws.give(of_z)
    labels = [[1, 2, 0], [0, 0, 1]]
    found = model.generate(torch.tensor(labels, dtype=torch.uint8))
    for row in range(2):
        mean, scale = reference.posterior(None, labels[row])
        expected = model.decoder(mean + scale * of_z[row]).sigmoid()
        torch.testing.assert_close(found[row].flatten(), expected)


# settings


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"latent_size": 0}, "mvae: latent_size is 0; it must be at least 1"),
        ({"label_width": 0}, "mvae: label_width is 0; it must be at least 1"),
        ({"label_weight": -1.0}, "mvae: label_weight is -1.0; it must not be negative"),
        (
            {"network": "transformer"},
            "mvae: network is 'transformer'; it must be auto, mlp, convolutional, pixel_norm,"
            " or a class of your own as FILE.py:CLASS or MODULE:CLASS",
        ),
    ],
)
@pytest.mark.usefixtures("no_type_checks")
def test_settings_without_a_meaning_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        MVAEConfig(**options)
