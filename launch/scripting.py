"""What a script does in its own process: open a data set, train one run on it, open what was trained, measure it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from data_prep.errors import ConfigError, MeasuringError, RunError
from data_prep.lock import exclusive_lock
from data_prep.manifest import MANIFEST_FILE
from data_prep.sources.options import Option
from data_prep.stages import prepare
from jobs.train import train_cell
from launch.plan import write_cells
from pipeline.cell import Cell
from pipeline.cells.folder import CellFolder
from pipeline.cells.lease import no_guard
from pipeline.cells.measurements import Number, results
from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.exports.read import load_export
from pipeline.exports.record import RECORD_FILE
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.plan import planned
from pipeline.measures.registry import BY_DEFAULT
from pipeline.measures.settings import MeasuresConfig
from pipeline.measures.take import take_all
from pipeline.measures.view import ModelView
from pipeline.models.parts.image_vae import ImageVAEConfig, settled
from pipeline.tracking.sweep_identity import claim_sweep
from pipeline.trained_cell import load_cell
from pipeline.trained_model import TrainedModel
from pipeline.world import choose_device


def open_data(
    data: str | Path,
    *,
    raw: str | Path | None = None,
    options: Mapping[str, Option] | None = None,
    root: str | Path = "data",
) -> DataSet:
    """A prepared data set.

    Args:
        data: its folder, or the name of a source, such as ``drawn-faces``, whose data set is prepared unless it is there.
        raw: folder of the raw files of a source.
        options: of a source.
        root: folder of the prepared data sets.

    Raises:
        UserError: there is none, its raw files are missing or damaged, or an option is wrong.
    """
    if (Path(data) / MANIFEST_FILE).is_file():
        if raw is not None or options:
            raise ConfigError(
                f"{data} is a prepared data set: raw and options are for a source that is to be prepared"
            )
        return DataSet(Path(data))
    place = None if raw is None else Path(raw)
    return DataSet(
        prepare(str(data), raw=place, options=options or {}, root=Path(root), formats="arrow", progress=False)
    )


def train(
    config: RunConfig, data: DataSet, *, runs: str | Path = "runs", sweep: str = "scripts"
) -> TrainedModel:
    """Train a run in this process, with one rank, and return its model; one that is trained is only opened.

    It is a run like any other: its folder is in ``runs/<sweep>/``, in MLflow unless ``config.tracking`` says otherwise, and
    the programs of ``launch`` measure, compare and export it. Ctrl-C stops it after a checkpoint, from which the same
    call resumes.

    Args:
        config: of the run; the data set's name and folder are filled in.
        data: what it is trained on.
        runs: folder of the sweeps.
        sweep: name of the sweep that the run belongs to.

    Raises:
        Interrupted: it was asked to stop.
        UserError: the system does not take such data, the loss is not finite, another process trains the same run, …
    """
    folder, manifest, model = (Path(runs) / sweep).absolute(), data.manifest, config.model
    if isinstance(model, ImageVAEConfig):
        model = settled(model, manifest.image_shape)
    run = replace(
        config,
        model=model,
        data=replace(config.data, name=manifest.name, folder=str(data.folder.absolute())),
        training=replace(config.training, ranks=1),
        tracking=replace(config.tracking, sweep=sweep),
    )
    claim_for_one_process(folder, run.tracking.experiment)
    (cell,) = write_cells([Cell.named(folder, run, manifest.digest)], run.tracking)
    train_cell(cell.config_file)
    return load_cell(cell.folder, choose_device(run.training.device, local_rank=0))


def load(
    folder: str | Path, *, device: str | torch.device | None = None, trust_code: bool = False
) -> TrainedModel:
    """The trained model in a run's folder, or in one that ``launch/export.py`` wrote.

    Args:
        folder: of the run or export.
        device: where the model goes (default: a GPU if there is one).
        trust_code: run the code of a network that came with an export.

    Raises:
        RunError: it is neither, is not trained, or a file is missing, damaged or changed.
        ConfigError: a field of its configuration is unknown or invalid.
    """
    place = choose_device("auto", local_rank=0) if device is None else torch.device(device)
    if (Path(folder) / RECORD_FILE).is_file():
        return load_export(Path(folder), place, trust_code=trust_code)
    if (Path(folder) / "config.json").is_file():
        return load_cell(Path(folder), place)
    raise RunError(f"{folder} is neither a run (config.json) nor an exported model ({RECORD_FILE})")


def measure(
    model: TrainedModel,
    data: DataSet,
    measures: Sequence[str] = BY_DEFAULT,
    *,
    split: str = "test",
    batch_size: int = 500,
) -> dict[str, Number]:
    """The numbers of some measures of a model on a split, by metric; nothing is stored.

    ``python launch/measure.py --help`` lists the measures; those that rest on label readers are for sweeps.

    Args:
        model: a trained model.
        data: a data set with the model's labels and image shape.
        measures: each as ``NAME``, or with settings as ``NAME:FIELD=VALUE,FIELD=VALUE``.
        split: of the data set.
        batch_size: examples per forward pass.

    Raises:
        ConfigError: the data do not fit the model, there is no such split, or a measure is unknown, does not apply or is
            named twice.
        MeasuringError: a measure failed.
    """
    manifest = data.manifest
    if (manifest.image_shape, manifest.labels) != (model.image_shape, model.labels):
        raise ConfigError(f"{data.folder} does not have the labels and the image shape of {model.name}")
    if split not in manifest.splits:
        raise ConfigError(f"{manifest.name} has no split {split!r}; there are: {', '.join(manifest.splits)}")
    examples = MeasuredSplit(data, split, model.device, batch_size)
    view = ModelView(model.network, examples, model.identity)
    with TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        wanted = planned(MeasuresConfig(take=tuple(measures), split=split))
        twice = sorted(name for name, n in Counter(each.measure.name for each in wanted).items() if n > 1)
        if twice:
            raise ConfigError(
                f"{twice[0]} is named with several settings, whose numbers have the same names: measure each by itself"
            )
        failed = take_all(view, CellFolder(Path(folder)), wanted, guard=no_guard)
        found = results(Path(folder))
    if failed:
        raise MeasuringError("; ".join(f"{name}: {reason}" for name, reason in failed))
    for result in found:
        if result.status == "not_applicable":
            raise ConfigError(f"{result.key.measure} does not apply to {model.name}: {result.reason}")
    return {name: number for result in found for name, number in result.numbers.items()}


def claim_for_one_process(sweep: Path, experiment: str) -> None:
    """Make the folder of a sweep whose runs are trained in the process that starts them, with an identity in MLflow."""
    sweep.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(sweep / "launch.lock"):
        claim_sweep(sweep, experiment)
