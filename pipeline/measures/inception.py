"""The Inception network of the FID (Szegedy et al. 2015, as TensorFlow's 2015-12-05 graph computes it), and its weights.

Names of parameters are those of the file that pytorch-fid, torch-fidelity and torchmetrics share. The network differs from
torchvision's: averages leave the padding out, and the pool of the last block takes the maximum.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.error import URLError

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from data_prep.errors import RunError

WEIGHTS_URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
WEIGHTS_SHA256 = "6726825d"
"""Its first digits, as in its name: other weights would give another distance under the same name."""
_SIDE = 299
_CONNECT_SECONDS = 30


class _Convolution(nn.Module):
    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int, padding: tuple[int, int]
    ):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, image: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(image)))


class _Row(NamedTuple):
    """A convolution of a block: its name, what it takes (``x``, ``pool`` or another row), its channels and its kernel."""

    name: str
    takes: str
    channels: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1


Pool = Literal["mean", "max", "halve"]


class _Mixed(nn.Module):
    """A block: rows of convolutions, some of which are put side by side."""

    def __init__(self, inputs: int, rows: Sequence[_Row], outputs: str, pool: Pool) -> None:
        super().__init__()
        self.rows, self.outputs, self.pool = tuple(rows), tuple(outputs.split()), pool
        channels = {"x": inputs, "pool": inputs}
        for row in rows:
            kernel = (row.kernel, row.kernel) if isinstance(row.kernel, int) else row.kernel
            padding = (0, 0) if row.stride > 1 else (kernel[0] // 2, kernel[1] // 2)
            convolution = _Convolution(channels[row.takes], row.channels, kernel, row.stride, padding)
            self.add_module(row.name, convolution)
            channels[row.name] = row.channels
        self.channels = sum(channels[name] for name in self.outputs)

    def forward(self, image: Tensor) -> Tensor:
        if self.pool == "mean":
            pooled = functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
        else:
            pooled = functional.max_pool2d(image, 3, *((2, 0) if self.pool == "halve" else (1, 1)))
        found = {"x": image, "pool": pooled}
        for row in self.rows:
            found[row.name] = self.get_submodule(row.name)(found[row.takes])
        return torch.cat([found[name] for name in self.outputs], dim=1)


def _chain(name: str, *layers: tuple[int, int | tuple[int, int]], stride: int = 1) -> list[_Row]:
    """Rows ``name_1``, ``name_2``, …, each taking the one before; the stride is the last one's."""
    rows = []
    for place, (channels, kernel) in enumerate(layers, start=1):
        takes = "x" if place == 1 else f"{name}_{place - 1}"
        rows.append(_Row(f"{name}_{place}", takes, channels, kernel, stride if place == len(layers) else 1))
    return rows


def _block_a(inputs: int, pool_channels: int) -> _Mixed:
    rows = [
        _Row("branch1x1", "x", 64),
        *_chain("branch5x5", (48, 1), (64, 5)),
        *_chain("branch3x3dbl", (64, 1), (96, 3), (96, 3)),
        _Row("branch_pool", "pool", pool_channels),
    ]
    return _Mixed(inputs, rows, "branch1x1 branch5x5_2 branch3x3dbl_3 branch_pool", "mean")


def _block_b(inputs: int) -> _Mixed:
    rows = [
        _Row("branch3x3", "x", 384, 3, stride=2),
        *_chain("branch3x3dbl", (64, 1), (96, 3), (96, 3), stride=2),
    ]
    return _Mixed(inputs, rows, "branch3x3 branch3x3dbl_3 pool", "halve")


def _block_c(inputs: int, width: int) -> _Mixed:
    across, down = (1, 7), (7, 1)
    rows = [
        _Row("branch1x1", "x", 192),
        *_chain("branch7x7", (width, 1), (width, across), (192, down)),
        *_chain("branch7x7dbl", (width, 1), (width, down), (width, across), (width, down), (192, across)),
        _Row("branch_pool", "pool", 192),
    ]
    return _Mixed(inputs, rows, "branch1x1 branch7x7_3 branch7x7dbl_5 branch_pool", "mean")


def _block_d(inputs: int) -> _Mixed:
    rows = [
        *_chain("branch3x3", (192, 1), (320, 3), stride=2),
        *_chain("branch7x7x3", (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3), stride=2),
    ]
    return _Mixed(inputs, rows, "branch3x3_2 branch7x7x3_4 pool", "halve")


