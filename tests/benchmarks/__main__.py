"""Images per second of loaders, of a training step and of a preparation, seconds of each measure: ``make bench``.

Parts by themselves: ``python -m tests.benchmarks {steps,networks,measures,gradient-noise,short-training,gpu} --help``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import tyro

from data_prep.counted import counted
from data_prep.errors import report_user_errors
from data_prep.shards.beton import ffcv_is_installed
from data_prep.stages import prepare
from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.data.loaders import LOADERS, LoaderName, make_loader
from pipeline.data.order import shares
from pipeline.data.settings import DataConfig
from pipeline.models.interface import DataSpec, to_pixels
from pipeline.models.parts.densities import bernoulli_log_density
from pipeline.models.registry import PRESETS
from pipeline.networks import mlp
from pipeline.training.step import Step
from pipeline.world import World
from tests.benchmarks import gpu, gradient_noise, measures, networks, short_training, steps
from tests.benchmarks.clock import rates, show
from tests.benchmarks.loading import measure_loading
from tests.benchmarks.preparation import Preparation, preparation_speed, worker_memory

PARTS = {
    "steps": steps.main,
    "networks": networks.main,
    "measures": measures.main,
    "gradient-noise": gradient_noise.main,
    "short-training": short_training.main,
    "gpu": gpu.main,
}
CPU = torch.device("cpu")
ALONE = World(rank=0, size=1, device=CPU)


@dataclass
class Benchmarks:
    """Measure loaders and training steps on FashionMNIST; every ratio comes from one run with interleaved entries."""

    data_root: Path = Path("data")
    """folder of the prepared data sets; FashionMNIST is prepared there if missing"""
    raw: Path | None = None
    """folder of FashionMNIST's raw files (default: the usual places)"""
    threads: int = 1
    """threads of torch"""
    steps: int = 20
    """training steps per measurement"""
    rounds: int = 7
    """measurements of each contender"""


def main() -> None:
    """Run them all, or the part that is named."""
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](sys.argv[2:])
        return
    with report_user_errors():
        asked = tyro.cli(Benchmarks, prog="python -m tests.benchmarks")
        torch.set_num_threads(asked.threads)
        names: list[LoaderName] = [name for name in LOADERS if name != "ffcv" or ffcv_is_installed()]
        formats = "both" if "ffcv" in names else "arrow"
        folder = prepare("fashion_mnist", raw=asked.raw, root=asked.data_root, formats=formats)  # type: ignore[arg-type]
        data = DataSet(folder)
        print(
            f"torch {torch.__version__}, {counted(asked.threads, 'thread')}, batch 200, 28 x 28 grey, no GPU"
        )
        loaders: dict[str, Callable[[], int]] = {name: _loading(data, name) for name in names}
        show("A loader alone, one epoch in training order", rates(loaders, asked.rounds), "images")
        with_loader: dict[str, Callable[[], int]] = {
            name: _training(data, "ccvae", 0.06, asked.steps, name) for name in names
        }
        show("A training step (CCVAE, f = 0.06) with each loader", rates(with_loader, asked.rounds), "images")
        for rate in (0.06, 1.0):
            contenders: dict[str, Callable[[], int]] = {
                "encoder + decoder + Adam": _bare(data, rate, asked.steps)
            }
            contenders |= {
                name: _training(data, name, rate, asked.steps) for name in ("ccvae", "ccvae-exact", "m2")
            }
            show(f"A training step of each system, f = {rate}", rates(contenders, asked.rounds), "images")
        steps.measure_steps(steps.Steps(threads=(asked.threads,), rounds=asked.rounds, variants=True))
        networks.measure_networks(networks.NetworkSpeed(threads=asked.threads, rounds=asked.rounds))
        measures.measure_measures(measures.MeasureSpeed(threads=asked.threads, data_root=asked.data_root))
        measure_loading(rounds=asked.rounds)
        preparation_speed(Preparation.pictures, Preparation.rounds)
        worker_memory(sizes=(10_000, 20_000, 40_000))


def _run(data: DataSet, preset: str, rate: float) -> RunConfig:
    config = DataConfig(name="fashion_mnist", folder=str(data.folder), supervision_rate=rate)
    return RunConfig(data=config, model=PRESETS[preset].config())


def _loading(data: DataSet, name: LoaderName) -> Callable[[], int]:
    loader = make_loader(name, data, "train", CPU)
    labelled = np.asarray(data.columns("train").used_labels(0.06).any(axis=1))
    orders = [share.rows for share in shares(labelled, batch_size=200, seed=0, epoch=0, rank=0, world_size=1)]
    return lambda: sum(len(images) for images in loader.images(orders))


def _training(
    data: DataSet, preset: str, rate: float, steps: int, loader: LoaderName = "resident"
) -> Callable[[], int]:
    config = _run(data, preset, rate)
    config = replace(config, data=replace(config.data, loader=loader))
    step, examples = Step(config, DataSpec.of(data.manifest), ALONE), TrainingExamples(config, data, ALONE)
    step.warm_up(examples.first())

    def work() -> int:
        images = 0
        for number, (batch, size) in enumerate(islice(examples.epoch(0), steps)):
            step(batch, number, size)
            images += size
        return images

    return work


def _bare(data: DataSet, rate: float, steps: int) -> Callable[[], int]:
    """The same networks and optimiser as CCVAE's, with nothing of its objective but the reconstruction."""
    encoder, decoder = mlp([784, 600, 600, 20]), mlp([10, 600, 600, 784])
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=5e-4, fused=True)
    examples = TrainingExamples(_run(data, "ccvae", rate), data, ALONE)

    def work() -> int:
        images = 0
        for batch, size in islice(examples.epoch(0), steps):
            pixels = to_pixels(batch.image)
            loss = -bernoulli_log_density(pixels, decoder(encoder(pixels)[:, :10])).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            images += size
        return images

    return work


if __name__ == "__main__":
    main()
