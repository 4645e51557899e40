"""Small run configurations and ways to start them, for tests of several floors."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from data_prep.manifest import Manifest
from pipeline.cell import Cell
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.beta_tcvae import BetaTCVAEConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.csvae import CSVAEConfig
from pipeline.models.m2 import M2Config
from pipeline.models.vae import VAEConfig
from pipeline.tracking import TrackingSettings
from pipeline.training.settings import TrainingConfig

SMALL: dict[str, CCVAEConfig | M2Config | CSVAEConfig | VAEConfig | BetaTCVAEConfig] = {
    "ccvae": CCVAEConfig(hidden_width=32, predictive_samples=10),
    "m2": M2Config(hidden_width=32),
    "csvae": CSVAEConfig(hidden_width=32, adversary_width=16),
    "vae": VAEConfig(hidden_width=32),
    "beta_tcvae": BetaTCVAEConfig(hidden_width=32),
}

NUMBERS = ("classification", "likelihood")
"""Measures of sweeps whose tests look at no figure, which take seconds to draw."""


def small_run(data_set: Path, *, system: str = "ccvae", rate: float = 0.5, **training: Any) -> RunConfig:
    """A run of seconds on the tiny data set, without MLflow."""
    settings = {"epochs": 4, "batch_size": 50, "log_every_steps": 5} | training
    return RunConfig(
        data=DataConfig(name=Manifest.load(data_set).name, folder=str(data_set), supervision_rate=rate),
        model=SMALL[system],
        training=TrainingConfig(**settings),
        tracking=TrackingSettings(enabled=False),
    )


def small_cell(sweep: Path, config: RunConfig) -> Cell:
    """The cell of a run, its ``config.json`` written."""
    cell = Cell.named(sweep, config, Manifest.load(Path(config.data.folder)).digest)
    cell.write()
    return cell


def with_loader(config: RunConfig, loader: Any) -> RunConfig:
    """The same run with another loader."""
    return replace(config, data=replace(config.data, loader=loader))


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


def start_ranks(
    cell: Cell, ranks: int, under: tuple[str, ...] = (str(Path(__file__).with_name("start_ranks.py")),)
) -> subprocess.Popen[bytes]:
    """Start the ranks of a training in a process group of their own; what they print goes to ``ranks.txt`` of the cell.

    Under torchrun if it is given: it takes a second and more of a processor to start.
    """
    with (cell.folder / "ranks.txt").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, *under, str(ranks), "-m", "jobs.train", "--config", str(cell.config_file)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def final_parameters(cell_checkpoints: Path) -> dict[str, torch.Tensor]:
    """Model parameters and Adam's moments in the newest checkpoint, by name."""
    newest = max(cell_checkpoints.glob("step-*.pt"))
    state = torch.load(newest, weights_only=True)
    found = {f"model.{name}": value for name, value in state["model"].items()}
    for index, moments in state["optimiser"]["state"].items():
        found |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
    return found


def assert_bitwise_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Fail unless both hold the same names with the same bits."""
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different