def _block_e(inputs: int, pool: Pool) -> _Mixed:
    rows = [
        _Row("branch1x1", "x", 320),
        _Row("branch3x3_1", "x", 384),
        _Row("branch3x3_2a", "branch3x3_1", 384, (1, 3)),
        _Row("branch3x3_2b", "branch3x3_1", 384, (3, 1)),
        *_chain("branch3x3dbl", (448, 1), (384, 3)),
        _Row("branch3x3dbl_3a", "branch3x3dbl_2", 384, (1, 3)),
        _Row("branch3x3dbl_3b", "branch3x3dbl_2", 384, (3, 1)),
        _Row("branch_pool", "pool", 192),
    ]
    outputs = "branch1x1 branch3x3_2a branch3x3_2b branch3x3dbl_3a branch3x3dbl_3b branch_pool"
    return _Mixed(inputs, rows, outputs, pool)


class Inception(nn.Module):
    """From images to the 2,048 features that the FID compares."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Convolution(3, 32, (3, 3), 2, (0, 0))
        self.Conv2d_2a_3x3 = _Convolution(32, 32, (3, 3), 1, (0, 0))
        self.Conv2d_2b_3x3 = _Convolution(32, 64, (3, 3), 1, (1, 1))
        self.Conv2d_3b_1x1 = _Convolution(64, 80, (1, 1), 1, (0, 0))
        self.Conv2d_4a_3x3 = _Convolution(80, 192, (3, 3), 1, (0, 0))
        self.Mixed_5b = _block_a(192, 32)
        self.Mixed_5c = _block_a(256, 64)
        self.Mixed_5d = _block_a(288, 64)
        self.Mixed_6a = _block_b(288)
        self.Mixed_6b = _block_c(768, 128)
        self.Mixed_6c = _block_c(768, 160)
        self.Mixed_6d = _block_c(768, 160)
        self.Mixed_6e = _block_c(768, 192)
        self.Mixed_7a = _block_d(768)
        self.Mixed_7b = _block_e(1280, "mean")
        self.Mixed_7c = _block_e(2048, "max")
        self.eval().requires_grad_(False)

    def forward(self, image: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch 2048"]:
        """Features of images in [0, 1], in colour or grey: brought to 8 bits, and to 299 x 299."""
        shades = (image * 255).round().clamp(0, 255)
        if shades.shape[1] == 1:
            shades = shades.expand(-1, 3, -1, -1)
        image = functional.interpolate(shades, size=(_SIDE, _SIDE), mode="bilinear", antialias=True)
        found = (image - 128) / 128
        for layer in (self.Conv2d_1a_3x3, self.Conv2d_2a_3x3, self.Conv2d_2b_3x3):
            found = layer(found)
        found = functional.max_pool2d(found, 3, 2)
        found = functional.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(found)), 3, 2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                found = block(found)
        return found.mean((2, 3))


def load_inception(weights: str, device: torch.device) -> Inception:
    """The network with the weights of this file; downloaded into torch's cache (``TORCH_HOME``) if none is named.

    Raises:
        RunError: the file is missing or another one, or there is no network.
    """
    state = _downloaded() if not weights else _read(Path(weights))
    network = Inception()
    network.load_state_dict({name: value for name, value in state.items() if not name.startswith("fc.")})
    return network.to(device)


def _read(file: Path) -> dict[str, Tensor]:
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise RunError(f"Inception's weights {file} cannot be read: {error.strerror}") from None
    if not digest.startswith(WEIGHTS_SHA256):
        raise RunError(f"{file} is not Inception's weights of the FID, which {WEIGHTS_URL} is")
    state: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def _downloaded() -> dict[str, Tensor]:
    try:
        with _time_limit():
            state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
                WEIGHTS_URL, map_location="cpu", progress=False, check_hash=True, weights_only=True
            )
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise RunError(
            f"fid needs Inception's weights, and they cannot be downloaded ({reason}): get {WEIGHTS_URL} elsewhere and name"
            " the file, fid:weights=FILE"
        ) from None
    return state


@contextmanager
def _time_limit() -> Iterator[None]:
    """Without it, a connection that a firewall swallows would wait for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_CONNECT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
