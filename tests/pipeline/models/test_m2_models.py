"""M2 as a model: its networks, what it can do with images of any kind and whatever is labelled, precisions, settings."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from data_prep.errors import ConfigError
from pipeline.data.batch import Batch
from pipeline.models.interface import DataSpec
from pipeline.models.m2 import M2Config, choose_estimator
from tests.pipeline.models.every_system import DATA
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.labels_cases import MIXED, OBSERVED, batch_with
from tests.pipeline.models.tiny_models import IMAGES, randomise, tiny_m2

IMAGE = IMAGES.to(torch.uint8).reshape(5, 1, 2, 2)


def shape(image: tuple[int, int, int], cardinalities: tuple[int, ...]) -> DataSpec:
    return DataSpec(
        image_shape=image,
        cardinalities=cardinalities,
        label_frequencies=tuple(tuple([1 / values] * values) for values in cardinalities),
    )


def batch(data: DataSpec, observed: torch.Tensor) -> Batch:
    generator = torch.Generator().manual_seed(0)
    rows = len(observed)
    return Batch(
        image=torch.randint(256, (rows, *data.image_shape), dtype=torch.uint8, generator=generator),
        labels=torch.randint(2, (rows, len(data.cardinalities)), dtype=torch.uint8, generator=generator),
        observed=observed,
        labelled=int(observed.any(1).sum()),
    )


SOME = torch.tensor([[1, 1, 1], [0, 1, 0], [0, 0, 0]]).bool()


@pytest.mark.parametrize("observed", [SOME, SOME[2:], SOME[:1], SOME[[0, 0]], SOME[[2, 2]]])
@pytest.mark.parametrize("image", [(1, 2, 3), (3, 64, 64)])
def test_straight_through_every_parameter_gets_a_gradient_for_any_labels(
    image: tuple[int, int, int], observed: torch.Tensor
) -> None:
    """No preset has this estimator, so the tests of every system do not."""
    torch.manual_seed(0)
    data = shape(image, (2, 3, 2))
    model = M2Config(hidden_width=8, latent_size=3, label_estimator="straight_through").build(data)
    losses = model(batch(data, observed))
    assert losses.objective.shape == (len(observed),)
    assert losses.objective.isfinite().all()
    for name, (total, count) in losses.terms.items():
        assert total.isfinite(), name
        assert count == (observed.any(1).sum() if name.startswith("labelled/") else len(observed)), name
    losses.objective.sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_straight_through_one_step_passes_each_image_through_each_network_once() -> None:
    model = M2Config(label_estimator="straight_through").build(shape((1, 64, 64), (2, 2, 2)))
    seen: list[Any] = []
    for network in (model.features, model.classifier):
        network.register_forward_hook(lambda _, inputs, __: seen.append(tuple(inputs[0].shape)))
    model(batch(shape((1, 64, 64), (2, 2, 2)), SOME))
    assert seen == [(3, 64 * 64)] * 2


def test_celebas_model_has_the_papers_convolutions() -> None:
    model = M2Config.celeba().build(shape((3, 64, 64), (2,) * 18))
    assert model.estimator == "score_function"
    kernels = [(32, 3, 4, 4), (32, 32, 4, 4), (64, 32, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4)]
    assert [tuple(p.shape) for p in model.features.parameters() if p.ndim == 4] == kernels
    assert [tuple(p.shape) for p in model.classifier.parameters() if p.ndim != 1] == [*kernels, (36, 256)]
    assert model.encoder.weight.shape == (256, 256 + 36)
    decoder = next(each for each in model.decoder.modules() if isinstance(each, nn.Linear))
    assert decoder.in_features == 27 + 36


# what it can do


def code(labels: list[int]) -> torch.Tensor:
    """One-hot codes of MIXED's labels, of 2, 3 and 2 values."""
    found = torch.zeros(7)
    for start, value in zip((0, 2, 5), labels, strict=True):
        found[start + value] = 1
    return found


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_images_are_read_changed_and_mixed_by_their_most_probable_labels() -> None:
    model = tiny_m2(M2Config(latent_size=2, hidden_width=8), MIXED)
    first = next(model.classifier.children())
    assert isinstance(first, nn.Linear)
    first.weight.mul_(8)  # so that images differ in their labels
    log_q = model.classify(IMAGE)
    assert [tuple(each.shape) for each in log_q] == [(5, 2), (5, 3), (5, 2)]
    for each in log_q:
        torch.testing.assert_close(each.exp().sum(-1), torch.ones(5))
    logits = model.classifier(IMAGES / 255)
    torch.testing.assert_close(log_q[1], logits[:, 2:5].log_softmax(-1))
    labels = torch.stack([each.argmax(-1) for each in log_q], dim=-1).tolist()
    assert len({tuple(row) for row in labels}) > 1
    z = [model.encoder(IMAGES[row] / 255, code(labels[row]))[:2] for row in range(5)]

    def decoded(row: int, y: list[int]) -> torch.Tensor:
        return model.decoder(z[row], code(y)).sigmoid().reshape(1, 2, 2)

    values = [2, 0, 1, 1, 0]
    changed = model.intervene(IMAGE, 1, torch.tensor(values, dtype=torch.uint8), 3)
    assert changed.shape == (3, 5, 1, 2, 2)
    reconstruction, swap = model.reconstruct(IMAGE), model.swap(IMAGE[:4], IMAGE[1:])
    for row in range(5):
        torch.testing.assert_close(reconstruction[row], decoded(row, labels[row]))
        with_value = [labels[row][0], values[row], labels[row][2]]
        for draw in range(3):
            torch.testing.assert_close(changed[draw, row], decoded(row, with_value))
        if row < 4:
            torch.testing.assert_close(swap[row], decoded(row + 1, labels[row]))


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_generated_images_have_fresh_latents_and_the_given_labels(draws: InjectedDraws) -> None:
    model = tiny_m2(M2Config(latent_size=2, hidden_width=8), MIXED)
    z = noise(2, 2, seed=1)
    draws.give(z)
    found = model.generate(torch.tensor([[1, 2, 0], [0, 0, 1]], dtype=torch.uint8))
    for row, labels in enumerate(([1, 2, 0], [0, 0, 1])):
        expected = model.decoder(z[row], code(labels)).sigmoid().reshape(1, 2, 2)
        torch.testing.assert_close(found[row], expected)


