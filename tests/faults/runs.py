"""The runs that faults are injected into: some ten seconds each on two idle CPUs, with a checkpoint every second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.measures.settings import MeasuresConfig
from pipeline.training.settings import TrainingConfig
from tests.pipeline.runs import NUMBERS, SMALL

HANG_SECONDS = 15.0
NETWORK = Path(__file__).with_name("unhurried.py")


def run(seed: int = 0) -> RunConfig:
    """210 small steps on two ranks: of the last fault, at step 135 or earlier, they have seconds left to hear."""
    return RunConfig(
        data=DataConfig(name="idx_folder", supervision_rate=0.5),
        model=replace(SMALL["vae"], network=f"{NETWORK}:Unhurried"),
        training=TrainingConfig(
            epochs=21, batch_size=60, ranks=2, checkpoint_every_epochs=2, log_every_steps=5
        ),
        measures=MeasuresConfig(take=NUMBERS),
        seed=seed,
    )


def alike(config: RunConfig) -> list[RunConfig]:
    """Runs with different names that are trained identically bit for bit: an unreached milestone changes nothing."""
    return [config, replace(config, optimiser=replace(config.optimiser, milestones=(1_000_000,)))]


def packed() -> list[RunConfig]:
    """Three such runs on one rank each, which can share a GPU, or a job."""
    alone = replace(run(), training=replace(run().training, ranks=1))
    return [*alike(alone), replace(alone, optimiser=replace(alone.optimiser, milestones=(2_000_000,)))]


def impatient(seed: int = 0) -> RunConfig:
    """The run, with little patience for a rank that makes no step; it is the same run, bit for bit and by name."""
    config = run(seed)
    return replace(config, training=replace(config.training, hang_seconds=HANG_SECONDS))


def for_soak() -> list[RunConfig]:
    """Four cells of two seeds: few enough to run side by side, so that a requeued one need not wait for others."""
    return [config for seed in range(2) for config in alike(impatient(seed))]
