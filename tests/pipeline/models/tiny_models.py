"""Models small enough for exact log-likelihoods by quadrature, and batches for them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.data.batch import Batch
from pipeline.models.ccvae import CCVAE, CCVAEConfig
from pipeline.models.interface import DataSpec, Losses
from pipeline.models.m2 import M2, M2Config
from tests.pipeline.models.injected_draws import noise

CLASS_FREQUENCIES = (0.5, 0.3, 0.2)
TINY = DataSpec(image_shape=(1, 2, 2), cardinalities=(3,), label_frequencies=(CLASS_FREQUENCIES,))
IMAGES = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 1], [0, 0, 0, 1], [1, 0, 1, 1], [0, 1, 0, 0]]) * 255
"""Five binary images of 1 × 2 × 2 pixels, flat."""
LABELS = torch.tensor([2, 0, 1, 0, 2])


def randomise(model: nn.Module, seed: int = 0) -> None:
    """Weights at which posterior, prior and classifier differ clearly between images and classes, none degenerate."""
    with torch.no_grad():
        for index, (name, parameter) in enumerate(model.named_parameters()):
            # The input of the conditional prior is one-hot: one weight per unit counts.
            one_hot = name.startswith("conditional_prior") and name.endswith("network.0.weight")
            inputs = 1 if parameter.ndim == 1 or one_hot else parameter.shape[1]
            parameter.copy_(noise(*parameter.shape, seed=1000 * seed + index) / inputs**0.5)
            if name.endswith("slope"):
                parameter.add_(1.5)
            if name.endswith("raw_mean"):
                parameter.div_(10)
            if name.endswith("raw_scale"):
                parameter.mul_(0.3).add_(0.3)
        for name, network in model.named_modules():
            if name == "encoder" or (name.startswith("conditional_prior") and name.endswith("network")):
                *_, (_, last) = (each for each in network.named_modules() if isinstance(each[1], nn.Linear))
                last.weight[len(last.weight) // 2 :] *= 0.3
                last.bias[len(last.bias) // 2 :] = 0.3  # standard deviations around softplus(0.3) = 0.85


def tiny_ccvae(config: CCVAEConfig, data: DataSpec = TINY, seed: int = 0) -> CCVAE:
    model = config.build(data)
    randomise(model, seed)
    return model


def tiny_m2(config: M2Config, data: DataSpec = TINY, seed: int = 0) -> M2:
    model = config.build(data)
    randomise(model, seed)
    return model


def batch_of(images: Tensor, labels: Tensor, labelled: int) -> Batch:
    """A batch of flat images (rows of 4 values, 0 to 255), the first ``labelled`` of them with their label."""
    columns, _ = label_columns(labels)
    return Batch(
        image=images.to(torch.uint8).reshape(-1, *TINY.image_shape),
        labels=columns,
        observed=(torch.arange(len(images)) < labelled)[:, None],
        labelled=labelled,
    )


def label_columns(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Values of the only label of each row as a batch holds them, (row, 1), and a mask that observes them all."""
    columns = labels.to(torch.uint8)[:, None]
    return columns, torch.ones_like(columns, dtype=torch.bool)


def repeated(image: Tensor, times: int, label: Tensor | None = None) -> Batch:
    """One image in many rows; all labelled where a label is given, else none."""
    labels = torch.zeros(times) if label is None else label.expand(times)
    return batch_of(image.expand(times, -1), labels, 0 if label is None else times)


def gradients(value: Tensor, model: nn.Module, *, keep_graph: bool = False) -> dict[str, Tensor]:
    """Gradient of a scalar for every parameter by name; zeros where none flows."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(
        value, parameters, retain_graph=keep_graph, allow_unused=True, materialize_grads=True
    )
    return dict(zip(names, found, strict=True))


def assert_written_out(
    model: nn.Module, found: Tensor, expected: Tensor, *, every_parameter: bool = True
) -> dict[str, Tensor]:
    """Objectives of five rows and their gradient, in float64, are those written out; returns the gradient.

    Rows count unequally in it, so that they cannot stand in for one another; where ``every_parameter``, none is zero.
    """
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    row_weights = torch.tensor([1.0, -0.5, 2.0, 0.7, 1.3])
    gradient = gradients((row_weights * found).sum(), model)
    for name, value in gradients((row_weights * expected).sum(), model).items():
        assert value.any() or not every_parameter, name
        torch.testing.assert_close(gradient[name], value, rtol=1e-8, atol=1e-8, msg=name)
    return gradient


def assert_players(
    model: nn.Module, losses: Losses, expected: Tensor, of_adversaries: dict[str, Tensor]
) -> None:
    """Every objective, and for every parameter the gradient of its owner's objective alone."""
    torch.testing.assert_close(losses.objective, expected, rtol=1e-11, atol=1e-11)
    row_weights = torch.tensor([1.0, -0.5, 2.0, 0.7, 1.3])
    found = gradients((row_weights * losses.total_objective).sum(), model)
    right = {"": gradients((row_weights * expected).sum(), model, keep_graph=True)}
    for name, values in of_adversaries.items():
        torch.testing.assert_close(losses.adversaries[name], values, rtol=1e-11, atol=1e-11)
        right[name] = gradients((row_weights * values).sum(), model, keep_graph=True)
    for name, gradient in found.items():
        owner = name.split(".")[0] if name.split(".")[0] in of_adversaries else ""
        torch.testing.assert_close(gradient, right[owner][name], rtol=1e-8, atol=1e-10, msg=name)
        assert gradient.norm() > 0, name


def part(of: dict[str, Tensor], *networks: str) -> Tensor:
    """The gradients of the named networks as one vector."""
    return torch.cat([value.flatten() for name, value in of.items() if name.split(".")[0] in networks])
