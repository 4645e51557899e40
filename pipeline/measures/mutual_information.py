"""Measure 5: how uncertain a Bayesian classifier is of the labels of generated images (Joy et al. 2020, C.3)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipeline.field_checks import check_at_least
from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs
from pipeline.measures.reader_metrics import READER_ACCURACY, judged_by_readers

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.measures.view import ModelView

log = logging.getLogger(__name__)
CONVERGED = 0.02
"""By how much the Gaussian process may be worse than the reader whose last layer it replaces."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MutualInformation:
    """Mutual information of labels and the parameters of a classifier, over generated images: high where they are odd.

    The last layer of the first label reader is replaced by a sparse variational Gaussian process that is fitted to real
    images of ``train``, the rest being fixed. It has not converged, and its numbers mean nothing, if it reads the labels of
    the measured split worse than the reader by more than 0.02. With several labels it is the mean over them.
    """

    images: int = 2000
    """Generated."""
    labels: Literal["uniform", "prior"] = "uniform"
    """Drawn uniformly, or from ``p(y)``, the frequencies in ``train`` (`prior`); independently of each other."""
    inducing: int = 200
    """Inducing points; 200 in the paper."""
    fitted_images: int = 10_000
    """Of ``train``, the first ones."""
    steps: int = 500
    """Of Adam, on 256 images each."""
    samples: int = 32
    """Of the process, at each image."""

    name: ClassVar[str] = "mutual_information"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        capabilities=("GeneratesFromLabels",), columns=("labels",), extras=("label_readers",)
    )
    metrics: ClassVar[Mapping[str, Metric]] = {
        "mutual_information": Metric(unit="nats", better="lower"),
        "mutual_information_of_real_images": Metric(unit="nats", better="none"),
        "gaussian_process_accuracy": Metric(unit="share", better="higher"),
        "gaussian_process_deficit": Metric(unit="share", better="lower"),
        READER_ACCURACY: Metric(unit="share", better="higher"),
    }

    def __post_init__(self) -> None:
        check_at_least(1, self, "images", "inducing", "fitted_images", "steps")
        check_at_least(2, self, "samples")

    def __call__(self, view: ModelView) -> Measured:
        """Means over images and labels, and the numbers of each label."""
        import numpy as np
        import torch

        from pipeline.measures.drawn_labels import drawn_labels, label_shares
        from pipeline.measures.optional import optional_package

        optional_package("gpytorch")
        from pipeline.measures.gaussian_process import fit, mutual_information

        manifest, examples = view.examples.data.manifest, view.examples
        train = view.on("train").examples
        count = min(self.fitted_images, len(train))
        features, known, _ = self._features(view, view.on("train"), count)
        process = fit(
            features,
            known[0],
            known[1],
            [label.cardinality for label in manifest.labels],
            inducing=self.inducing,
            steps=self.steps,
            batch_size=256,
            alive=examples.heartbeat,
        )
        features, known, read = self._features(view, view, min(self.images, len(examples)))
        of_real = process.log_probabilities(features, self.samples)
        labels = drawn_labels(label_shares(manifest, self.labels), self.images)
        generated = []
        for some in labels.to(examples.device).split(examples.batch_size):
            examples.heartbeat()
            made = view.readers.features(view.model.generate(some))[0]  # type: ignore[operator]
            found = process.log_probabilities(made, self.samples)
            generated.append(torch.stack([mutual_information(of_label) for of_label in found]))
        of_labels = torch.cat(generated, dim=1).mean(1).cpu().numpy()
        real = np.array([float(mutual_information(of_label).mean()) for of_label in of_real])
        accuracy = _accuracy([of_label.exp().mean(0) for of_label in of_real], *known)
        deficit = _accuracy(read, *known) - accuracy
        if deficit > CONVERGED:
            log.warning(
                "the Gaussian process has not converged: it reads %.3f fewer labels than the reader; more steps may help",
                deficit,
            )
        numbers = {
            "mutual_information": float(of_labels.mean()),
            "mutual_information_of_real_images": float(real.mean()),
            "gaussian_process_accuracy": accuracy,
            "gaussian_process_deficit": deficit,
        }
        numbers = {name: value for name, value in numbers.items() if not np.isnan(value)}
        names: np.ndarray = np.array([label.name for label in manifest.labels], dtype=np.str_)
        return judged_by_readers(
            Measured(numbers=numbers, counts=dict.fromkeys(numbers, self.images)),
            view,
            labels=names,
            label_mutual_information=of_labels,
            label_mutual_information_of_real_images=real,
        )

    def _features(
        self, view: ModelView, of: ModelView, count: int
    ) -> tuple[Tensor, tuple[Tensor, Tensor], list[Tensor]]:
        """The first reader's features of real images, what is known of their labels, and what it reads."""
        import torch

        from pipeline.measures.label_readers import as_pixels

        size, reader, parts = of.examples.batch_size, view.readers.members[0], []
        for start in range(0, count, size):
            image = of.examples.rows(start, min(start + size, count))
            parts.append(view.readers.features(as_pixels(image))[0])
        known = of.examples.known_labels(0, count)
        features = torch.cat(parts)
        return features, (known.labels, known.observed), reader.log_probabilities(features)


def _accuracy(read: list[Tensor], labels: Tensor, observed: Tensor) -> float:
    """Share of the observed labels whose value has the largest number; NaN without any."""
    import torch

    values = torch.stack([of_label.argmax(-1) for of_label in read], dim=1)
    return float(((values == labels) & observed).sum() / observed.sum())
