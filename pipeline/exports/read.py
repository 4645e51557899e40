"""Opens an exported model: sizes, hashes and shapes are checked first, and nothing is unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from data_prep.errors import RunError
from pipeline.config import RunConfig, network_of
from pipeline.exports.record import RECORD_FILE, WEIGHTS_FILE, ExportRecord
from pipeline.models.parts.image_vae import ImageVAEConfig
from pipeline.own_source import is_own
from pipeline.trained_model import TrainedModel


def load_export(folder: Path, device: torch.device, *, trust_code: bool = False) -> TrainedModel:
    """The model in a folder that ``write_export`` wrote.

    Args:
        folder: the export.
        device: where the model goes.
        trust_code: whether code in the export may be run, that of a network that is not of this project.

    Raises:
        RunError: a file is missing, damaged or changed, or of a later version; or it has code, and is not trusted.
        ConfigError: a field of the configuration is unknown or invalid.
    """
    folder = folder.absolute()
    record = ExportRecord.read(folder)
    record.check_files(folder)
    config = _with_code(record.run, folder, trust_code)
    weights = _weights(folder / WEIGHTS_FILE, device)
    network = config.model.build(record.spec).to(device).eval()
    _check_shapes(network, weights, folder)
    network.load_state_dict(weights)
    return TrainedModel(
        network=network,
        config=config,
        name=record.name,
        identity=record.identity,
        labels=record.data.labels,
        image_shape=record.spec.image_shape,
    )


def _with_code(run: RunConfig, folder: Path, trust_code: bool) -> RunConfig:
    """The configuration with the place of its network's code; RunError if it may not be run."""
    network, model = network_of(run), run.model
    if not is_own(network) or not isinstance(model, ImageVAEConfig):
        return run
    if not trust_code:
        raise RunError(
            f"the model in {folder} has a network of its own, whose code ({network.rpartition(':')[0]} in that folder)"
            " would be run: read it, and load the model with trust_code=True"
        )
    return replace(run, model=replace(model, network=str(folder / network)))


def _weights(path: Path, device: torch.device) -> dict[str, Tensor]:
    try:
        return load_file(path, device=str(device))
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise RunError(f"{path} cannot be read as safetensors: {error}") from None


def _check_shapes(network: nn.Module, weights: Mapping[str, Tensor], folder: Path) -> None:
    """RunError naming the first tensor that is not as the configuration makes it."""
    expected = network.state_dict()
    for name in sorted(expected.keys() | weights.keys()):
        there, wanted = _said(weights.get(name)), _said(expected.get(name))
        if there != wanted:
            raise RunError(
                f"{folder / WEIGHTS_FILE} does not fit {RECORD_FILE}: {name} is {there}, where the configuration makes it"
                f" {wanted}"
            )


def _said(tensor: Tensor | None) -> str:
    if tensor is None:
        return "absent"
    return (
        f"{' x '.join(map(str, tensor.shape)) or 'one number'} ({str(tensor.dtype).removeprefix('torch.')})"
    )
