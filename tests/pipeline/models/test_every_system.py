"""What holds for the objective of every system in the registry, on every kind of data that it supports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from data_prep.errors import ConfigError
from pipeline.models.capabilities import HasReference
from pipeline.models.interface import CouplesBatch, HasAdversaries, KeepsExamples
from pipeline.models.registry import PRESETS
from tests.pipeline.models.every_system import (
    CASES,
    DATA,
    LABELLED,
    REFUSED,
    SIZE,
    Case,
    batch_of,
    fix_noise,
    model_of,
    narrow,
    row_of,
    take_noise_out,
)
from tests.pipeline.models.two_ranks_of_every_system import gradients_of_every_system

every_case = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.mark.parametrize(("preset", "data"), REFUSED)
def test_unsupported_data_is_refused_in_one_sentence(preset: str, data: str) -> None:
    with pytest.raises(ConfigError, match=REFUSED[preset, data]):
        narrow(preset).build(DATA[data])


def test_every_preset_supports_some_data() -> None:
    assert {case.preset for case in CASES} == set(PRESETS)


@pytest.mark.parametrize("labelled", LABELLED)
@every_case
def test_objectives_are_finite_and_gradients_reach_every_parameter(case: Case, labelled: str) -> None:
    """Also at f = 0 and f = 1; DistributedDataParallel waits for each parameter."""
    torch.manual_seed(0)
    model = model_of(case)
    losses = model(batch_of(case.shape, LABELLED[labelled]))
    for objective in (losses.objective, *losses.adversaries.values()):
        assert objective.shape == (SIZE,)
        assert objective.dtype == torch.float32
        assert objective.isfinite().all()
    model.zero_grad()
    losses.total_objective.sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if labelled == "some":
            assert parameter.grad.any(), name
    torch.testing.assert_close(losses.terms["objective"][0], losses.objective.sum().detach())
    for name, (total, count) in losses.terms.items():
        assert total.isfinite(), name
        assert not total.requires_grad, name
        assert count or total == 0, name
        known = LABELLED[labelled]
        counts = {"labelled": known, "reference": known, "unlabelled": SIZE - known}
        assert count == counts.get(name.split("/")[0], SIZE), name


@every_case
def test_an_example_has_the_same_objective_in_any_company(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of one, none or all labelled: what is written for a supervised and an unsupervised example is one formula.

    Where batch norm ties the examples together, it is so in evaluation; where the objective does, of the bound.
    """
    take_noise_out(monkeypatch.setattr)
    model = model_of(case)
    if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        model = case.build().eval()
    with torch.no_grad():
        for labelled in LABELLED.values():
            batch = batch_of(case.shape, labelled)
            together = model(batch)
            alone = [model(row_of(batch, row)) for row in range(SIZE)]
            kind = "bound" if isinstance(model, CouplesBatch) else "objective"
            if together.bound is None and kind == "bound":
                continue  # it is an objective of pairs
            apart = torch.cat([getattr(one, kind) for one in alone])
            torch.testing.assert_close(getattr(together, kind), apart, rtol=1e-4, atol=1e-3)
            for name, values in together.adversaries.items():
                apart = torch.cat([one.adversaries[name] for one in alone])
                torch.testing.assert_close(values, apart, rtol=1e-4, atol=1e-3)


