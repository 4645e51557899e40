"""What He initialisation and the labels' prior do for a short training: ``python -m tests.benchmarks short-training``.

CCVAE on drawn faces, judged on ``valid``: with both, with torch's own initialisation, and with a prior whose means are its
parameters. The test split is not read.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import torch
import tyro
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from data_prep.errors import report_user_errors
from data_prep.stages import prepare
from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.data.settings import DataConfig
from pipeline.measures.classification import Classification
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.likelihood import Likelihood
from pipeline.measures.view import ModelView
from pipeline.models.ccvae import CCVAE, CCVAEConfig
from pipeline.models.interface import DataSpec
from pipeline.networks import convolutional
from pipeline.training.settings import OptimiserConfig, TrainingConfig
from pipeline.training.step import Step
from pipeline.world import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))
CHOICES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "as it is": nullcontext,
    "torch's initialisation": lambda: patch.object(
        convolutional, "he_initialised", lambda layer, inputs: layer
    ),
    "prior's means as they are": lambda: patch("pipeline.models.parts.conditional_prior.REACH", 1.0),
}
NUMBERS = ("accuracy", "balanced accuracy", "AUROC", "ELBO", "prior's share")
"""The last: how far apart the prior's means of a label's two values are, as a share of how far the posterior's are, summed
over labels; where it is below 1, interventions sample latents from between the values."""


@dataclass(frozen=True, kw_only=True)
class ShortTraining:
    """Train CCVAE with each choice and seed, and judge it on the validation images."""

    faces: int = 2000
    """drawn faces, of which eight tenths are trained on"""
    supervision_rate: float = 0.2
    """share of labelled rows"""
    epochs: int = 6
    """of 50 steps each, of 32 images, with 2,000 faces"""
    seeds: int = 3
    """runs of each choice; the number is the seed of the labels as well"""
    data_root: Path = Path("data")
    """folder of the prepared data sets"""
    threads: int = 1
    """threads of torch"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the numbers of each run as it ends, and a table."""
    with report_user_errors():
        asked = tyro.cli(ShortTraining, args=arguments, prog="python -m tests.benchmarks short-training")
        torch.set_num_threads(asked.threads)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in CHOICES}
        for name, seed, numbers in short_trainings(asked):
            print(
                name,
                f"seed {seed}",
                *(f"{what} {value:.4g}" for what, value in numbers.items()),
                sep=", ",
                flush=True,
            )
            found[name].append(numbers)
        _show(found, asked)


def short_trainings(asked: ShortTraining) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Choice, seed and numbers of each run, seed by seed."""
    options = {"count": str(asked.faces)}
    folder = prepare("drawn_faces", options=options, root=asked.data_root, formats="arrow")
    data = DataSet(folder)
    for seed in range(asked.seeds):
        for name, choice in CHOICES.items():
            config = RunConfig(
                data=DataConfig(
                    name="drawn_faces",
                    folder=str(folder),
                    supervision_rate=asked.supervision_rate,
                    label_seed=seed,
                ),
                model=CCVAEConfig.celeba(),
                optimiser=OptimiserConfig(learning_rate=1e-3),
                training=TrainingConfig(epochs=asked.epochs, batch_size=32, precision="bfloat16"),
                seed=seed,
            )
            with choice():
                yield name, seed, _judged(_trained(config, data), data)


def _trained(config: RunConfig, data: DataSet) -> CCVAE:
    step, examples = Step(config, DataSpec.of(data.manifest), ALONE), TrainingExamples(config, data, ALONE)
    step.warm_up(examples.first())
    number = 0
    for epoch in range(config.training.epochs):
        step.begin_epoch(epoch)
        for batch, size in examples.epoch(epoch):
            step(batch, number, size)
            number += 1
    model = step.model.eval()
    assert isinstance(model, CCVAE)
    return model


@torch.no_grad()
def _judged(model: CCVAE, data: DataSet) -> dict[str, float]:
    view = ModelView(model, MeasuredSplit(data, "valid", ALONE.device, batch_size=100))
    torch.manual_seed(0)
    classified, likely = Classification()(view).numbers, Likelihood()(view).numbers
    return dict(
        zip(
            NUMBERS,
            (
                classified["classification_accuracy"],
                classified["balanced_accuracy"],
                classified["auroc"],
                likely["elbo"],
                _share_of_prior(model, view),
            ),
            strict=True,
        )
    )


def _share_of_prior(model: CCVAE, view: ModelView) -> float:
    examples = view.examples
    codes = view.codes(len(examples))
    prior = posterior = 0.0
    for label in range(examples.labels.shape[1]):
        own, on = codes[:, model.latents_of(label)][:, 0], torch.from_numpy(examples.labels[:, label] == 1)
        if on.all() or not on.any():
            continue
        apart = float(own[on].mean() - own[~on].mean())
        mean = model.conditional_prior.of_label(label)[0][:, 0]
        prior += math.copysign(1, apart) * float(mean[1] - mean[0])
        posterior += abs(apart)
    return prior / posterior


def _show(found: dict[str, list[dict[str, float]]], asked: ShortTraining) -> None:
    table = Table(
        "", title=f"CCVAE after {asked.epochs} epochs, on valid", title_justify="left", box=MARKDOWN
    )
    for name in NUMBERS:
        table.add_column(name, justify="right")
    for choice, runs in found.items():
        cells = []
        for name in NUMBERS:
            values = [run[name] for run in runs]
            spread = f" ± {statistics.stdev(values):.3g}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.4g}{spread}")
        table.add_row(choice, *cells)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
