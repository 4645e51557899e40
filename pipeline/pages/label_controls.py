"""What a page can change of a picture, label by label: where a label is in the code, its typical values, and its draws.

All of it is asked of the model: positions are ``latents_of``, typical values ``centres``, a draw is that of ``draw``. What
the page then does is the algebra of ``pipeline.models.parts.latent_algebra``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from data_prep.manifest import LabelSpec
from pipeline.models.capabilities import (
    ClassMeans,
    GeneratesFromLabels,
    HasCentres,
    HasLabelLatents,
    HasReference,
    Intervenes,
    SwapsCharacteristics,
    SwitchesAttribute,
)
from pipeline.models.cond_vae import AttributeDecoderVAE
from pipeline.models.csvae import CSVAE
from pipeline.models.m2 import M2
from pipeline.models.m3 import M3
from pipeline.models.mvae import MVAE
from pipeline.models.parts.attribute_vae import ConditionsOnAttributes
from pipeline.models.parts.conditional_prior_vae import ConditionalPriorVAE
from pipeline.models.parts.importance import WeighsSamplesOfPosterior

Numbers = list[Any]


def numbers(values: Float[Tensor, "..."]) -> Numbers:
    """As JSON's numbers, to seven digits."""
    rounded: Numbers = torch.round(values.detach().double().cpu(), decimals=7).tolist()
    return rounded


def label_controls(
    model: nn.Module, labels: Sequence[LabelSpec], means: ClassMeans | None
) -> list[dict[str, Any]]:
    """One entry per label of the data set, in its order.

    ``way`` says how the page changes the label: ``latents`` of its own at ``place`` in the code; a ``value`` there;
    ``relabel``, which encodes the picture again with another label; ``shift`` of the whole code by the difference of two
    mean codes; ``none``. ``centres`` are its typical values. ``draw`` says where a new point for a value comes from:
    ``gaussian`` (with ``scales``), ``accepted`` by the classifier (with ``confidence``), or the ``value`` itself.
    """
    return [_control(model, label, spec, means) for label, spec in enumerate(labels)]


def needs_means(model: nn.Module) -> bool:
    """Whether typical values are mean codes of pictures: of a system that can move labels, but has no ``p(z_c | y)``."""
    return isinstance(model, M3) or (
        isinstance(model, SwitchesAttribute) and not isinstance(model, HasLabelLatents)
    )


def _control(model: Any, label: int, spec: LabelSpec, means: ClassMeans | None) -> dict[str, Any]:
    control: dict[str, Any] = {"name": spec.name, "values": list(spec.values), "way": "none"}
    known = means if means is not None and bool((means.counts[label] > 0).all()) else None
    if isinstance(model, HasLabelLatents):
        place = model.latents_of(label)
        is_value = isinstance(model, M2 | AttributeDecoderVAE)
        control |= {"way": "value" if is_value else "latents", "place": [place.start, place.stop]}
        if isinstance(model, HasCentres):
            control["centres"] = numbers(model.centres(label))
        elif known is not None and not is_value:
            control["centres"] = numbers(known.means[label][:, place])
        control |= _draw(model, label, spec.cardinality)
    elif isinstance(model, MVAE) and isinstance(model, Intervenes):
        control["way"] = "relabel"
    elif isinstance(model, SwitchesAttribute) and known is not None:
        control |= {"way": "shift", "centres": numbers(known.means[label])}
    return control


def _draw(model: Any, label: int, cardinality: int) -> dict[str, Any]:
    """Where ``draw`` of a system takes the label's part of the code from."""
    every = torch.arange(cardinality, dtype=torch.uint8, device=next(model.parameters()).device)
    if isinstance(model, ConditionalPriorVAE):
        mean, scale = model.conditional_prior.of_label(label)
        return {"draw": "gaussian", "means": numbers(mean), "scales": numbers(scale)}
    if isinstance(model, CSVAE):
        mean, scale = model.subspace_prior(model.attributes.of_values(label))
        return {
            "draw": "gaussian",
            "means": numbers(mean.flatten(-2)),
            "scales": numbers(scale.flatten(-2)),
        }
    if isinstance(model, M3):
        return {"draw": "accepted", "confidence": model.config.confidence}
    return {"draw": "value", "means": numbers(model.draw(label, every, 1)[0])}


def condition(model: Any, cardinalities: Sequence[int]) -> dict[str, Any] | None:
    """How known labels are numbers for the encoder; None if they are no input of it in a page.

    ``unknown``: the numbers if no label is known. ``places`` and ``values``: for each label where its numbers are, and which
    they are for each value.
    """
    if isinstance(model, ConditionsOnAttributes):
        attributes = model.attributes
        places = [attributes.of_label(label) for label in range(len(cardinalities))]
        values = [numbers(attributes.of_values(label)) for label in range(len(cardinalities))]
        unknown = numbers(attributes.of_unknown(1)[0])
    elif isinstance(model, MVAE):
        places = [model.codes.of_label(label) for label in range(len(cardinalities))]
        values = [numbers(torch.eye(cardinality)) for cardinality in cardinalities]
        unknown = [0.0] * model.codes.width
    else:
        return None
    needed = isinstance(model, ConditionsOnAttributes) and model.needs_labels
    return {
        "places": [[place.start, place.stop] for place in places],
        "values": values,
        "unknown": unknown,
        "needed": needed,
    }


def other_controls(model: Any) -> dict[str, Any]:
    """What concerns no single label: swaps, generation, the reference set.

    ``swap``: the places that the first picture gives, ``relabel`` if it gives its labels, or None. ``generate``: from
    ``labels``, from the ``prior`` alone, or None.
    """
    swap: str | list[list[int]] | None = None
    if isinstance(model, MVAE):
        swap = "relabel"
    elif isinstance(model, SwapsCharacteristics):
        swap = [[place.start, place.stop] for place in model.characteristics]  # type: ignore[attr-defined]
    generate = None
    if isinstance(model, GeneratesFromLabels):
        generate = "labels"
    elif getattr(type(model), "log_prior", None) is WeighsSamplesOfPosterior.log_prior:
        generate = "prior"
    reference = None
    if isinstance(model, HasReference):
        reference = {"place": swap[0] if swap else None, "latents": numbers(model.reference_characteristics)}
    return {"swap": swap, "generate": generate, "reference": reference}
