"""What a measure needs of a model, of the data and of what else was trained; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Answer = Literal["label_log_probabilities", "label_latents", "reconstructions", "bounds"]
"""What a model can be asked about every image of a split (see ``pipeline.measures.view``)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """What must be there for a measure to apply; what is missing is recorded as "not applicable", with the reason."""

    capabilities: tuple[str, ...] = ()
    """Protocols of ``pipeline.models.capabilities`` that the model must satisfy, by name."""
    encoding_without_labels: bool = False
    """Whether the model must encode images whose labels are not known; the others are handed them where it needs them."""
    columns: tuple[str, ...] = ()
    """Of the data: ``labels``, ``factors``, ``reference``, ``regions``, ``ids``."""
    extras: tuple[str, ...] = ()
    """Other trained things, such as ``classifier``, whose digests the result rests on."""
    answers: tuple[Answer, ...] = ()
    """What it asks the view for about every image: so that all measures share one pass over them."""
