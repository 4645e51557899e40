"""CondVAE and CondVAE-info, the baselines of Klys et al. 2018 (sections 3.2 and 3.3): ``p(z) p(x | z, y)``.

    cond_vae       β_x E_{q(z|x,y)} [ log p(x|z,y) ] − β_z KL(q(z|x,y) ‖ p(z))                                    (eq. 2)
    cond_vae_info  the same with q(z|x), − γ E_{q(z|x)} [ log r(y|z) ], while its adversary maximises log r(y|z)  (eq. 3)

Networks take labels as attributes ``y ∈ {0, 1}^k``. In the paper all labels are known. Here an unknown one is given by the
frequencies of its values: a condition like others, so an unlabelled example contributes a bound of
``log p(x | labels unknown)``. The adversary's objective is over observed labels only. The paper's decoder
outputs mean and scale of a Gaussian; ours outputs the mean, and the scale is fixed (``likelihood_scale``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import tyro
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.capabilities import ClassMeans, KnownLabels
from pipeline.models.interface import Adversary, DataSpec, Losses, term, to_pixels
from pipeline.models.parts.attribute_vae import (
    AdversarialVAEConfig,
    AttributeVAEConfig,
    ConditionsOnAttributes,
    shown_labels,
)
from pipeline.models.parts.densities import standard_gaussian_kl
from pipeline.models.parts.image_vae import ImageVAE
from pipeline.models.parts.label_adversary import LabelAdversary
from pipeline.models.parts.label_attributes import LabelAttributes
from pipeline.models.parts.label_codes import log_likelihood_of
from pipeline.models.parts.label_latents import IntervenesByLatents, SwitchesByLatents, TraversesByLatents
from pipeline.models.parts.latent_algebra import with_latents
from pipeline.models.parts.weighted_bound import weighted_bound
from pipeline.networks import ConditionedMLP, split_mean_and_scale


@dataclass(frozen=True, kw_only=True, slots=True)
class CondVAEConfig(AttributeVAEConfig):
    """A VAE whose encoder and decoder take the labels.

    An unlabelled example contributes the bound of ``log p(x | labels unknown)``, "unknown" being one more condition.
    """

    system: Annotated[Literal["cond_vae"], tyro.conf.Suppress] = "cond_vae"

    def build(self, data: DataSpec) -> CondVAE:
        return CondVAE(self, data)


@dataclass(frozen=True, kw_only=True, slots=True)
class CondVAEInfoConfig(AdversarialVAEConfig):
    """A VAE whose decoder takes the labels, and whose encoder hides them from an adversary.

    An unlabelled example contributes the bound of ``log p(x | labels unknown)``, "unknown" being one more condition; the
    adversary does not see it.
    """

    system: Annotated[Literal["cond_vae_info"], tyro.conf.Suppress] = "cond_vae_info"
    information_weight: float = 1.0
    """Factor γ of the adversary's cross entropy on observed labels, which the encoder maximises."""

    def __post_init__(self) -> None:
        AdversarialVAEConfig.__post_init__(self)
        check_at_least(0, self, "information_weight")

    def build(self, data: DataSpec) -> CondVAEInfo:
        return CondVAEInfo(self, data)


