"""A trained model as MLflow logs it: an export that is also a model of MLflow's, of flavour ``python_function``.

``mlflow models predict``, ``mlflow models serve`` and ``mlflow.pyfunc.load_model`` open it where this package is installed,
and so does ``traitvae.load``. MLflow imports this module by its name, which models that were logged carry on: it stays.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from data_prep.errors import ConfigError, UserError
from data_prep.manifest import Manifest
from pipeline.cell import Cell
from pipeline.exports.read import load_export
from pipeline.exports.write import write_export
from pipeline.models.capabilities import Classifies, NeedsLabels, Reconstructs
from pipeline.trained_model import TrainedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

OUTPUT = "output"
"""The parameter that chooses what is predicted."""
LABELS, RECONSTRUCTION = "labels", "reconstruction"
_NEEDS_CODE = "trust_code"
_SEED = 0
"""Some systems draw latents to classify: the same images get the same answer."""
_AT_ONCE = 500
"""Images that go through the network together."""


def write_logged(folder: Path, cell: Cell, manifest: Manifest, network: nn.Module, steps: int) -> None:
    """Write the trained model of a cell into an empty folder, as an export and for MLflow; nothing is pickled.

    Raises:
        ConfigError: the network is a class of the user's whose source is gone or was changed.
        OSError: the disk is full.
    """
    (folder / "MLmodel").write_text(json.dumps(_description(network, manifest), indent=2) + "\n")
    needed = [f"{name}=={version(name)}\n" for name in ("torch", "safetensors")]
    (folder / "requirements.txt").write_text("".join(needed))
    write_export(folder, cell, manifest, network, (), steps)


def _load_pyfunc(folder: str, options: Mapping[str, Any]) -> _Served:
    """What MLflow calls to open the model."""
    return _Served(load_export(Path(folder), torch.device("cpu"), trust_code=bool(options.get(_NEEDS_CODE))))


class _Served:
    """The model as MLflow calls it."""

    def __init__(self, model: TrainedModel) -> None:
        self._model = model

    def predict(
        self,
        data: NDArray[np.uint8] | Mapping[str, NDArray[np.uint8]],
        params: Mapping[str, Any] | None = None,
    ) -> DataFrame | NDArray[np.float32]:
        """Probabilities of labels, or reconstructions.

        Args:
            data: images, uint8, (image, channel, height, width); with the labels' values, uint8, (image, label), as
                ``{"images": …, "labels": …}`` for a system that cannot encode without them.
            params: ``output`` is ``labels`` (a column ``label=value`` for each) or ``reconstruction`` (pixels in [0, 1]).

        Raises:
            MlflowException: anything that the model cannot take or do, in one sentence.
        """
        from mlflow.exceptions import MlflowException

        try:
            images, labels = (data["images"], data["labels"]) if isinstance(data, Mapping) else (data, None)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(_SEED)
                return self._predicted((params or {}).get(OUTPUT, LABELS), images, labels)
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None

    def _predicted(
        self, output: str, images: NDArray[np.uint8], labels: NDArray[np.uint8] | None
    ) -> DataFrame | NDArray[np.float32]:
        if output == LABELS:
            return self._probabilities(images)
        if output != RECONSTRUCTION:
            raise ConfigError(f"{OUTPUT} is {LABELS} or {RECONSTRUCTION}, not {output!r}")
        return _in_parts(
            len(images),
            lambda rows: self._model.reconstruct(images[rows], None if labels is None else labels[rows]),
        ).numpy()

    def _probabilities(self, images: NDArray[np.uint8]) -> DataFrame:
        from pandas import DataFrame

        names = [f"{label.name}={value}" for label in self._model.labels for value in label.values]
        found = _in_parts(
            len(images),
            lambda rows: torch.cat(list(self._model.classify(images[rows]).values()), dim=1),
        )
        return DataFrame(found.numpy(), columns=names)


def _in_parts(count: int, compute: Callable[[slice], Tensor]) -> Tensor:
    """What ``compute`` gives for the first rows, the next, and so on; also if there is none."""
    return torch.cat([compute(slice(first, first + _AT_ONCE)) for first in range(0, max(count, 1), _AT_ONCE)])


def _description(network: nn.Module, manifest: Manifest) -> dict[str, Any]:
    """What MLflow's file says of the model: it is YAML, which includes JSON.

    Written without MLflow, whose import takes longer than many a training. What else MLflow writes there (ids, times, its
    version) it adds itself when it logs the model.
    """
    return {
        "flavors": {
            "python_function": {
                "loader_module": __name__,
                "python_version": platform.python_version(),
                "config": {_NEEDS_CODE: False},
            }
        },
        "signature": _signature(network, manifest),
    }


def _signature(network: nn.Module, manifest: Manifest) -> dict[str, str]:
    """What ``predict`` takes, in JSON: MLflow checks it, and makes arrays of JSON by it."""
    pixels, values = [-1, *manifest.image_shape], [-1, len(manifest.labels)]
    named = isinstance(network, NeedsLabels) and network.needs_labels
    inputs = [{"name": "images"} | _uint8(pixels), {"name": "labels"} | _uint8(values)]
    possible = {LABELS: Classifies, RECONSTRUCTION: Reconstructs}
    first = next((name for name, capability in possible.items() if isinstance(network, capability)), LABELS)
    return {
        "inputs": json.dumps(inputs if named else [_uint8(pixels)]),
        "params": json.dumps([{"name": OUTPUT, "type": "string", "default": first, "shape": None}]),
    }


def _uint8(shape: list[int]) -> dict[str, Any]:
    return {"type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": shape}}
