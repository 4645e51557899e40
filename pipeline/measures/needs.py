"""What a measure needs of a model, of the data and of what else was trained; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Extra = Literal["label_readers"]
"""What else must be trained: independent classifiers of the pictures (see ``pipeline.measures.label_readers``)."""

Answer = Literal["label_log_probabilities", "label_latents", "reconstructions", "bounds"]
"""Outputs of a model for every image of a split (see ``pipeline.measures.view``)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """Requirements of a measure; a missing one is recorded as "not applicable", with the reason."""

    capabilities: tuple[str, ...] = ()
    """Protocols of ``pipeline.models.capabilities`` that the model must satisfy, by name."""
    encoding_without_labels: bool = False
    """Whether the model must encode images without labels; for other measures it is given labels if it needs them."""
    columns: tuple[str, ...] = ()
    """Columns of the data: ``labels``, ``factors``, ``reference``, ``regions``, ``ids``."""
    extras: tuple[Extra, ...] = ()
    """Other trained models, whose digests the result depends on."""
    answers: tuple[Answer, ...] = ()
    """The outputs that it needs for every image, computed in one pass for all measures."""
