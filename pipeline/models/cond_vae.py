"""CondVAE and CondVAE-info, the baselines of Klys et al. 2018 (sections 3.2 and 3.3): ``p(z) p(x | z, y)``.

    cond_vae       β_x E_{q(z|x,y)} [ log p(x|z,y) ] − β_z KL(q(z|x,y) ‖ p(z))                                    (eq. 2)
    cond_vae_info  the same with q(z|x), − γ E_{q(z|x)} [ log r(y|z) ], while its adversary maximises log r(y|z)  (eq. 3)

Networks take labels as attributes ``y ∈ {0, 1}^k``. The paper knows all labels. Here an unknown one stands as the
frequencies of its values: a condition like others, so that what an unlabelled example adds is a bound of
``log p(x | labels unknown)``. It has no part in the adversary's game, which is over observed labels. The paper's decoder
gives mean and scale of a Gaussian; ours gives the mean, the scale is fixed (``likelihood_scale``).
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
from pipeline.models.interface import DataSpec, Losses, Player, term, to_pixels
from pipeline.models.parts.attribute_vae import AdversarialVAEConfig, AttributeVAEConfig, told
from pipeline.models.parts.densities import standard_gaussian_kl
from pipeline.models.parts.image_vae import ImageVAE, straight_path
from pipeline.models.parts.label_adversary import LabelAdversary
from pipeline.models.parts.label_attributes import LabelAttributes
from pipeline.models.parts.label_codes import log_likelihood_of
from pipeline.models.parts.weighted_bound import weighted_bound
from pipeline.networks import ConditionedMLP, concatenated, split_mean_and_scale


@dataclass(frozen=True, kw_only=True, slots=True)
class CondVAEConfig(AttributeVAEConfig):
    """A VAE whose encoder and decoder are told the labels.

    An unlabelled example adds the bound of ``log p(x | labels unknown)``, unknown being a condition like others.
    """

    system: Annotated[Literal["cond_vae"], tyro.conf.Suppress] = "cond_vae"

    def build(self, data: DataSpec) -> CondVAE:
        return CondVAE(self, data)


@dataclass(frozen=True, kw_only=True, slots=True)
class CondVAEInfoConfig(AdversarialVAEConfig):
    """A VAE whose decoder is told the labels, and whose encoder hides them from an adversary.

    An unlabelled example adds the bound of ``log p(x | labels unknown)``, unknown being a condition like others; the
    adversary does not see it.
    """

    system: Annotated[Literal["cond_vae_info"], tyro.conf.Suppress] = "cond_vae_info"
    information_weight: float = 1.0
    """Factor γ of the adversary's cross entropy on observed labels, which the encoder maximises."""

    def __post_init__(self) -> None:
        AdversarialVAEConfig.__post_init__(self)
        check_at_least(0, self, self.system, "information_weight")

    def build(self, data: DataSpec) -> CondVAEInfo:
        return CondVAEInfo(self, data)


class AttributeDecoderVAE(ImageVAE):
    """``q(z | x)``, ``p(x | z, y)`` with labels as attributes, and what they are enough for."""

    def __init__(
        self, config: AttributeVAEConfig, data: DataSpec, *, encoder_outputs: int | None = None
    ) -> None:
        attributes, latents = LabelAttributes(data, config.system), config.latent_size
        super().__init__(
            config, data, latents=latents + attributes.count, encoder_outputs=encoder_outputs or 2 * latents
        )
        self.hidden_labels, self.latents, self.attributes = config.hidden_labels, latents, attributes

    def encoded(
        self, pixels: Float[Tensor, "batch pixel"], attributes: Float[Tensor, "batch attribute"]
    ) -> tuple[Tensor, Tensor]:
        """Mean and scale of ``q(z | x)``, each (batch, latent); the labels are not looked at."""
        return self.posterior(pixels)

    def sampled(
        self, batch: Batch
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, " batch"], Float[Tensor, " batch"]]:
        """A sample of ``z`` for each example, ``log p(x | z, y)`` at it, and the KL of its posterior."""
        pixels = to_pixels(batch.image)
        attributes = self.attributes.of(
            batch.labels, told(batch.observed, self.hidden_labels if self.training else 0.0)
        )
        mean, scale = self.encoded(pixels, attributes)
        z = mean + scale * torch.randn_like(mean)
        log_likelihood = self.log_likelihood(pixels, torch.cat([z, attributes], dim=-1))
        return z, log_likelihood, standard_gaussian_kl(mean, scale)

    # what it can do

    def without_labels(self, image: UInt8[Tensor, "batch channel height width"]) -> tuple[Tensor, Tensor]:
        """Posterior mean of ``z`` and the attributes of images whose labels are unknown."""
        attributes = self.attributes.of_unknown(len(image))
        return self.encoded(to_pixels(image), attributes)[0], attributes

    def reconstruct(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Decoded posterior mean, the labels being unknown."""
        return self.decode(torch.cat(self.without_labels(image), dim=-1))

    def generate(self, labels: UInt8[Tensor, "batch label"]) -> Float[Tensor, "batch channel height width"]:
        """``E[x | z, y]`` for a fresh ``z ~ p(z)`` per row."""
        z = torch.randn(len(labels), self.latents, device=labels.device)
        return self.decode(torch.cat([z, self.attributes.of_known(labels)], dim=-1))

    def intervene(
        self,
        image: UInt8[Tensor, "batch channel height width"],
        label: int,
        values: UInt8[Tensor, " batch"],
        draws: int = 1,
    ) -> Float[Tensor, "draw batch channel height width"]:
        """Attribute switching (section 4.3, p = 1): the posterior mean, decoded with the attribute of this label alone.

        Nothing in it is drawn: all draws are the same. The paper encodes with the original label; here it is unknown.
        """
        z, _ = self.without_labels(image)
        switched = self.decode(torch.cat([z, self.attributes.of_one(label, values)], dim=-1))
        return switched.expand(draws, *switched.shape)

    def traverse(
        self,
        image: UInt8[Tensor, "batch channel height width"],
        label: int,
        steps: int,
        *,
        start: int = 0,
        end: int = 1,
    ) -> Float[Tensor, "step batch channel height width"]:
        """The same while the label's attributes go straight from those of one value to those of the other.

        Here too the label of the image itself is not told to the encoder.
        """
        z, _ = self.without_labels(image)
        ends = torch.tensor([start, end], dtype=torch.uint8, device=z.device)
        first, last = self.attributes.of_one(label, ends)
        return self.decode(concatenated(z, straight_path(first, last, steps)[:, None]))


class CondVAE(AttributeDecoderVAE):
    """CondVAE for images with any labels; ``q(z | x, y)`` is told them behind the features of the image."""

    def __init__(self, config: CondVAEConfig, data: DataSpec) -> None:
        width = config.hidden_width
        super().__init__(config, data, encoder_outputs=width)
        self.config = config
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

    def __init__(self, config: CondVAEInfoConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.config = config
        self.adversary = LabelAdversary(config.latent_size, config.adversary_width, self.attributes.codes)

    def adversaries(self) -> tuple[Player, ...]:
        """The adversary, which predicts the labels from ``z``."""
        return (self.adversary.player(self.config.adversary_learning_rate),)

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
            terms=bound.terms | terms,
            adversaries={"adversary": log_likelihood_of(self.adversary(z.detach()), labels, observed)},
        )