# precision


@pytest.mark.parametrize(
    ("narrow", "objective_error", "gradient_error"), [(False, 1e-5, 3e-6), (True, 0.01, 0.03)]
)
def test_straight_through_float32_and_bf16_stay_close_to_float64(
    narrow: bool, objective_error: float, gradient_error: float, draws: InjectedDraws
) -> None:
    found = []
    for dtype in (torch.float64, torch.float32):
        torch.set_default_dtype(dtype)
        try:
            model = M2Config(latent_size=2, hidden_width=8, label_estimator="straight_through").build(MIXED)
            randomise(model)
            labels = torch.tensor([1, 2, 0]).expand(5, -1)
            draws.give(torch.zeros(0, 2), noise(5, 2, seed=2), classes=(labels,))
            with torch.autocast("cpu", torch.bfloat16, enabled=narrow and dtype == torch.float32):
                objective = model(batch_with(MIXED, OBSERVED, 3)).objective
            assert objective.dtype == dtype
            objective.sum().backward()
            gradient = torch.cat([p.grad.flatten() for p in model.parameters()])  # type: ignore[union-attr]
            found.append((objective.detach().double(), gradient.double()))
        finally:
            torch.set_default_dtype(torch.float32)
    (exact, exact_gradient), (objective, gradient) = found
    assert ((objective - exact).abs() < objective_error * (1 + exact.abs())).all()
    assert (gradient - exact_gradient).norm() < gradient_error * exact_gradient.norm()


# settings


@pytest.mark.parametrize(
    ("asked", "labels", "combinations", "chosen"),
    [
        ("auto", 1, 48, "enumerated"),
        ("auto", 4, 16, "enumerated"),
        ("auto", 5, 32, "score_function"),
        ("enumerated", 5, 32, "enumerated"),
        ("enumerated", 10, 1024, "enumerated"),
        ("straight_through", 1, 2, "straight_through"),
    ],
)
def test_auto_enumerates_one_label_or_few_combinations(
    asked: Any, labels: int, combinations: int, chosen: str
) -> None:
    assert choose_estimator(asked, labels, combinations) == chosen


def test_too_many_combinations_are_refused() -> None:
    sentence = "^m2: label_estimator=enumerated allows at most 1024 combinations of labels; this data set has 262144$"
    with pytest.raises(ConfigError, match=sentence):
        M2Config(label_estimator="enumerated").build(shape((1, 2, 2), (2,) * 18))


def test_parameters_keep_the_order_in_which_checkpoints_have_adams_moments() -> None:
    model = M2Config(network="convolutional").build(DATA["faces"])
    parts = dict.fromkeys(name.partition(".")[0] for name, _ in model.named_parameters())
    assert list(parts) == ["features", "classifier", "encoder", "decoder"]
