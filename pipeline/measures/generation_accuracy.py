"""Measure 4: whether images generated from labels show them (CCVAE tables 5 and 7, ReVAE tables 2 and 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs
from pipeline.measures.reader_metrics import judged_by_readers, with_readers

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationAccuracy:
    """Share of the labels that images are generated from which the readers see in them.

    ``generation_chance`` is the share that would agree if the labels were those of other images: the mean over labels of
    ``Σ_v share of v among the labels · share of v among the values that are read``. With uniform binary labels it is 0.5.
    """

    images: int = 5000
    """Generated."""
    labels: Literal["uniform", "prior"] = "uniform"
    """Drawn uniformly, or from ``p(y)``, the frequencies in ``train`` (`prior`); independently of each other."""

    name: ClassVar[str] = "generation_accuracy"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        capabilities=("GeneratesFromLabels",), columns=("labels",), extras=("label_readers",)
    )
    metrics: ClassVar[Mapping[str, Metric]] = with_readers(
        {
            "generation_accuracy": Metric(unit="share", better="higher"),
            "generation_chance": Metric(unit="share", better="none"),
        }
    )

    def __call__(self, view: ModelView) -> Measured:
        """Generate and judge; arrays have the accuracy and chance of each label, and the accuracy of each value."""
        import numpy as np
        import torch

        from pipeline.measures.drawn_labels import drawn_labels, label_shares
        from pipeline.measures.judged import judged, values_read

        examples, manifest = view.examples, view.examples.data.manifest
        labels = drawn_labels(label_shares(manifest, self.labels), self.images)
        read = []
        for some in labels.to(examples.device).split(examples.batch_size):
            examples.heartbeat()
            read.append(values_read(judged(view.readers, view.model.generate(some))).cpu())  # type: ignore[operator]
        found = generation_summary(
            torch.cat(read, dim=1), labels, [spec.cardinality for spec in manifest.labels]
        )
        names = np.array([spec.name for spec in manifest.labels], dtype=np.str_)
        return judged_by_readers(found, view, labels=names)


def generation_summary(read: Tensor, labels: Tensor, cardinalities: Sequence[int]) -> Measured:
    """How often the values that are read are the given ones.

    Args:
        read: (judge, row, label).
        labels: (row, label), what the images are generated from.
        cardinalities: number of values of each label.
    """
    import torch

    from pipeline.measures.judged import mean_where, spread

    is_right, labels = read == labels, labels.long()
    chance = torch.zeros(len(read), len(cardinalities), dtype=torch.float64)
    of_values = torch.full((len(cardinalities), max(cardinalities)), torch.nan, dtype=torch.float64)
    for place, cardinality in enumerate(cardinalities):
        for value in range(cardinality):
            given = labels[:, place] == value
            chance[:, place] += given.double().mean() * (read[:, :, place] == value).double().mean(-1)
            of_values[place, value] = mean_where(is_right[0, :, place], given, (0,))
    numbers = spread("generation_accuracy", is_right.double().mean((1, 2)))
    numbers |= spread("generation_chance", chance.mean(-1))
    return Measured(
        numbers=numbers,
        counts=dict.fromkeys(numbers, labels.numel()),
        arrays={
            "label_generation_accuracy": is_right[0].double().mean(0).numpy(),
            "label_generation_chance": chance[0].numpy(),
            "value_generation_accuracy": of_values.numpy(),
        },
    )
