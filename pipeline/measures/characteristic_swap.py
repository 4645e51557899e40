"""Measure 2: whether a picture keeps its characteristics when they are carried over to another (CCVAE table 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipeline.measures.measure import DoesNotApply, Measured, Metric
from pipeline.measures.needs import Needs
from pipeline.measures.reader_metrics import judged_by_readers, with_readers

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.measures.view import ModelView
    from pipeline.models.capabilities import KnownLabels

NATS = Metric(unit="nats", better="lower")
CONTEXT = Metric(unit="nats", better="none")


@dataclass(frozen=True, kw_only=True, slots=True)
class CharacteristicSwap:
    """Change of the readers' log-probability of a picture's labels when its ``z_c`` is decoded with another's ``z_s``.

    ``swap_log_prob_difference``: mean over labels and pairs of ``|log p(y_a | swap) − log p(y_a | a)|``, and the median,
    since saturated log-probabilities dominate the mean; ``..._from_reconstruction`` compares with the reconstruction of a
    instead (ReVAE figure 5, with an array per label and value). Next to them, ``reconstruction_...``: the reconstruction
    of a itself, with no swap; ``partner_...``: the other picture as it is, as if no characteristics were carried over.
    """

    images: int = 500
    """Of the split, chosen at random; 0 for all."""
    partners: int = 20
    """Of each image, chosen at random among the others."""
    labels: Literal["true", "read"] = "true"
    """``y_a``: the known labels of a, or those that the readers see in it."""

    name: ClassVar[str] = "characteristic_swap"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        capabilities=("SwapsCharacteristics",), columns=("labels",), extras=("label_readers",)
    )
    metrics: ClassVar[Mapping[str, Metric]] = with_readers(
        {
            "swap_log_prob_difference": NATS,
            "swap_log_prob_difference_median": NATS,
            "swap_log_prob_difference_from_reconstruction": NATS,
            "reconstruction_log_prob_difference": CONTEXT,
            "partner_log_prob_difference": CONTEXT,
        }
    )

    def __call__(self, view: ModelView) -> Measured:
        """Swap and judge; arrays have the mean difference of each label and of each of its values."""
        import numpy as np
        import torch

        from pipeline.measures.judged import all_judged, judged, log_probability_of, values_read
        from pipeline.measures.label_names import value_names
        from pipeline.measures.label_readers import as_pixels
        from pipeline.measures.swap_differences import random_partners, swap_summary
        from pipeline.models.capabilities import Reconstructs, labels_if_needed

        examples, model, readers, specs = (
            view.examples,
            view.model,
            view.readers,
            view.examples.data.manifest.labels,
        )
        chosen = examples.random_rows(self.images or len(examples))
        if len(chosen) < 2:
            raise DoesNotApply("a swap needs two images, and the split has fewer")
        image, known = examples.at(chosen)
        given = labels_if_needed(model, known)
        batches = torch.arange(len(chosen), device=image.device).split(examples.batch_size)

        def labels_of(rows: Tensor) -> KnownLabels | None:
            return None if given is None else given.of(rows)

        of_originals = all_judged([judged(readers, as_pixels(image[rows])) for rows in batches])
        if self.labels == "read":
            values, counted = values_read(of_originals)[0], torch.ones_like(known.observed)
        else:
            values, counted = known.labels.masked_fill(~known.observed, 0).long(), known.observed
        if not counted.any():
            raise DoesNotApply("no label of the measured images is known")
        originals = log_probability_of(of_originals, values)

        def change(pictures: Tensor, rows: Tensor) -> Tensor:
            """Of ``log p(y_a)`` from the originals of these rows, (judge, row, label)."""
            examples.heartbeat()
            return log_probability_of(judged(readers, pictures), values[rows]) - originals[:, rows]

        changes, of_partners = [], []
        for partner in random_partners(len(chosen), self.partners).to(image.device):
            swapped = [
                change(
                    model.swap(  # type: ignore[operator]
                        image[rows], image[partner[rows]], labels_of(rows), labels_of(partner[rows])
                    ),
                    rows,
                )
                for rows in batches
            ]
            changes.append(torch.cat(swapped, dim=1).cpu())
            seen = [of_label[:, partner] for of_label in of_originals]
            of_partners.append((log_probability_of(seen, values) - originals).cpu())
        reconstructed = None
        if isinstance(model, Reconstructs):
            each = [change(model.reconstruct(image[rows], labels_of(rows)), rows) for rows in batches]
            reconstructed = torch.cat(each, dim=1).cpu()
        found = swap_summary(
            torch.stack(changes, dim=1),
            torch.stack(of_partners, dim=1),
            reconstructed,
            values.cpu(),
            counted.cpu(),
            [spec.cardinality for spec in specs],
        )
        names = np.array([spec.name for spec in specs], dtype=np.str_)
        return judged_by_readers(found, view, labels=names, values=value_names(specs))
