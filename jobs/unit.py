"""What the units on a node share: opening the cell's data, its log, its tracker."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from data_prep.errors import ConfigError, UserError
from data_prep.manifest import MANIFEST_FILE, Manifest
from jobs.mps import mps_sentence
from jobs.outcome import Unit, begins
from jobs.pack import CELLS_PER_GPU
from pipeline.cell import Cell
from pipeline.cells.attempt import Attempt
from pipeline.config import flat
from pipeline.data.dataset import DataSet
from pipeline.measures.recorded import preset_tags
from pipeline.models.nearest_preset import nearest_preset
from pipeline.tracking import DatasetInput, Tracker
from pipeline.tracking.artifacts import note_artifact
from pipeline.tracking.state import UploadState
from pipeline.tracking.tracker import described
from pipeline.training.memory import limit_gpu_memory
from pipeline.world import ranks_from_environment, rendezvous_port

log = logging.getLogger(__name__)


@contextmanager
def logged(cell: Cell, unit: Unit) -> Iterator[Path]:
    """Send log messages of the block, including errors, to standard error and to the cell's ``log/`` folder.

    Each rank has its own file, to which restarted units append; the block gets its path.
    """
    path = cell.log_file(unit, ranks_from_environment().rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    root, file = logging.getLogger(), logging.FileHandler(path)
    handlers: list[logging.Handler] = [file] if root.handlers else [file, logging.StreamHandler()]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)
    for floor in ("data_prep", "pipeline", "jobs"):
        logging.getLogger(floor).setLevel(logging.INFO)
    log.info(begins(Attempt.here()))
    try:
        yield path
    except UserError as error:
        file.handle(log.makeRecord(log.name, logging.ERROR, unit, 0, str(error), (), None))
        raise
    except Exception:
        file.handle(
            log.makeRecord(log.name, logging.ERROR, unit, 0, "a bug, or a lost rank:", (), sys.exc_info())
        )
        raise
    finally:
        root.removeHandler(file)
        file.close()


def take_rank_from_submitit() -> None:
    """Under submitit, set the variables for rank and rendezvous that torchrun would set."""
    if "SUBMITIT_EXECUTOR" in os.environ:
        from submitit.helpers import TorchDistributedEnvironment

        TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        os.environ["MASTER_PORT"] = str(rendezvous_port())


def open_data(cell: Cell) -> DataSet:
    """The prepared data set that the cell's configuration names."""
    if not cell.config.data.folder:
        raise ConfigError(
            f"{cell.config_file}: data.folder is empty; prepare the data set (python launch/prepare.py"
            f" {cell.config.data.name}) and name its folder there"
        )
    data = DataSet(Path(cell.config.data.folder))
    if data.manifest.name != cell.config.data.name:
        raise ConfigError(
            f"{data.folder} holds {data.manifest.name}, but the run needs {cell.config.data.name}"
        )
    return data


def check_splits(cell: Cell, data: DataSet) -> None:
    """ConfigError unless the data set has the splits that the cell is trained and measured on, before it is trained."""
    there = ", ".join(data.manifest.splits)
    if "train" not in data.manifest.splits:
        raise ConfigError(f"{data.folder} has no split train; there are: {there}")
    measures = cell.config.measures
    if measures.take and measures.split not in data.manifest.splits:
        raise ConfigError(
            f"{data.folder} has no split {measures.split}, which the run is to be measured on; there are: {there}; "
            "measure it on one of these with --split"
        )


def tracker_for(cell: Cell, data: DataSet, guard: Callable[[], None], *, patience_s: float = 0.0) -> Tracker:
    """The tracker of a cell's metrics, which writes while ``guard`` permits; a resumed cell keeps its MLflow run.

    With ``patience_s`` a shorter run that another process continues leaves the upload to it (see ``Tracker``).
    """
    params, tags = _described(cell)
    return Tracker(
        cell.folder,
        settings=cell.config.tracking,
        params=params,
        tags=tags,
        run_name=cell.name,
        data=_dataset_input(data.manifest, data.folder),
        guard=guard,
        patience_s=patience_s,
    )


def upload_state(cell: Cell, uri: str) -> UploadState:
    """What the MLflow run of a cell is to show, for a cell of which nothing was uploaded; its data set may be gone."""
    params, tags = _described(cell)
    folder = Path(cell.config.data.folder)
    data = _dataset_input(Manifest.load(folder), folder) if (folder / MANIFEST_FILE).is_file() else None
    state = described(cell.folder, uri, cell.config.tracking, params, tags, cell.name, data)
    note_artifact(state, cell.folder, cell.config_file, "")
    return state


def _described(cell: Cell) -> tuple[dict[str, Any], dict[str, str]]:
    """Params and tags of a cell's run."""
    params = flat(cell.config)
    preset = nearest_preset(params)
    # What is measured is no part of a run, and may be another the next time; in MLflow no param changes.
    kept = {name: value for name, value in params.items() if not name.startswith("measures.")}
    return kept, {} if preset is None else preset_tags(preset.name, preset.deviations)


def _dataset_input(manifest: Manifest, folder: Path) -> DatasetInput:
    return DatasetInput(name=manifest.name, digest=manifest.digest, source=str(folder))


def limit_threads() -> None:
    """Limit this rank to its share of the node's CPUs: OMP_NUM_THREADS if set, else an equal share."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # one number per nesting level
    if first.isdecimal():
        threads = int(first)
    elif "SLURM_CPUS_PER_TASK" in os.environ:
        threads = int(os.environ["SLURM_CPUS_PER_TASK"])
    else:
        threads = len(os.sched_getaffinity(0)) // ranks_from_environment().on_this_node
    torch.set_num_threads(max(1, threads))


def share_the_gpu(device: torch.device) -> None:
    """Limit this process to its share of the GPU's memory if it is one of several on it (``jobs.pack``)."""
    cells = int(os.environ.get(CELLS_PER_GPU) or 1)
    if cells > 1 and device.type == "cuda":
        limit_gpu_memory(device, cells)
        log.info("one of up to %d processes on this GPU; %s", cells, mps_sentence())
