"""MVAE (Wu & Goodman, 2018) with labels as a second modality: ``p(z) p(x | z) Π_i p(y_i | z)``, ``p(z) = N(0, I)``.

The posterior given any part of image and labels is a product of experts including the prior (its section 2.2):

    q(z | x, y_O) ∝ p(z) q̃(z | x) Π_{i∈O} q̃(z | y_i)

over the observed labels ``O``. The objective sums the bounds of an example, of its image and of its labels, each with
its own posterior (the sub-sampled paradigm of section 2.3; without an observed label only the second):

    ELBO(x, y_O) + ELBO(x) + ELBO(y_O)
    ELBO(x, y_O) = E_{q(z|x,y_O)} [ log p(x|z) + λ log p(y_O|z) ] − KL(q(z|x,y_O) ‖ p(z))

and likewise the other two, without what they do not see. With λ = 1 each is a bound. The KL is not annealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import tyro
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.capabilities import KnownLabels
from pipeline.models.interface import DataSpec, Losses, to_pixels
from pipeline.models.parts.characteristic_vae import CLASSIFYING_SAMPLES, sample
from pipeline.models.parts.densities import log_mean_exp, standard_gaussian_kl
from pipeline.models.parts.image_vae import ImageVAEConfig
from pipeline.models.parts.importance import WeighsSamplesOfPosterior
from pipeline.models.parts.label_codes import LabelCodes, known_or_predicted, log_likelihood_of
from pipeline.networks import mlp, one_hot, split_mean_and_scale


@dataclass(frozen=True, kw_only=True, slots=True)
class MVAEConfig(ImageVAEConfig):
    """MVAE for binary labels, multi-class labels, and mixes."""

    system: Annotated[Literal["mvae"], tyro.conf.Suppress] = "mvae"
    latent_size: int = 64
    """Number of latents ``z``; 64 as in its authors' code for MNIST."""
    label_width: int = 512
    """Width of the two hidden layers of the labels' encoder and decoder."""
    label_weight: float = 10.0
    """Factor λ of ``log p(y | z)``; 1 is the bound, 10 as in its authors' code for MNIST and CelebA."""

    def __post_init__(self) -> None:
        ImageVAEConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_at_least(1, self, "latent_size", "label_width")
        check_at_least(0, self, "label_weight")

    @classmethod
    def celeba(cls) -> MVAEConfig:
        """45 latents, like CCVAE for CelebA; the paper does not give its MVAE's."""
        return cls(latent_size=45)

    def build(self, data: DataSpec) -> MVAE:
        return MVAE(self, data)


@dataclass(frozen=True, slots=True)
class Experts:
    """A product of diagonal Gaussian experts, not normalised."""

    precision: Float[Tensor, "rows latent"]
    weighted_mean: Float[Tensor, "rows latent"]
    """Sum over experts of precision times mean."""

    @classmethod
    def of(cls, mean: Float[Tensor, "rows latent"], scale: Float[Tensor, "rows latent"]) -> Experts:
        """One expert."""
        precision = scale.square().reciprocal()
        return cls(precision, precision * mean)

    def __mul__(self, other: Experts) -> Experts:
        return Experts(self.precision + other.precision, self.weighted_mean + other.weighted_mean)

    def __getitem__(self, rows: slice) -> Experts:
        return Experts(self.precision[rows], self.weighted_mean[rows])

    def posterior(self) -> tuple[Float[Tensor, "rows latent"], Float[Tensor, "rows latent"]]:
        """Mean and scale of the product of these and of the prior expert N(0, I)."""
        precision = 1 + self.precision
        return self.weighted_mean / precision, precision.rsqrt()


