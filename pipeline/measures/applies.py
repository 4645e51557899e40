"""Whether a measure applies to a model and its data, and why it does not."""

from __future__ import annotations

from torch import nn

from data_prep.manifest import Manifest
from data_prep.program_name import program
from pipeline.measures.needs import Needs
from pipeline.models import capabilities
from pipeline.models.capabilities import NeedsLabels


def why_not(needs: Needs, model: nn.Module, manifest: Manifest, has_readers: bool = False) -> str | None:
    """The first missing requirement, as a sentence; None if nothing is missing.

    ``has_readers``: whether the run's configuration names label readers, trained or not.
    """
    for name in needs.capabilities:
        if not isinstance(model, getattr(capabilities, name)):
            return f"the system lacks the capability {name}"
    if needs.encoding_without_labels and isinstance(model, NeedsLabels) and model.needs_labels:
        return "the system encodes images with known labels only"
    for column in needs.columns:
        if not _has(manifest, column):
            return f"{manifest.name} has no {column}"
    if "label_readers" in needs.extras and not has_readers:
        return f"no label readers are named ({program('measure')} trains them)"
    return None


def _has(manifest: Manifest, column: str) -> bool:
    if column in ("labels", "factors", "regions"):
        return bool(getattr(manifest, column))
    return column in ("ids", "reference")  # of every example
