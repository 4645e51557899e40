"""Gradient noise of CCVAE's estimators: ``python -m tests.benchmarks gradient-noise FOLDER``.

The batch and the parameters stay as they are, only the random numbers differ; so what varies is the estimator's own noise.
Labelled and unlabelled rows are measured separately, because their estimators are independent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal, get_args

import torch
import tyro
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from data_prep.counted import counted
from data_prep.errors import report_user_errors
from pipeline.config import RunConfig
from pipeline.data.batch import Batch
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.data.settings import DataConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.interface import DataSpec
from pipeline.models.parts.label_estimators import LabelMarginal, PosteriorPredictive
from pipeline.training.step import Step
from pipeline.world import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))
_FREE = CCVAEConfig(weight_limit=None)
WeightGradient = Literal["as_printed", "denominator", "none"]


@dataclass(frozen=True, kw_only=True)
class GradientNoise:
    """Measure the gradient noise of each choice of estimators, at the start and after some epochs."""

    data: tyro.conf.Positional[Path]
    """folder of a prepared data set"""
    style_size: int = 0
    """latents in addition to those of the labels"""
    supervision_rate: float = 0.2
    """share of labelled rows, of the batch and in training"""
    draws: int = 30
    """gradients that a mean and a standard deviation are made of"""
    epochs: int = 1
    """epochs of training with the preset paper before the second measurement"""
    batch_size: int = 200
    """rows of the batch"""
    threads: int = 1
    """threads of torch"""


@dataclass(frozen=True)
class Noise:
    """Of a gradient over draws: the norm of its mean, and the root of its summed variance."""

    mean: float
    """corrected for the noise of finitely many draws; 0 if it is not larger than that"""
    deviation: float
    draws: int

    @property
    def relative(self) -> str:
        """Deviation over mean; above the square root of the number of draws it is indistinguishable from a zero mean."""
        if self.deviation == 0:
            return "0"
        most = math.sqrt(self.draws)
        ratio = self.deviation / self.mean if self.mean else math.inf
        return f"{ratio:.2g}" if ratio < most else f"> {most:.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for labelled and one for unlabelled rows, at the start and after the epochs."""
    with report_user_errors():
        asked = tyro.cli(GradientNoise, args=arguments, prog="python -m tests.benchmarks gradient-noise")
        torch.set_num_threads(asked.threads)
        for title, measured in gradient_noise(asked):
            _show(title, measured)


def gradient_noise(asked: GradientNoise) -> Iterator[tuple[str, dict[str, dict[str, Noise]]]]:
    """Title of a table, and by estimator and part of the model (encoder, classifier) the noise of its gradient."""
    data = DataSet(asked.data)
    shape = DataSpec.of(data.manifest)
    config = RunConfig(
        data=DataConfig(
            name=data.manifest.name, folder=str(asked.data), supervision_rate=asked.supervision_rate
        ),
        model=CCVAEConfig(style_size=asked.style_size),
    )
    config = replace(config, training=replace(config.training, batch_size=asked.batch_size))
    step, examples = Step(config, shape, ALONE), TrainingExamples(config, data, ALONE)
    step.warm_up(examples.first())
    labelled, unlabelled = _parts(examples.first())
    several = len(shape.cardinalities) > 1
    number = 0
    for when in sorted({0, asked.epochs}):
        for epoch in range(when):
            for batch, size in examples.epoch(epoch):
                step(batch, number, size)
                number += 1
        state = step.model.state_dict()
        for part, estimators in ((labelled, _weights(several)), (unlabelled, _marginals())):
            measured = {}
            for name, estimator in estimators.items():
                model = replace(estimator, style_size=asked.style_size).build(shape)
                model.load_state_dict(state)
                measured[name] = _noise(model, part, asked)
            kind = "labelled" if part.labelled else "unlabelled"
            yield f"{data.manifest.name}, {len(part)} {kind} rows, after {counted(when, 'epoch')}", measured


