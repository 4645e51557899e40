"""The parts that labels bring: their latents, their classifiers, their priors, and quadrature."""

from __future__ import annotations

import math

import pytest
import torch

from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.interface import DataSpec
from pipeline.models.parts.conditional_prior import ConditionalPrior
from pipeline.models.parts.label_classifier import DiagonalClassifier, LabelClassifier
from pipeline.models.parts.label_estimators import SigmoidQuadrature
from pipeline.models.parts.label_layout import LabelBlock, LabelLayout, label_blocks
from tests.pipeline.models.injected_draws import noise
from tests.pipeline.models.labels_cases import MIXED
from tests.pipeline.models.quadrature import grid

pytestmark = pytest.mark.usefixtures("float64")


def test_binary_labels_stand_first_and_every_latent_has_one_label() -> None:
    layout = LabelLayout(label_blocks((5, 2, 2, 3, 2), (4, 1, 1, 2, 3)))
    assert layout.blocks == (
        LabelBlock((1, 2), 2, 2),
        LabelBlock((0,), 5, 4),
        LabelBlock((3,), 3, 2),
        LabelBlock((4,), 2, 3),
    )
    assert [block.is_diagonal for block in layout.blocks] == [True, False, False, False]
    places = [layout.latents_of(label) for label in range(5)]
    assert places == [slice(2, 6), slice(0, 1), slice(1, 2), slice(6, 8), slice(8, 11)]
    assert (layout.labels, layout.latents) == (5, 11)
    with pytest.raises(IndexError, match="label 5 of a data set with 5 labels"):
        layout.latents_of(5)


def test_labels_are_brought_into_the_order_of_the_blocks_and_back() -> None:
    layout = LabelLayout(label_blocks((5, 2, 3, 2), (4, 1, 2, 1)))
    labels = torch.tensor([[4, 1, 2, 255], [3, 255, 0, 1]], dtype=torch.uint8)
    observed = torch.tensor([[1, 1, 1, 0], [1, 0, 1, 1]], dtype=torch.bool)
    arranged, mask = layout.in_block_order(labels, observed)
    assert arranged.tolist() == [[1, 0, 4, 2], [0, 1, 3, 0]]
    assert mask.tolist() == [[True, False, True, True], [False, True, True, True]]
    columns = [column.tolist() for column in layout.in_data_order(list(arranged.unbind(1)))]
    assert columns == [[4, 3], [1, 0], [2, 0], [0, 1]]


def test_latents_are_given_label_by_label() -> None:
    layout = LabelLayout(label_blocks((5, 2, 2), (3, 1, 1)))
    z = torch.arange(10.0).reshape(2, 5)
    binary, other = layout.latents_by_label(z)
    assert binary.tolist() == [[[0.0], [1.0]], [[5.0], [6.0]]]
    assert other.tolist() == [[[2.0, 3.0, 4.0]], [[7.0, 8.0, 9.0]]]


def test_a_data_set_of_binary_labels_needs_no_other_order() -> None:
    layout = LabelLayout(label_blocks((2,) * 18, (1,) * 18))
    assert layout.in_order
    assert layout.blocks == (LabelBlock(tuple(range(18)), 2, 18),)


def test_a_model_may_be_told_how_many_latents_a_label_has() -> None:
    model = CCVAEConfig(label_latents=(3, 2, 1), style_size=2, hidden_width=4).build(MIXED)
    assert [model.layout.latents_of(label) for label in range(3)] == [slice(1, 4), slice(4, 6), slice(0, 1)]
    assert model.decoder[0].in_features == 8  # type: ignore[index]


def test_the_diagonal_classifier_begins_as_a_sigmoid_and_sees_its_own_latent_alone() -> None:
    classifier, z = DiagonalClassifier(3), noise(4, 3, seed=0)
    torch.testing.assert_close(classifier(z)[..., 1].exp(), z.sigmoid())
    torch.testing.assert_close(classifier(z).exp().sum(-1), torch.ones(4, 3))
    labels = torch.tensor([[0, 1, 0]], dtype=torch.uint8).expand(4, -1)
    expected = torch.stack([(-z[:, 0]).sigmoid(), z[:, 1].sigmoid(), (-z[:, 2]).sigmoid()], dim=1)
    torch.testing.assert_close(classifier.of(z, labels).exp(), expected)
    jacobian = torch.autograd.functional.jacobian(lambda one: classifier(one)[..., 1], z[0])
    assert torch.equal(jacobian != 0, torch.eye(3).bool())


def test_the_prior_table_begins_as_a_standard_normal_with_the_labels_frequencies() -> None:
    prior = ConditionalPrior(LabelLayout(label_blocks(MIXED.cardinalities, (1, 2, 1))), MIXED)
    z = noise(6, 4, seed=0)
    both, three = prior.joint(z)
    assert both.shape == (6, 2, 2)
    assert three.shape == (6, 1, 3)
    standard = -0.5 * z[:, :2] ** 2 - 0.5 * math.log(2 * math.pi)
    frequencies = torch.tensor([[0.7, 0.3], [0.4, 0.6]])  # not passed through a sigmoid
    torch.testing.assert_close(both, standard[..., None] + frequencies.log())
    labels = torch.tensor([[1, 0, 2]], dtype=torch.uint8)  # in the order of the blocks
    torch.testing.assert_close(prior.log_prior(labels).exp(), torch.tensor([[0.3, 0.4, 0.2]]))


