"""Writes a trained model into a folder of its own: weights as safetensors, ``model.json``, the code of its network."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from data_prep.errors import UserError
from data_prep.files import atomic_write
from data_prep.manifest import Manifest
from data_prep.sources import source_named
from pipeline.cell import Cell
from pipeline.cells.measurements import Result, as_json
from pipeline.config import RunConfig, identity, network_of
from pipeline.exports.record import WEIGHTS_FILE, DataRecord, ExportRecord, NumberRecord, files_of
from pipeline.models.interface import DataSpec
from pipeline.models.parts.image_vae import ImageVAEConfig
from pipeline.own_source import OwnSource, is_own
from pipeline.tracking.settings import TrackingSettings


def write_export(
    folder: Path, cell: Cell, manifest: Manifest, network: nn.Module, results: Sequence[Result], steps: int
) -> ExportRecord:
    """Write the model of a cell into an empty folder, ``model.json`` last.

    Args:
        folder: an existing, empty folder.
        cell: of the run; only its name and configuration are used.
        manifest: of the data set that it was trained on.
        network: the trained network.
        results: what it was measured at.
        steps: how many steps it was trained for.

    Returns:
        The content of ``model.json``.

    Raises:
        ConfigError: the network is a class of the user's whose source is gone or was changed.
        OSError: the disk is full.
    """
    run = _without_places(cell.config, folder)
    weights = {
        name: value.detach().cpu().contiguous().clone() for name, value in network.state_dict().items()
    }
    with atomic_write(
        folder / WEIGHTS_FILE
    ) as file:  # their own writing has an error of its own for a full disk
        file.write(safetensors.torch.save(weights, metadata={"format": "pt"}))
    record = ExportRecord(
        name=cell.name,
        identity=identity(cell.config, manifest.digest),
        steps=steps,
        run=run,
        data=data_record(cell.config, manifest),
        spec=DataSpec.of(manifest),
        measured=tuple(_numbers(results)),
        versions=versions(),
        files=files_of(folder),
    )
    record.write(folder)
    return record


def data_record(config: RunConfig, manifest: Manifest) -> DataRecord:
    """What is handed on about the data; title and licence are the source's own, if this version still has it."""
    title, home, licence = manifest.name, "", "unknown"
    with suppress(UserError):
        source = source_named(config.data.name)
        title, home, licence = source.title, source.home, source.licence
    return DataRecord(
        name=manifest.name,
        title=title,
        home=home,
        licence=licence,
        digest=manifest.digest,
        options=dict(manifest.options),
        rows={name: split.rows for name, split in manifest.splits.items()},
        labels=manifest.labels,
    )


def versions() -> dict[str, str]:
    """Of this package, torch and Python."""
    try:
        own = version("traitvae")
    except PackageNotFoundError:  # run from a checkout
        own = "unknown"
    return {"traitvae": own, "torch": torch.__version__, "python": platform.python_version()}


def _without_places(config: RunConfig, folder: Path) -> RunConfig:
    """The configuration without what is true on this machine alone; a network of the user's is copied into the folder."""
    model, network = config.model, network_of(config)
    if is_own(network) and isinstance(model, ImageVAEConfig):
        copied = OwnSource.read(network).copied_into(folder)
        place, _, name = copied.rpartition(":")
        model = replace(model, network=f"{Path(place).relative_to(folder.absolute()).as_posix()}:{name}")
    return replace(
        config,
        model=model,
        data=replace(config.data, folder=""),
        measures=replace(config.measures, readers=()),
        tracking=TrackingSettings(),
    )


def _numbers(results: Sequence[Result]) -> list[NumberRecord]:
    """The numbers of the newest result of each measure, split and settings, in the order of their names."""
    newest: dict[tuple[str, str, str], Result] = {}
    for result in sorted(results, key=lambda each: (each.key.version, each.time)):
        newest[result.key.split, result.key.measure, str(sorted(result.key.settings.items()))] = result
    return [
        NumberRecord(
            measure=result.key.measure,
            version=result.key.version,
            split=result.key.split,
            settings=dict(result.key.settings),
            metric=metric,
            value=as_json(number.value),
            unit=number.unit,
            better=number.better,
            count=number.count,
        )
        for _, result in sorted(newest.items())
        for metric, number in result.numbers.items()
    ]
