"""Measure 3: what changes in a picture when one label is set to another value (CCVAE figures 10-17, ReVAE figure 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.measures.measure import DoesNotApply, Measured, Metric
from pipeline.measures.needs import Needs
from pipeline.measures.reader_metrics import judged_by_readers, with_readers

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.measures.intervention_changes import Interventions
    from pipeline.measures.view import ModelView

_CONDITION = Metric(unit="ratio", better="lower")


@dataclass(frozen=True, kw_only=True, slots=True)
class SingleInterventions:
    """Change of the readers' (log-)probabilities of all labels when one label of a picture is set to its other value.

    Latents are drawn from ``p(z_j | y_j)``. A picture is compared with the same image decoded with the label at the value
    that the readers see in it, by the same random draws. Labels of several values are set to a random other value, and each
    value is an attribute like a binary label; condition numbers are of the binary labels only. ``kept``: share of the
    images with an attribute in whose reconstruction it is still seen; ``switched_on``, ``switched_off``: share of the
    images set to (from) it in which it is (no longer) seen; ``others_changed``: share of the other labels of which
    another value is seen. All are means over attributes.
    """

    images: int = 500
    """Of the split, chosen at random; 0 for all."""

    name: ClassVar[str] = "single_interventions"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        capabilities=("Intervenes",), columns=("labels",), extras=("label_readers",)
    )
    metrics: ClassVar[Mapping[str, Metric]] = with_readers(
        {
            "log_prob_condition_number_on": _CONDITION,
            "log_prob_condition_number_off": _CONDITION,
            "probability_condition_number_on": _CONDITION,
            "probability_condition_number_off": _CONDITION,
            "own_log_prob_change_on": Metric(unit="nats", better="higher"),
            "own_log_prob_change_off": Metric(unit="nats", better="lower"),
            "other_log_prob_change_on": Metric(unit="nats", better="lower"),
            "other_log_prob_change_off": Metric(unit="nats", better="lower"),
            "kept": Metric(unit="share", better="higher"),
            "switched_on": Metric(unit="share", better="higher"),
            "switched_off": Metric(unit="share", better="higher"),
            "others_changed": Metric(unit="share", better="lower"),
        }
    )

    def __call__(self, view: ModelView) -> Measured:
        """Intervene and judge; arrays have the four matrices (attribute seen, attribute changed) and shares."""
        import numpy as np

        from pipeline.measures.intervention_changes import attribute_names, intervention_summary

        specs = view.examples.data.manifest.labels
        cardinalities = [spec.cardinality for spec in specs]
        chosen = view.examples.random_rows(self.images or len(view.examples))
        if not len(chosen):
            raise DoesNotApply("the split has no images")
        found = intervention_summary(_interventions(view, chosen, cardinalities), cardinalities)
        names = np.array(attribute_names(specs), dtype=np.str_)
        return judged_by_readers(found, view, attributes=names)


def _interventions(view: ModelView, chosen: Any, cardinalities: list[int]) -> Interventions:
    """Every label of each chosen image set to another value, and to the one that is read."""
    import torch

    from pipeline.measures.intervened import intervened_pair
    from pipeline.measures.intervention_changes import (
        Interventions,
        attribute_log_probabilities,
        attributes_of,
        other_values,
    )
    from pipeline.measures.judged import judged, values_read
    from pipeline.measures.label_readers import as_pixels
    from pipeline.models.capabilities import Reconstructs, labels_if_needed

    examples, model, readers, attributes = (
        view.examples,
        view.model,
        view.readers,
        attributes_of(cardinalities),
    )
    parts: dict[str, list[Tensor]] = {}

    def keep(**found: Tensor) -> None:
        for name, part in found.items():
            parts.setdefault(name, []).append(part.cpu())

    for start in range(0, len(chosen), examples.batch_size):
        image, known = examples.at(chosen[start : start + examples.batch_size])
        labels = labels_if_needed(model, known)
        read = values_read(judged(readers, as_pixels(image)))[0]
        given = other_values(read, cardinalities)
        keep(read=read, given=given)
        if isinstance(model, Reconstructs):
            keep(read_in_reconstruction=values_read(judged(readers, model.reconstruct(image, labels))))
        seen: dict[str, list[Tensor]] = {"before": [], "after": []}
        read_in: dict[str, list[Tensor]] = {"before": [], "after": []}
        for label in range(len(cardinalities)):
            examples.heartbeat()
            pair = intervened_pair(model, image, label, read[:, label], given[:, label], labels)
            for when, picture in zip(seen, pair, strict=True):
                judgement = judged(readers, picture)
                seen[when].append(attribute_log_probabilities(judgement, attributes))
                read_in[when].append(values_read(judgement))
        keep(
            **{f"log_{when}": torch.stack(each, dim=2) for when, each in seen.items()},
            **{f"read_{when}": torch.stack(each, dim=2) for when, each in read_in.items()},
        )
    per_image = ("read", "given")
    whole = {name: torch.cat(each, dim=0 if name in per_image else 1) for name, each in parts.items()}
    return Interventions(read_in_reconstruction=whole.pop("read_in_reconstruction", None), **whole)