def test_every_scale_of_the_prior_stays_above_a_thousandth() -> None:
    prior = ConditionalPrior(
        LabelLayout(label_blocks((2,), (1,))),
        DataSpec(image_shape=(1, 2, 2), cardinalities=(2,), label_frequencies=((0.5, 0.5),)),
    )
    torch.nn.init.constant_(prior.blocks[0].raw_scale, -50.0)  # type: ignore[arg-type]
    assert prior.of_label(0)[1].tolist() == [[1e-3], [1e-3]]


def test_given_values_are_picked_label_by_label() -> None:
    """Labels have one axis more than rows: a broadcast over it would mix rows, silently."""
    layout = LabelLayout(label_blocks(MIXED.cardinalities, (1, 2, 1)))
    classifier, z = LabelClassifier(layout), noise(7, 5, 4, seed=0)
    labels = torch.tensor([[1, 0, 2], [0, 0, 1], [1, 1, 0], [0, 1, 2], [1, 0, 1]], dtype=torch.uint8)
    found, tables = classifier.of(z, labels), classifier(z)
    assert found.shape == (7, 5, 3)
    for row, values in enumerate(labels.tolist()):
        torch.testing.assert_close(found[:, row, 0], tables[0][:, row, 0, values[0]])
        torch.testing.assert_close(found[:, row, 1], tables[0][:, row, 1, values[1]])
        torch.testing.assert_close(found[:, row, 2], tables[1][:, row, 0, values[2]])


@pytest.mark.parametrize(
    ("steepness", "error"),
    [(0.3, 1e-10), (1.0, 1e-10), (2.0, 1e-9), (3.0, 1e-6), (5.0, 1e-5), (10.0, 1e-5), (40.0, 1e-9)],
)
@torch.no_grad()
def test_quadrature_is_as_exact_as_it_says(steepness: float, error: float) -> None:
    """Steepness: the classifier's slope times the posterior's scale."""
    classifier = DiagonalClassifier(1)
    classifier.slope.fill_(4.0)
    classifier.intercept.fill_(-0.5)
    standard, log_cell = grid(1, radius=20.0, points=40_001)
    log_density = -0.5 * standard[:, 0] ** 2 - 0.5 * math.log(2 * math.pi) + log_cell
    scale = steepness / 4
    for mean in torch.linspace(-60, 60, 41):
        for y in (0, 1):
            labels = torch.full((1, 1), y, dtype=torch.uint8)
            found = SigmoidQuadrature().log_predictive(
                classifier, mean.view(1, 1), torch.full((1, 1), scale), labels
            )
            log_q = classifier.of(mean + scale * standard, labels)[:, 0]
            assert float(found) == pytest.approx(float((log_q + log_density).logsumexp(0)), abs=error)


@pytest.mark.parametrize("steepness", [1, 10])
def test_quadratures_gradient_is_that_of_finite_differences(steepness: int) -> None:
    classifier = DiagonalClassifier(2)
    labels = torch.tensor([[1, 0], [0, 1], [1, 1]], dtype=torch.uint8)
    mean, scale = noise(3, 2, seed=0).requires_grad_(), (0.5 + noise(3, 2, seed=1).abs()).requires_grad_()
    inputs = (mean, scale, classifier.slope, classifier.intercept)
    with torch.no_grad():
        classifier.slope.mul_(steepness)
    rule = SigmoidQuadrature()
    assert torch.autograd.gradcheck(lambda m, s, *_: rule.log_predictive(classifier, m, s, labels), inputs)


def test_quadrature_stays_finite_in_float32_where_the_classifier_is_all_but_certain() -> None:
    torch.set_default_dtype(torch.float32)  # as in every run; the fixture sets it back
    classifier = DiagonalClassifier(1)
    mean = torch.tensor([[-300.0], [300.0]], requires_grad=True)
    labels = torch.ones(2, 1, dtype=torch.uint8)
    log_q = SigmoidQuadrature().log_predictive(classifier, mean, torch.ones(2, 1), labels)
    assert log_q.flatten().tolist() == pytest.approx([-299.5, 0.0], abs=1e-2)
    (gradient,) = torch.autograd.grad(log_q.sum(), mean)
    assert gradient.flatten().tolist() == pytest.approx([1.0, 0.0], abs=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 3.1, 10.0, 1000.0])
def test_quadrature_and_its_gradient_stay_finite_in_float32_wherever_the_posterior_lies(scale: float) -> None:
    torch.set_default_dtype(torch.float32)  # the fixture sets it back
    classifier = DiagonalClassifier(1)
    far = torch.logspace(-2, 7, 100)
    mean = torch.cat([-far, far])[:, None].requires_grad_()
    scales = torch.full_like(mean, scale).requires_grad_()
    log_q = SigmoidQuadrature().log_predictive(
        classifier, mean, scales, torch.ones(200, 1, dtype=torch.uint8)
    )
    assert log_q.isfinite().all()
    assert log_q.max() < 1e-6
    for gradient in torch.autograd.grad(log_q.sum(), (mean, scales, *classifier.parameters())):
        assert gradient.isfinite().all()
