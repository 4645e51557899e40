"""The interface between a model, the training loop and its data; what a model can do is in ``capabilities``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from data_prep.errors import ConfigError
from pipeline.data.batch import Batch
from pipeline.networks import full_precision

if TYPE_CHECKING:
    from data_prep.manifest import Manifest


NEUTRAL = "neutral"
"""The name of a value of a label of several values that is the absence of all others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSpec:
    """What a model knows of a data set: no files, no splits."""

    image_shape: tuple[int, int, int]
    cardinalities: tuple[int, ...]
    """Number of values of each label."""
    label_frequencies: tuple[tuple[float, ...], ...]
    """Share of each value among all observed labels of the training split, at any supervision rate: ``p(y)``."""
    partly_observed: bool = True
    """Whether an example can have only some of its labels observed; if not, less is computed."""
    training_rows: int | None = None
    """Number of rows of the training split, which is not that of a batch; None if unknown."""

    neutral_values: tuple[int | None, ...] = ()
    """For each multi-class label the value that is the absence of all others, if there is one, such as TFD's neutral
    expression; empty if no label has one."""

    @classmethod
    def of(cls, manifest: Manifest) -> DataSpec:
        train = manifest.splits["train"]
        return cls(
            image_shape=manifest.image_shape,
            cardinalities=tuple(label.cardinality for label in manifest.labels),
            label_frequencies=train.label_frequencies,
            training_rows=train.rows,
            # A rate applies to entire examples: only labels missing from the data set make them partly observed.
            partly_observed=any(used < train.rows for used in train.labels_used.get("1.0", (0,))),
            neutral_values=tuple(
                label.values.index(NEUTRAL) if label.cardinality > 2 and NEUTRAL in label.values else None
                for label in manifest.labels
            ),
        )

    @property
    def pixels(self) -> int:
        """Number of values of an image, channels included."""
        return math.prod(self.image_shape)

    def labels_for(self, system: str) -> tuple[int, ...]:
        """Cardinality of each label; ConfigError naming the system if there is no label."""
        if not self.cardinalities:
            raise ConfigError(f"{system} needs a data set with labels; this one has none")
        return self.cardinalities

    def absent_value(self, label: int) -> int | None:
        """The value of a label that means absence: 0 of a binary label, for others the neutral one if there is one."""
        if self.cardinalities[label] == 2:
            return 0
        return self.neutral_values[label] if self.neutral_values else None

    def log_label_prior(self, label: int) -> Float[Tensor, " value"]:
        """``log p(y_i)`` of a label; a value that never occurs gets the smallest positive float32.

        Labels hidden by a supervision rate below 1 are counted too. If the label is never observed, its values
        are equally probable.
        """
        frequencies = torch.tensor(self.label_frequencies[label], dtype=torch.get_default_dtype())
        if not any(self.label_frequencies[label]):
            frequencies = torch.full_like(frequencies, 1 / len(frequencies))
        return frequencies.clamp(min=torch.finfo(torch.float32).tiny).log()


@dataclass(frozen=True, slots=True)
class Losses:
    """What one forward pass yields for one rank's share of a batch."""

    objective: Float[Tensor, " batch"]
    """The quantity to maximise, in nats, per example."""
    terms: dict[str, Float[Tensor, "sum_and_count"]]
    """Named terms for the record: (sum, number of examples with the term), so that ranks can be summed."""
    adversaries: dict[str, Float[Tensor, " batch"]] = field(default_factory=dict)
    """What each adversary maximises, by name. An adversary's objective has gradients in its own parameters only:
    in the others' objectives they are held fixed, so one backward pass over the sum gives each its own gradient."""
    bound: Float[Tensor, " batch"] | None = None
    """A lower bound of ``log p(x)`` (of ``log p(x, y)`` if labels are observed); None if the objective is one."""

    @classmethod
    def of(
        cls,
        objective: Float[Tensor, " batch"],
        elbo: Float[Tensor, " batch"],
        terms: Mapping[str, Tensor],
        adversaries: Mapping[str, Float[Tensor, " batch"]] | None = None,
    ) -> Losses:
        """Of an objective, and a bound that it is not; both are recorded, and the other terms, given per example."""
        recorded = {"objective": objective, "elbo": elbo, **terms}
        return cls(
            objective=objective,
            bound=elbo,
            terms={name: term(values) for name, values in recorded.items()},
            adversaries=dict(adversaries or {}),
        )

    @property
    def total_objective(self) -> Float[Tensor, " batch"]:
        """The sum of the model's and all adversaries' objectives."""
        return sum(self.adversaries.values(), start=self.objective)


