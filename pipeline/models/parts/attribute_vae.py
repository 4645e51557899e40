"""Shared by Klys et al. 2018's systems with labels as binary attributes, and by those with an adversary."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.field_checks import check_above_zero, check_at_least
from pipeline.models.capabilities import KnownLabels
from pipeline.models.parts.image_vae import Likelihood
from pipeline.models.parts.label_attributes import LabelAttributes
from pipeline.models.parts.weighted_bound import WeightedVAEConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributeVAEConfig(WeightedVAEConfig):
    """The fields of systems whose networks take labels."""

    likelihood: Likelihood = "gaussian"
    """``p(x | ...)``, Gaussian with a fixed scale (``likelihood_scale``), while the paper's decoder also outputs
    σ(w, z): the equivalent of its β_1 = 20 depends on that scale. `auto`: Laplace for images in colour or of
    64 x 64 pixels, else Bernoulli."""
    hidden_labels: float = 0.1
    """Share of the examples whose labels are hidden from the networks at a step (replaced by frequencies, as for
    unlabelled examples), so that they learn to work without; 0 in the paper, where labels are always given."""

    def __post_init__(self) -> None:
        WeightedVAEConfig.__post_init__(self)
        if not 0 <= self.hidden_labels < 1:
            raise ConfigError(
                f"{self.system}: hidden_labels is {self.hidden_labels}; it is a share, 0 or more, below 1"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class AdversarialVAEConfig(AttributeVAEConfig):
    """The fields of those with an adversary."""

    adversary_width: int = 128
    """Width of the adversary's two hidden layers."""
    adversary_learning_rate: float | None = None
    """The adversary's learning rate; None: the run's."""

    def __post_init__(self) -> None:
        AttributeVAEConfig.__post_init__(self)
        check_at_least(1, self, "adversary_width")
        check_above_zero(self, "adversary_learning_rate")


class ConditionsOnAttributes:
    """Shared by systems whose encoders take labels as attributes, and which can show one label alone."""

    attributes: LabelAttributes
    config: AttributeVAEConfig

    @property
    def needs_labels(self) -> bool:
        """Whether the encoder was never trained without labels: ``hidden_labels`` is 0, as in the paper."""
        return self.config.hidden_labels == 0

    def attributes_of(self, rows: int, labels: KnownLabels | None) -> Float[Tensor, "rows attribute"]:
        """The encoder's attributes of images: their known labels, or that none is known.

        Raises:
            ConfigError: none is given, and the system needs them.
        """
        if labels is not None:
            return self.attributes.of(labels.labels, labels.observed)
        if self.needs_labels:
            raise ConfigError(
                f"{self.config.system} with hidden_labels=0 encodes images with known labels only, and none were given"
            )
        return self.attributes.of_unknown(rows)


def shown_labels(observed: Bool[Tensor, "rows label"], hidden: float) -> Bool[Tensor, "rows label"]:
    """The labels that networks see: the observed ones, except in a random share of the rows."""
    if hidden == 0:
        return observed
    return observed & (torch.rand(len(observed), 1, device=observed.device) >= hidden)
