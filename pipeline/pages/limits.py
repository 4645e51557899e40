"""What a system cannot do in a page, or does in a way of its own, in a sentence or two for whoever looks at it."""

from __future__ import annotations

from torch import nn

from pipeline.models.cond_vae import AttributeDecoderVAE
from pipeline.models.csvae import CSVAE
from pipeline.models.m2 import M2
from pipeline.models.m3 import M3
from pipeline.models.mvae import MVAE
from pipeline.models.parts.reference_vae import EncodesTargets
from pipeline.models.vae import VAE

UNNAMED = "was trained without labels: its latents have no names"
LIMITS: dict[type[nn.Module], str] = {
    M2: "M2 has no latents for labels: a label is set to a value, and how that looks does not vary.",
    AttributeDecoderVAE: (
        "The decoder takes the labels themselves: how a value looks does not vary, a picture has no characteristics that"
        " could be swapped, and there is no classifier that reads labels."
    ),
    CSVAE: "CSVAE has no classifier, so nothing reads the labels here.",
    MVAE: (
        "In MVAE no latents belong to a label: setting one encodes the picture again together with all labels, and how a"
        " value looks does not vary."
    ),
    M3: (
        "M3 has no prior of a label's latents: the typical values are mean codes of pictures, and a draw is one of p(z) that"
        " its classifier accepts."
    ),
    EncodesTargets: (
        "The system tells the factors that are constant in its reference set from all others, but not which belongs to which"
        " label: they can be swapped as a whole, latents can be moved one by one, and nothing reads the labels."
    ),
    VAE: (
        f"The system {UNNAMED}. A label moves the whole code by the difference of two mean codes, along with all that"
        " usually changes with it; nothing reads the labels, and nothing can be swapped."
    ),
}


def limits(model: nn.Module, labels: int) -> list[str]:
    """The sentences for a system, for data with so many labels."""
    if not labels:
        return ["The data have no labels: there are only latents to move."]
    found = [sentence for system, sentence in LIMITS.items() if isinstance(model, system)]
    if not found and not hasattr(model, "latents_of"):
        found = [f"The system {UNNAMED}, nothing reads the labels, and nothing can be swapped."]
    return found