@every_case
def test_values_of_labels_that_are_not_observed_are_not_read(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_noise_out(monkeypatch.setattr)
    batch = batch_of(case.shape)
    with torch.no_grad():
        expected = model_of(case)(batch)
        batch.labels[~batch.observed] = 255
        found = model_of(case)(batch)
    torch.testing.assert_close(found.objective, expected.objective, rtol=0, atol=0)
    assert not batch.observed.all()


READS_GENERATED = {"srb_vae", "svae", "ccvae-consistent"}
"""Systems and presets that also encode the images that they generate, as many as the batch has."""
READS_AGAIN = {"ccvae-few-labels-digits": SIZE - 2, "ccvae-few-labels-mixed": SIZE}
"""Rows that are read again, shifted: those with a label that is not observed, or may be not."""


@every_case
def test_each_network_that_reads_images_reads_each_once(case: Case) -> None:
    """Adversaries read them for their own objective and for the model's."""
    model, rows = model_of(case), dict[str, int]()
    pixels, batch = case.shape.pixels, batch_of(case.shape)
    adversaries = {
        id(parameter)
        for one in (model.adversaries() if isinstance(model, HasAdversaries) else ())
        for parameter in one.parameters
    }

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if inputs and isinstance(inputs[0], Tensor) and inputs[0].shape[-1] == pixels:
                rows[name] = rows.get(name, 0) + inputs[0].numel() // pixels

        return hook

    hooks = [
        module.register_forward_pre_hook(note(name))
        for name, module in model.named_modules()
        if name
        and any(parameter.ndim > 1 and id(parameter) not in adversaries for parameter in module.parameters())
    ]
    model(batch)
    for hook in hooks:
        hook.remove()
    kept = case.shape.cardinalities[0] if isinstance(model, KeepsExamples) else 0
    times = 1 + (case.system in READS_GENERATED or case.preset in READS_GENERATED)
    assert rows
    for name, read in rows.items():
        knows_references = isinstance(model, HasReference) and name.startswith("target_encoder")
        unread = batch.references if knows_references else 0
        assert read == times * (SIZE + kept - unread) + READS_AGAIN.get(str(case), 0), name


@every_case
def test_an_adversarys_objective_reaches_only_its_own_parameters(case: Case) -> None:
    torch.manual_seed(0)
    model = model_of(case)
    losses = model(batch_of(case.shape))
    adversaries = model.adversaries() if isinstance(model, HasAdversaries) else ()
    assert {adversary.name for adversary in adversaries} == set(losses.adversaries)
    owned = {one.name: {id(parameter) for parameter in one.parameters} for one in adversaries}
    every_players = [parameter for own in owned.values() for parameter in own]
    assert len(set(every_players)) == len(every_players)
    everybodys = {id(parameter) for parameter in model.parameters()}
    assert reached(losses.objective, model) == everybodys - set(every_players)
    for name, own in owned.items():
        assert reached(losses.adversaries[name], model) == own


def reached(objective: Tensor, model: nn.Module) -> set[int]:
    """The parameters for which an objective has a gradient that is not zero."""
    parameters = list(model.parameters())
    found = torch.autograd.grad(objective.sum(), parameters, retain_graph=True, allow_unused=True)
    return {
        id(parameter)
        for parameter, gradient in zip(parameters, found, strict=True)
        if gradient is not None and gradient.any()
    }


def objective_and_gradient(case: Case, dtype: torch.dtype, narrow_type: bool) -> tuple[Tensor, Tensor]:
    """Objectives of model and adversaries, and the gradient of their sum, with the weights that float32 begins with.

    Networks are convolutional on radiographs, and on no others, for time.
    """
    network = "convolutional" if case.data == "radiographs" else "mlp"
    weights = dict(case.build(network=network).named_parameters())
    torch.set_default_dtype(dtype)
    try:
        model = case.build(network=network)
        model.load_state_dict(weights, strict=False)
        with torch.autocast("cpu", torch.bfloat16, enabled=narrow_type):
            losses = model(batch_of(case.shape))
        losses.total_objective.sum().backward()
        gradients = [
            parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None
        ]
        return torch.stack([losses.objective, *losses.adversaries.values()]).double(), torch.cat(
            gradients
        ).double()
    finally:
        torch.set_default_dtype(torch.float32)


ERRORS = {"float32": (2e-6, 2e-5), "bf16": (0.01, 0.05)}
"""Largest error of an objective relative to one plus it, and of the gradient relative to its norm."""
ERRORS_OF_SELF_NORMALISED = {"float32": (2e-6, 5e-4), "bf16": (0.01, 0.2)}
"""Where gradients pass through normalised weights, differences of brackets of thousands of nats make them."""

OF_CONVOLUTIONS = {"float32": 2e-5, "bf16": 0.1}
"""Largest error of the gradient through ten layers, relative to its norm."""
OF_BATCH_NORM = {"float32": 2e-5, "bf16": 0.3}
"""The same where statistics of a handful of images divide it."""


@pytest.mark.parametrize("precision", ERRORS)
@every_case
def test_float32_and_bf16_stay_near_float64(
    case: Case, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for dtype, narrow_type in ((torch.float64, False), (torch.float32, precision == "bf16")):
        with monkeypatch.context() as patch:
            fix_noise(patch.setattr)
            results.append(objective_and_gradient(case, dtype, narrow_type))
    (exact, exact_gradient), (found, gradient) = results
    errors = ERRORS_OF_SELF_NORMALISED if case.preset == "ccvae-exact" else ERRORS
    of_objective, of_gradient = errors[precision]
    if case.data == "radiographs":
        of_gradient = max(of_gradient, OF_CONVOLUTIONS[precision])
    if case.system == "label_reader":
        of_gradient = OF_BATCH_NORM[precision]
    assert ((found - exact).abs() / (1 + exact.abs())).max() < of_objective
    assert (gradient - exact_gradient).norm() / exact_gradient.norm() < of_gradient


@every_case
@torch.no_grad()
def test_autocast_narrows_the_networks_and_no_density(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """With linear maps as exact as without it, nothing is left that it could round."""

    def exact(layer: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def without_autocast(*arguments: Any) -> Tensor:
            with torch.autocast("cpu", enabled=False):
                return layer(*arguments)

        return without_autocast

    for name in ("linear", "conv2d"):
        monkeypatch.setattr(torch.nn.functional, name, exact(getattr(torch.nn.functional, name)))
    model, found = case.build(network="mlp"), []
    for narrow_type in (False, True):
        with monkeypatch.context() as patch, torch.autocast("cpu", torch.bfloat16, enabled=narrow_type):
            fix_noise(patch.setattr)
            losses = model(batch_of(case.shape))
        found.append(torch.stack([losses.objective, *losses.adversaries.values()]))
    assert torch.equal(*found)


@pytest.fixture(scope="module")
def gradients_on_two_ranks(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]]:
    return gradients_of_every_system(tmp_path_factory.mktemp("two-ranks"))


@every_case
def test_two_ranks_have_the_loss_and_gradient_of_one_process_with_the_whole_batch(
    case: Case, gradients_on_two_ranks: dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]]
) -> None:
    """The second rank has a row less, and no labelled one."""
    together, alone = gradients_on_two_ranks[str(case)]
    assert alone
    for name, value in alone.items():
        torch.testing.assert_close(
            together[name], value, rtol=1e-3, atol=1e-5 * float(1 + value.abs().max()), msg=name
        )
