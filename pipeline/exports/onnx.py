"""Encoder and decoder of a trained model for other engines, as ONNX; what they compute is compared with torch's first."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from data_prep.errors import ConfigError, MissingDependencyError, RunError
from data_prep.files import atomic_path
from pipeline.models.capabilities import Encodes, KnownLabels, NeedsLabels
from pipeline.trained_model import TrainedModel

if TYPE_CHECKING:
    from types import ModuleType

ENCODER_FILE = "encoder.onnx"
DECODER_FILE = "decoder.onnx"
LARGEST_DIFFERENCE = 1e-5
"""From torch's codes, and from its pictures in [0, 1]."""
_ROWS = 3
_COMPARED = (1, 5)
"""Numbers of rows other than that of the example, so that the graph does not hold it."""


def write_onnx(folder: Path, model: TrainedModel) -> list[Path]:
    """Write ``encoder.onnx`` and ``decoder.onnx``.

    The encoder takes ``image`` (uint8, any number of rows), and of a system that cannot encode without them ``labels``
    (uint8) and ``observed`` (bool), to ``code``; the decoder takes ``code`` to ``image`` in [0, 1].

    Raises:
        MissingDependencyError: the packages of the extra ``onnx`` are not installed.
        ConfigError: the system has no encoder and decoder.
        RunError: what they compute differs from what torch does.
    """
    runtime = _runtime()
    network = model.network
    if not isinstance(network, Encodes):
        raise ConfigError(
            f"{model.config.model.system} has no encoder and decoder, so there is nothing to write as ONNX"
        )
    with_labels = isinstance(network, NeedsLabels) and network.needs_labels
    encoder, names = (
        (_EncoderOfLabelled, ("image", "labels", "observed")) if with_labels else (_Encoder, ("image",))
    )
    encoder_inputs = _inputs(model, _ROWS, with_labels)
    with torch.no_grad():
        code = encoder(network)(*encoder_inputs)
    written = [
        _write(folder / ENCODER_FILE, encoder(network), encoder_inputs, names, "code"),
        _write(folder / DECODER_FILE, _Decoder(network), (code,), ("code",), "image"),
    ]
    for rows in _COMPARED:
        inputs = _inputs(model, rows, with_labels)
        with torch.no_grad():
            code = encoder(network)(*inputs)
            picture = _Decoder(network)(code)
        _compare(runtime, written[0], names, inputs, code)
        _compare(runtime, written[1], ("code",), (code,), picture)
    return written


class _Encoder(nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        found: Tensor = self.network.encode(image)
        return found


class _EncoderOfLabelled(_Encoder):
    def forward(self, image: Tensor, labels: Tensor, observed: Tensor) -> Tensor:  # type: ignore[override]
        found: Tensor = self.network.encode(image, KnownLabels(labels, observed))
        return found


class _Decoder(nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, code: Tensor) -> Tensor:
        found: Tensor = self.network.decode(code)
        return found


def _inputs(model: TrainedModel, rows: int, with_labels: bool) -> tuple[Tensor, ...]:
    """Random images, and labels of each value."""
    generator = torch.Generator().manual_seed(rows)
    image = torch.randint(256, (rows, *model.image_shape), dtype=torch.uint8, generator=generator)
    if not with_labels:
        return (image.to(model.device),)
    columns = [torch.arange(rows) % label.cardinality for label in model.labels]
    labels = torch.stack(columns, dim=1).to(torch.uint8)
    return image.to(model.device), labels.to(model.device), torch.ones_like(labels, dtype=torch.bool)


def _write(
    path: Path, network: nn.Module, inputs: tuple[Tensor, ...], names: Sequence[str], output: str
) -> Path:
    with atomic_path(path) as part, torch.no_grad(), _quiet():
        torch.onnx.export(
            network.eval(),
            inputs,
            part,
            input_names=list(names),
            output_names=[output],
            dynamic_shapes=tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return path


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporter says of packages that it does not need here, and of its own internals."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _compare(
    runtime: ModuleType, path: Path, names: Sequence[str], inputs: Sequence[Tensor], expected: Tensor
) -> None:
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {name: each.cpu().numpy() for name, each in zip(names, inputs, strict=True)})
    difference = float((torch.from_numpy(found) - expected.cpu()).abs().max())
    if not difference <= LARGEST_DIFFERENCE:
        raise RunError(
            f"{path.name} computes something else than torch: the largest difference is {difference:.2g}, above"
            f" {LARGEST_DIFFERENCE:g}"
        )


def _runtime() -> ModuleType:
    """ONNX's own engine, which the results are compared with."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"{error.name} is not installed, which writing ONNX needs: pip install 'traitvae[onnx]'"
        ) from None
    return onnxruntime
