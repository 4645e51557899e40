"""Measure 6 in the label readers' features: how far generated images are from real ones (not the FID of the papers)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs
from pipeline.measures.reader_metrics import judged_by_readers, with_readers

if TYPE_CHECKING:
    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class FrechetClassifier:
    """Fréchet distance between generated and real images in the label readers' last hidden layer, mean over readers.

    It depends on the number of images, which is that of ``count``, and on the readers; it is comparable with neither an
    ``fid`` nor a number by other readers.
    """

    images: int = 5000
    """Of the split, chosen at random, and generated; 0 for all."""
    labels: Literal["uniform", "prior", "data"] = "prior"
    """Of the generated images: uniform, from the frequencies in ``train``, or those of the real images."""

    name: ClassVar[str] = "frechet_classifier"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        capabilities=("GeneratesFromLabels",), columns=("labels",), extras=("label_readers",)
    )
    metrics: ClassVar[Mapping[str, Metric]] = with_readers(
        {"frechet_classifier": Metric(unit="squared distance", better="lower")}
    )

    def __call__(self, view: ModelView) -> Measured:
        """Generate, and compare as many real images."""
        import torch

        from pipeline.measures.frechet_distance import features_of_generated_and_real, frechet_distance
        from pipeline.measures.judged import spread

        generated, real = features_of_generated_and_real(
            view, self.images, self.labels, view.readers.features
        )
        each = [frechet_distance(*pair) for pair in zip(generated, real, strict=True)]
        numbers = spread("frechet_classifier", torch.tensor([sum(each) / len(each), *each]))
        found = Measured(numbers=numbers, counts=dict.fromkeys(numbers, real.shape[1]))
        return judged_by_readers(found, view)