class MVAE(WeighsSamplesOfPosterior):
    """MVAE for images with any labels; its ``encoder`` gives the image's expert."""

    def __init__(self, config: MVAEConfig, data: DataSpec) -> None:
        super().__init__(config, data, latents=config.latent_size)
        self.config = config
        self.codes = LabelCodes(data.labels_for("mvae"))
        width, values = config.label_width, self.codes.width
        # Over one-hot rows: an embedding of each value of each label, followed by layers shared by all labels.
        self.label_encoder = mlp([values, width, width, 2 * config.latent_size])
        self.label_decoder = mlp([config.latent_size, width, width, values])

    # posteriors

    def image_expert(self, pixels: Float[Tensor, "batch pixel"]) -> Experts:
        """``q̃(z | x)``."""
        return Experts.of(*split_mean_and_scale(self.encoder(pixels)))

    def label_experts(self, code: Float[Tensor, "rows value"]) -> Experts:
        """``Π_i q̃(z | y_i)``, the code being all zeros for a label that is not observed."""
        every = torch.eye(self.codes.width, device=code.device, dtype=code.dtype)
        table = Experts.of(*split_mean_and_scale(self.label_encoder(every)))
        # Not a matrix product: autocast would round precisions to bf16.
        return Experts(
            (code[..., None] * table.precision).sum(-2), (code[..., None] * table.weighted_mean).sum(-2)
        )

    def known_code(
        self, labels: UInt8[Tensor, "rows label"], observed: Bool[Tensor, "rows label"]
    ) -> Float[Tensor, "rows value"]:
        """One-hot codes of the observed labels, zeros for the others."""
        codes = one_hot(labels.masked_fill(~observed, 0), self.codes.most) * observed[..., None]
        return self.codes.side_by_side(codes)

    def posterior(self, pixels: Float[Tensor, "batch pixel"]) -> tuple[Tensor, Tensor]:
        """Mean and scale of ``q(z | x)``: the image's expert and the prior's."""
        return self.image_expert(pixels).posterior()

    # the objective

    def forward(self, batch: Batch) -> Losses:
        """The objective of each example, for any set of observed labels."""
        labelled, pixels = batch.labelled, to_pixels(batch.image)
        observed = batch.observed[:labelled]
        labels = batch.labels[:labelled].masked_fill(~observed, 0)
        of_image, of_labels = (
            self.image_expert(pixels),
            self.label_experts(self.known_code(labels, observed)),
        )
        posteriors = (of_image, of_image[:labelled] * of_labels, of_labels)
        z, kl = zip(*(self.draw(each) for each in posteriors), strict=True)

        both = torch.cat([pixels, pixels[:labelled]])
        image_term, image_term_of_joint = self.log_likelihood(both, torch.cat(z[:2])).split(
            [len(pixels), labelled]
        )
        log_p = self.log_p(torch.cat(z[1:]))
        label_terms = log_likelihood_of(log_p, labels.repeat(2, 1), observed.repeat(2, 1))
        label_term_of_joint, label_term = (self.config.label_weight * label_terms).split([labelled, labelled])

        elbo = image_term - kl[0]
        joint_elbo = image_term_of_joint + label_term_of_joint - kl[1]
        label_elbo = label_term - kl[2]
        objective = torch.cat([elbo[:labelled] + joint_elbo + label_elbo, elbo[labelled:]])
        return Losses.of(
            objective,
            elbo,
            {
                "log_likelihood": image_term,
                "kl": kl[0],
                "labelled/joint_elbo": joint_elbo,
                "labelled/label_elbo": label_elbo,
            },
        )

    def draw(self, experts: Experts) -> tuple[Float[Tensor, "rows latent"], Float[Tensor, " rows"]]:
        """A sample of the product of experts and prior, and the divergence of the product from the prior."""
        mean, scale = experts.posterior()
        return mean + scale * torch.randn_like(mean), standard_gaussian_kl(mean, scale)

    def log_p(self, z: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows label value"]:
        """``log p(y_i | z)`` of every value of each label."""
        return self.codes.log_probabilities(self.label_decoder(z))

    # capabilities

    def classify(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch category"]]:
        """``log E_{q(z|x)} p(y_i | z)``, from 100 samples."""
        z = sample(*self.posterior(to_pixels(image)), CLASSIFYING_SAMPLES)
        return self.codes.by_label(log_mean_exp(self.log_p(z)))

    def generate(self, labels: UInt8[Tensor, "batch label"]) -> Float[Tensor, "batch channel height width"]:
        """``E[x | z]`` for a fresh ``z ~ q(z | y)`` per row."""
        z, _ = self.draw(self.label_experts(self.codes.code(labels)))
        return self.decode(z)

    def encode(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """Mean of ``q(z | x)``, or of ``q(z | x, y_O)`` where labels are known."""
        expert = self.image_expert(to_pixels(image))
        if labels is not None:
            expert = expert * self.label_experts(self.known_code(labels.labels, labels.observed))
        return expert.posterior()[0]

    def intervene(
        self,
        image: UInt8[Tensor, "batch channel height width"],
        label: int,
        values: UInt8[Tensor, " batch"],
        draws: int = 1,
        labels: KnownLabels | None = None,
    ) -> Float[Tensor, "draw batch channel height width"]:
        """The decoded mean of ``q(z | x, y)`` with one label of ``y`` changed.

        The other labels are the known or else the predicted ones. No latents belong to a label, so nothing
        is sampled for its characteristics alone: all samples are the same.
        """
        shown_labels = self.known_or_predicted(image, labels)
        shown_labels[:, label] = values
        return self.decode(self.encode(image, KnownLabels.all_of(shown_labels))).expand(draws, -1, -1, -1, -1)

    def swap(
        self,
        characteristics: UInt8[Tensor, "batch channel height width"],
        style: UInt8[Tensor, "batch channel height width"],
        labels: KnownLabels | None = None,
        style_labels: KnownLabels | None = None,
    ) -> Float[Tensor, "batch channel height width"]:
        """The decoded mean of ``q(z | x, y)``, ``y`` of the first and ``x`` the second image of each pair.

        ``y`` are the first image's known or else predicted labels. An image has no characteristics here except its
        labels; the second image's own labels are not used.
        """
        shown_labels = KnownLabels.all_of(self.known_or_predicted(characteristics, labels))
        return self.decode(self.encode(style, shown_labels))

    def known_or_predicted(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None
    ) -> UInt8[Tensor, "batch label"]:
        """Known labels, and for the others the most probable value at the mean of ``q(z | x, y_O)``."""
        return known_or_predicted(self.log_p(self.encode(image, labels)), labels)