@dataclass(frozen=True, slots=True)
class Adversary:
    """A network trained alongside the model, at the same steps, for its own objective."""

    name: str
    """Name of its objective in ``Losses.adversaries``."""
    parameters: tuple[nn.Parameter, ...]
    """Its parameters; the model owns all others."""
    learning_rate: float | None = None
    """Its learning rate, if not the run's."""


@runtime_checkable
class HasAdversaries(Protocol):
    """Trains adversaries alongside itself."""

    def adversaries(self) -> tuple[Adversary, ...]:
        """The adversaries; no parameter belongs to two of them."""
        ...


def term(values: Float[Tensor, " rows"]) -> Float[Tensor, "sum_and_count"]:
    """Sum and count of a term, without gradient, on the device."""
    values = values.detach().float()
    # Not new_tensor, which copies a number from the host and waits for the device.
    return torch.stack([values.sum(), values.new_full((), float(values.shape[0]))])


def to_pixels(image: UInt8[Tensor, "batch channel height width"]) -> Float[Tensor, "batch pixel"]:
    """Images as rows of numbers in [0, 1]."""
    return full_precision(image.flatten(1)) / 255


def to_image(
    logits: Float[Tensor, "*rows pixel"], image_shape: tuple[int, int, int]
) -> Float[Tensor, "*rows channel height width"]:
    """Mean images in [0, 1] from pixel logits."""
    return full_precision(logits).sigmoid().unflatten(-1, image_shape)


@runtime_checkable
class Model(Protocol):
    """What the training loop needs of a system (a ``torch.nn.Module``)."""

    def __call__(self, batch: Batch) -> Losses: ...


@runtime_checkable
class HasSchedule(Protocol):
    """Has an objective that changes from epoch to epoch, as a warm-up does."""

    def begin_epoch(self, epoch: int) -> None:
        """Called before the first step of an epoch (0 is the run's first), and when a run resumes within one.

        So state that depends on it need not be in a checkpoint. It must not change shapes, which would recompile.
        """
        ...


@runtime_checkable
class HasLaterTerms(Protocol):
    """Has terms that begin during a run, so that more is computed from some step on."""

    def begin_step(self, step: int, epoch: int) -> bool:
        """Called before each step with its number and its epoch's, 0 being the run's first, also when a run resumes.

        So state that depends on it need not be in a checkpoint. Returns whether this step has other terms than the last.
        """
        ...


@runtime_checkable
class WatchesGradients(Protocol):
    """Has parts whose gradient's norm is recorded, and its square, from which the record's variance follows."""

    def watched_parts(self) -> dict[str, tuple[nn.Parameter, ...]]:
        """Their parameters, by name."""
        ...


@runtime_checkable
class CouplesBatch(Protocol):
    """Has an objective of each example that depends on the others of its batch, on whichever rank they are.

    Their statistics are those of ``rows_of_all_ranks`` (``pipeline.models.parts.full_batch``), so that training does not
    depend on the number of ranks.
    """

    smallest_batch: int
    """Number of rows below which a batch tells nothing; a run with smaller ones is refused."""


@runtime_checkable
class KeepsExamples(Protocol):
    """Learns from labelled examples that it keeps for every step."""

    def keep_examples(self, examples: Batch) -> None:
        """Receives one labelled example per class, in the order of the classes, before the first step of a process."""
        ...