def _parts(batch: Batch) -> tuple[Batch, Batch]:
    """Its labelled and its unlabelled rows."""
    cut = batch.labelled

    def part(rows: slice, labelled: int) -> Batch:
        return Batch(
            image=batch.image[rows],
            labels=batch.labels[rows],
            observed=batch.observed[rows],
            labelled=labelled,
        )

    return part(slice(cut), cut), part(slice(cut, None), 0)


def _weights(several_labels: bool) -> dict[str, CCVAEConfig]:
    """What decides the gradient of labelled rows: ``q(y|x)``, the weight's gradient, the samples, the weight's bound.

    With one class label all ways to have ``q(y|x)`` are the same.
    """
    predictives: tuple[PosteriorPredictive, ...] = (
        get_args(PosteriorPredictive) if several_labels else ("monte_carlo_joint",)
    )
    found = {
        f"K = 1, {predictive}, {gradient}": replace(
            _FREE, posterior_predictive=predictive, weight_gradient=gradient
        )
        for predictive, gradient in product(predictives, get_args(WeightGradient))
    }
    joint = "K = 1, monte_carlo_joint, denominator"
    found[f"{joint}, weight not bounded"] = replace(_FREE, bounded_weight=False)
    found[f"{joint}, weight at most 3 (preset paper)"] = CCVAEConfig()
    self_normalised: tuple[WeightGradient, ...] = ("as_printed", "none")
    for predictive, gradient in product(predictives, self_normalised):
        found[f"K = 4, {predictive}, {gradient}"] = replace(
            _FREE, importance_samples=4, posterior_predictive=predictive, weight_gradient=gradient
        )
    found["preset exact"] = CCVAEConfig.exact()
    return found


def _marginals() -> dict[str, CCVAEConfig]:
    """What decides the gradient of unlabelled rows."""
    choices: tuple[LabelMarginal, ...] = get_args(LabelMarginal)
    return {
        f"K = {samples}, {choice}": replace(
            _FREE, label_marginal=choice, importance_samples=samples, weight_gradient="none"
        )
        for samples, choice in product((1, 4), choices)
    }


def _noise(model: nn.Module, batch: Batch, asked: GradientNoise) -> dict[str, Noise]:
    """Noise of the gradient of the rows' share of the loss, the mean over the full batch, by part of the model."""
    parts = {name: list(model.get_submodule(name).parameters()) for name in ("encoder", "classifier")}
    sums = {name: [torch.zeros_like(p, dtype=torch.float64) for p in own] for name, own in parts.items()}
    squares = dict.fromkeys(parts, 0.0)
    for draw in range(asked.draws):
        torch.manual_seed(draw)
        model.zero_grad()
        (model(batch).objective.sum() / asked.batch_size).backward()
        for name, own in parts.items():
            gradients = [p.grad for p in own if p.grad is not None]
            for total, gradient in zip(sums[name], gradients, strict=False):  # all of them, or none
                total += gradient
            squares[name] += _squared(gradients)
    found = {}
    for name in parts:
        variance = max(squares[name] - _squared(sums[name]) / asked.draws, 0.0) / (asked.draws - 1)
        mean = max(_squared(sums[name]) / asked.draws**2 - variance / asked.draws, 0.0)
        found[name] = Noise(math.sqrt(mean), math.sqrt(variance), asked.draws)
    return found


def _squared(tensors: Sequence[Tensor]) -> float:
    return float(sum(tensor.double().square().sum() for tensor in tensors))


def _show(title: str, measured: dict[str, dict[str, Noise]]) -> None:
    table = Table(title=title, title_justify="left", box=MARKDOWN)
    table.add_column("estimators")
    for part in ("encoder", "classifier"):
        for column in ("mean", "deviation", "deviation / mean"):
            table.add_column(f"{part}: {column}", justify="right")
    for name, parts in measured.items():
        numbers = [(f"{n.mean:.3g}", f"{n.deviation:.3g}", n.relative) for n in parts.values()]
        table.add_row(name, *(cell for row in numbers for cell in row))
    Console(width=240).print(table)


if __name__ == "__main__":
    main()
