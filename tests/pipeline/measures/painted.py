"""A world in which everything about a picture is known exactly: a row of pixels for each label, another for the style.

A label's row has one shade: ``(value + wobble) / cardinality``, the wobble in [0.2, 0.8] being how the label looks in this
picture, its characteristic. Readers see the shade and are never wrong, but the surer, the nearer it is to the middle (0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data_prep.manifest import LabelSpec, Manifest, SplitSpec
from pipeline.data.dataset import Columns, DataSet, MappedImages
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.view import ModelView

SIDE = 8


@dataclass
class Painted(DataSet):
    """Stands for a data set: pictures of these labels (row, label)."""

    cardinalities: tuple[int, ...]
    labels: np.ndarray
    observed: np.ndarray
    wobble: np.ndarray = field(init=False)
    style: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        self.wobble = rng.uniform(0.2, 0.8, size=self.labels.shape)
        self.style = rng.uniform(size=len(self.labels))
        self.manifest = self.described()

    @classmethod
    def drawn(cls, cardinalities: tuple[int, ...], rows: int, seed: int = 1) -> Painted:
        """Uniform labels, all of them known."""
        rng = np.random.default_rng(seed)
        labels = np.stack([rng.integers(each, size=rows) for each in cardinalities], axis=1).astype(np.uint8)
        return cls(cardinalities, labels, np.ones_like(labels, dtype=bool))

    def __len__(self) -> int:
        return len(self.labels)

    def described(self) -> Manifest:
        """The manifest."""
        specs = [
            LabelSpec(f"label {place}", each, tuple(map(str, range(each))))
            for place, each in enumerate(self.cardinalities)
        ]
        shares = tuple(
            tuple((self.labels[:, place] == value).mean() for value in range(each))
            for place, each in enumerate(self.cardinalities)
        )
        train = SplitSpec("train", len(self), (), None, shares, {})
        return Manifest(
            name="painted",
            digest="0" * 16,
            image_shape=(1, SIDE, SIDE),
            labels=tuple(specs),
            factors=(),
            splits={"train": train, "valid": replace(train, name="valid")},
            options={},
            sources={},
            seed=0,
            rows_per_shard=100,
        )

    def images(self, split: str) -> PaintedRows:
        return PaintedRows(self)

    def columns(self, split: str, label_seed: int | None = None) -> Columns:
        return Columns(self.labels, self.observed, np.zeros(len(self), dtype=np.float32))

    def pictures(self, rows: np.ndarray) -> np.ndarray:
        shades = (self.labels[rows] + self.wobble[rows]) / np.array(self.cardinalities)
        image = paint(torch.from_numpy(shades), torch.from_numpy(self.style[rows]))
        return (image * 255).round().to(torch.uint8).numpy()

    def view(self, model: nn.Module, readers: Any = None, batch_size: int = 7) -> ModelView:
        """A view of a model of these pictures, judged by readers of them."""
        view = ModelView(model, MeasuredSplit(self, "test", torch.device("cpu"), batch_size), "cell")
        view.__dict__["readers"] = Readers(self.cardinalities) if readers is None else readers
        return view


class PaintedRows(MappedImages):
    def __init__(self, data: Painted) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        return self.data.pictures(rows)


def paint(shades: Tensor, style: Tensor) -> Tensor:
    """Pictures (..., 1, side, side) of labels' shades (..., label) and a style (...)."""
    rows = torch.cat([shades, style[..., None]], dim=-1).float()
    rows = torch.nn.functional.pad(rows, (0, SIDE - rows.shape[-1]))
    return rows[..., None, :, None].expand(*rows.shape[:-1], 1, SIDE, SIDE)


@dataclass
class Readers:
    """The more a member is sharp, the surer it is; all of them read the same values."""

    cardinalities: tuple[int, ...]
    sharpness: tuple[float, ...] = (4.0, 6.0)
    accuracy: float = 1.0

    def log_probabilities(self, image: Tensor) -> list[Tensor]:
        found = []
        for label, values in enumerate(self.cardinalities):
            distance = (image[:, 0, label, 0, None] * values - torch.arange(values) - 0.5).abs()
            found.append(torch.stack([(-each * distance).log_softmax(-1) for each in self.sharpness]))
        return found

    def features(self, image: Tensor) -> Tensor:
        return torch.stack([each * image[:, 0, :, 0] for each in self.sharpness])

    def quality(self, view: Any) -> float:
        return self.accuracy


class Painter(nn.Module):
    """Knows the shades of every picture, and repaints them exactly; subclasses lack something."""

    def __init__(self, cardinalities: tuple[int, ...]) -> None:
        super().__init__()
        self.cardinalities = torch.tensor(cardinalities)

    def encode(self, image: Tensor, labels: Any = None) -> Tensor:
        return image[:, 0, : len(self.cardinalities) + 1, 0].float() / 255

    def decode(self, code: Tensor) -> Tensor:
        return paint(code[..., :-1], code[..., -1])

    def latents_of(self, label: int) -> slice:
        return slice(label, label + 1)

    def draw(self, label: int, values: Tensor, draws: int) -> Tensor:
        wobble = 0.2 + 0.6 * torch.rand(draws, len(values), 1)
        return (values[:, None] + wobble) / self.cardinalities[label]

    def reconstruct(self, image: Tensor, labels: Any = None) -> Tensor:
        return self.decode(self.encode(image))

    def generate(self, labels: Tensor) -> Tensor:
        shades = [self.draw(label, labels[:, label], 1)[0] for label in range(len(self.cardinalities))]
        return self.decode(torch.cat([*shades, torch.rand(len(labels), 1)], dim=-1))

    def intervene(
        self, image: Tensor, label: int, values: Tensor, draws: int = 1, labels: Any = None
    ) -> Tensor:
        code = self.encode(image).expand(draws, -1, -1).clone()
        code[..., self.latents_of(label)] = self.draw(label, values, draws)
        return self.decode(code)

    def swap(
        self, characteristics: Tensor, style: Tensor, labels: Any = None, style_labels: Any = None
    ) -> Tensor:
        code = self.encode(characteristics)
        code[:, -1] = self.encode(style)[:, -1]
        return self.decode(code)


class PaintsTypical(Painter):
    """Keeps the values of labels in a swap, but not how they look: as M2 does."""

    def swap(
        self, characteristics: Tensor, style: Tensor, labels: Any = None, style_labels: Any = None
    ) -> Tensor:
        code = self.encode(characteristics)
        code[:, :-1] = ((code[:, :-1] * self.cardinalities).floor() + 0.5) / self.cardinalities
        code[:, -1] = self.encode(style)[:, -1]
        return self.decode(code)


class IgnoresLabels(Painter):
    """Shows the picture as it is whatever label is given, and random ones if there is no picture."""

    def intervene(
        self, image: Tensor, label: int, values: Tensor, draws: int = 1, labels: Any = None
    ) -> Tensor:
        return self.reconstruct(image).expand(draws, -1, -1, -1, -1)

    def generate(self, labels: Tensor) -> Tensor:
        return self.decode(torch.rand(len(labels), len(self.cardinalities) + 1))

    def swap(
        self, characteristics: Tensor, style: Tensor, labels: Any = None, style_labels: Any = None
    ) -> Tensor:
        return self.reconstruct(style)