class AttributeDecoderVAE(
    IntervenesByLatents, SwitchesByLatents, TraversesByLatents, ConditionsOnAttributes, ImageVAE
):
    """``q(z | x)``, ``p(x | z, y)`` with labels as attributes, and the capabilities that these give."""

    def __init__(
        self, config: AttributeVAEConfig, data: DataSpec, *, encoder_outputs: int | None = None
    ) -> None:
        attributes, latents = LabelAttributes(data, config.system), config.latent_size
        super().__init__(
            config, data, latents=latents + attributes.count, encoder_outputs=encoder_outputs or 2 * latents
        )
        self.config, self.latents, self.attributes = config, latents, attributes

    def encoded(
        self, pixels: Float[Tensor, "batch pixel"], attributes: Float[Tensor, "batch attribute"]
    ) -> tuple[Tensor, Tensor]:
        """Mean and scale of ``q(z | x)``, each (batch, latent); the labels are not used."""
        return self.posterior(pixels)

    def sampled(
        self, batch: Batch
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, " batch"], Float[Tensor, " batch"]]:
        """A sample of ``z`` for each example, ``log p(x | z, y)`` at it, and the KL of its posterior."""
        pixels = to_pixels(batch.image)
        attributes = self.attributes.of(
            batch.labels, shown_labels(batch.observed, self.config.hidden_labels if self.training else 0.0)
        )
        mean, scale = self.encoded(pixels, attributes)
        z = mean + scale * torch.randn_like(mean)
        log_likelihood = self.log_likelihood(pixels, torch.cat([z, attributes], dim=-1))
        return z, log_likelihood, standard_gaussian_kl(mean, scale)

    # capabilities: its code is (y, z), y as attributes

    def encode(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """The attributes of the known labels, and the posterior mean of ``z`` given them."""
        attributes = self.attributes_of(image.shape[0], labels)
        return torch.cat([attributes, self.encoded(to_pixels(image), attributes)[0]], dim=-1)

    def decode(self, code: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows channel height width"]:
        """Mean images in [0, 1]; the decoder takes ``z`` first."""
        attributes, z = code.split([self.attributes.count, self.latents], dim=-1)
        return super().decode(torch.cat([z, attributes], dim=-1))

    def latents_of(self, label: int) -> slice:
        """The position in the code of the attributes of a label of the data set."""
        return self.attributes.of_label(label)

    def draw(
        self, label: int, values: UInt8[Tensor, " batch"], draws: int
    ) -> Float[Tensor, "draw batch own"]:
        """The attributes of the values: nothing is random, so all samples are the same."""
        return self.centres(label)[values.long()].expand(draws, -1, -1)

    def centres(self, label: int) -> Float[Tensor, "value own"]:
        """The attributes of each value."""
        return self.attributes.of_values(label)

    def encode_without_attributes(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """Attributes of 0, and the posterior mean of ``z`` given the image's actual ones."""
        code = self.encode(image, labels)
        return with_latents(code, slice(0, self.attributes.count), code.new_zeros(self.attributes.count))

    def switching_points(self, label: int, means: ClassMeans) -> Float[Tensor, "value point"]:
        """``p = 1`` for each value (section 5.4), independent of the means."""
        return torch.ones_like(self.centres(label)[:, :1])

    def at_points(
        self, label: int, values: UInt8[Tensor, " batch"], points: Float[Tensor, "value 1"]
    ) -> Float[Tensor, "batch own"]:
        """The attributes of the given values times their ``p``: the intensity of section 4.3."""
        return (self.centres(label) * points)[values.long()]

    def generate(self, labels: UInt8[Tensor, "batch label"]) -> Float[Tensor, "batch channel height width"]:
        """``E[x | z, y]`` for a fresh ``z ~ p(z)`` per row."""
        z = torch.randn(len(labels), self.latents, device=labels.device)
        return self.decode(torch.cat([self.attributes.of_known(labels), z], dim=-1))


class CondVAE(AttributeDecoderVAE):
    """CondVAE for images with any labels; ``q(z | x, y)`` takes them after the image's features."""

    def __init__(self, config: CondVAEConfig, data: DataSpec) -> None:
        width = config.hidden_width
        super().__init__(config, data, encoder_outputs=width)
        self.conditioned_encoder = ConditionedMLP(
            width, self.attributes.count, [width, 2 * config.latent_size]
        )

    def encoded(
        self, pixels: Float[Tensor, "batch pixel"], attributes: Float[Tensor, "batch attribute"]
    ) -> tuple[Tensor, Tensor]:
        """Mean and scale of ``q(z | x, y)``, each (batch, latent)."""
        features = functional.relu(self.encoder(pixels))
        return split_mean_and_scale(self.conditioned_encoder(features, attributes))

    def forward(self, batch: Batch) -> Losses:
        """The objective of each example, from one sample of ``z``; its KL is analytic."""
        _, log_likelihood, kl = self.sampled(batch)
        return weighted_bound(self.config, log_likelihood, kl)


class CondVAEInfo(AttributeDecoderVAE):
    """CondVAE-info for images with any labels, and its adversary."""

    config: CondVAEInfoConfig

    def __init__(self, config: CondVAEInfoConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.adversary = LabelAdversary(config.latent_size, config.adversary_width, self.attributes.codes)

    def adversaries(self) -> tuple[Adversary, ...]:
        """The adversary, which predicts the labels from ``z``."""
        return (self.adversary.as_adversary(self.config.adversary_learning_rate),)

    def forward(self, batch: Batch) -> Losses:
        """Both objectives of each example, from one sample of ``z``; its KL is analytic."""
        config, labels, observed = self.config, batch.labels, batch.observed
        z, log_likelihood, kl = self.sampled(batch)
        read = log_likelihood_of(self.adversary.held_fixed(z), labels, observed)
        bound = weighted_bound(config, log_likelihood, kl)
        objective = bound.objective - config.information_weight * read
        terms = {
            "objective": term(objective),
            "labelled/adversary_log_likelihood": term(read[: batch.labelled]),
        }
        return Losses(
            objective=objective,
            bound=bound.bound,
            terms=bound.terms | terms,
            adversaries={"adversary": log_likelihood_of(self.adversary(z.detach()), labels, observed)},
        )
