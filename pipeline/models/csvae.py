"""CSVAE (Klys et al., NeurIPS 2018, sections 4 and 7.1): a subspace ``W_i`` for each attribute, and a ``z`` that hides them.

Generative:  ``p(y) p(w | y) p(z) p(x | w, z)``     Inference: ``q(z | x)``, ``q(w | x, y)``, and an adversary ``q_δ(y | z)``

Labels are attributes ``y ∈ {0, 1}^k``: a binary label is one, a class label one for each class but a neutral one. With the
appendix's weights β the model maximises

    β_1 E_q [ log p(x|w,z) ] − β_2 KL(q(w|x,y) ‖ p(w|y)) − β_3 KL(q(z|x) ‖ p(z)) + β_4 E_{q(z|x)} [ H(q_δ(y|z)) ] + log p(y)

and the adversary β_5 E_{q(z|x)} [ log q_δ(y|z) ]. (H lacks its minus sign in the paper, the adversary's objective N its
log.) With all β = 1 and without H the former is a bound of ``log p(x, y)``, recorded as ``elbo``.

In the paper all labels are known. Here, for an example with observed labels ``O``, the bound is of ``log p(x, y_O)``: the
prior of an unobserved label's subspace is ``p(w_i) = Σ_y p(y) p(w_i|y)``, exact, ``q(w | x, y)`` gets the frequencies of
its values instead, and the adversary is trained on the observed labels. H needs none. Any ``q`` gives a bound, so
hiding labels from it (``hidden_labels``) still gives one, and trains it to infer ``w`` without them.

``p(w_i | attribute)``: the formula has N((0,0), 0.1²) with it and N((3,3), 1²) without, like the swiss roll of 5.1;
the text of 4.2 has the reverse, which attribute switching needs. See ``attribute_at_origin``.
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
from pipeline.models.interface import Adversary, DataSpec, Losses, to_pixels
from pipeline.models.parts.attribute_vae import AdversarialVAEConfig, ConditionsOnAttributes, shown_labels
from pipeline.models.parts.characteristic_vae import sample
from pipeline.models.parts.densities import gaussian_kl, gaussian_log_density, standard_gaussian_kl
from pipeline.models.parts.image_vae import ImageVAE
from pipeline.models.parts.label_adversary import LabelAdversary, entropy
from pipeline.models.parts.label_attributes import LabelAttributes
from pipeline.models.parts.label_codes import log_likelihood_of
from pipeline.models.parts.label_latents import (
    IntervenesByLatents,
    SwapsByLatents,
    SwitchesByLatents,
    TraversesByLatents,
)
from pipeline.networks import ConditionedMLP, split_mean_and_scale

AWAY = 3.0
"""Each coordinate of the centre of the prior that is not at the origin."""
SCALE_AT_ORIGIN, SCALE_AWAY = 0.1, 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CSVAEConfig(AdversarialVAEConfig):
    """CSVAE with the appendix's weights.

    An unlabelled example contributes the bound of ``log p(x)``, for which the subspaces' encoder gets no label, and the
    entropy term; it does not train the adversary.
    """

    system: Annotated[Literal["csvae"], tyro.conf.Suppress] = "csvae"
    subspace_size: int = 2
    """Dimensions of the subspace of each attribute."""
    attribute_at_origin: bool = False
    """Put examples with the attribute at the origin of its subspace, as in the paper's formula, and those
    without away from it; the paper's text and its attribute switching have the reverse."""
    reconstruction_weight: float = 20.0
    """Weight β_1 of ``log p(x | w, z)``; the effect of 20 depends on ``likelihood_scale``, which is learned in the paper."""
    subspace_kl_weight: float = 1.0
    """Weight β_2 of ``KL(q(w | x, y) ‖ p(w | y))``."""
    kl_weight: float = 0.2
    """Weight β_3 of ``KL(q(z | x) ‖ p(z))``."""
    entropy_weight: float = 10.0
    """Weight β_4 of the entropy of the adversary's prediction, which the encoder maximises."""
    adversary_weight: float = 1.0
    """Weight β_5 of the adversary's log-likelihood, its own objective."""

    def __post_init__(self) -> None:
        AdversarialVAEConfig.__post_init__(self)
        check_at_least(1, self, "subspace_size")
        check_at_least(0, self, "subspace_kl_weight", "entropy_weight", "adversary_weight")

    def build(self, data: DataSpec) -> CSVAE:
        return CSVAE(self, data)


class CSVAE(
    IntervenesByLatents,
    SwitchesByLatents,
    TraversesByLatents,
    SwapsByLatents,
    ConditionsOnAttributes,
    ImageVAE,
):
    """CSVAE for images with any labels. Both posteriors share the features of the image, which do not depend on labels."""

    config: CSVAEConfig

    def __init__(self, config: CSVAEConfig, data: DataSpec) -> None:
        attributes = LabelAttributes(data, "csvae")
        width, subspaces = config.hidden_width, attributes.count * config.subspace_size
        super().__init__(
            config,
            data,
            latents=config.latent_size + subspaces,
            encoder_outputs=2 * config.latent_size + width,
        )
        self.config, self.attributes = config, attributes
        self.subspace_encoder = ConditionedMLP(width, attributes.count, [width, 2 * subspaces])
        self.adversary = LabelAdversary(config.latent_size, config.adversary_width, attributes.codes)

    def adversaries(self) -> tuple[Adversary, ...]:
        """The adversary, which predicts the labels from ``z``."""
        return (self.adversary.as_adversary(self.config.adversary_learning_rate),)

    def posteriors(
        self, pixels: Float[Tensor, "batch pixel"], attributes: Float[Tensor, "batch attribute"]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean and scale of ``q(z | x)``, (batch, latent), and of ``q(w | x, y)``, (batch, attribute, dimension)."""
        of_z, features = self.encoded(pixels)
        of_w = split_mean_and_scale(self.subspace_encoder(functional.relu(features), attributes))
        shape = (self.attributes.count, self.config.subspace_size)
        w_mean, w_scale = (values.unflatten(-1, shape) for values in of_w)
        return *split_mean_and_scale(of_z), w_mean, w_scale

    def encoded(self, pixels: Float[Tensor, "batch pixel"]) -> tuple[Tensor, Tensor]:
        """Parameters of ``q(z | x)``, (batch, 2 latent), and features for ``q(w | x, y)``."""
        sizes = [2 * self.config.latent_size, self.config.hidden_width]
        of_z, features = self.encoder(pixels).split(sizes, dim=-1)
        return of_z, features

    def style_mean(self, pixels: Float[Tensor, "batch pixel"]) -> Float[Tensor, "batch latent"]:
        """Mean of ``q(z | x)``."""
        return split_mean_and_scale(self.encoded(pixels)[0])[0]

    def subspace_prior(
        self, attributes: Float[Tensor, "*rows attribute"]
    ) -> tuple[Float[Tensor, "*rows attribute dimension"], Float[Tensor, "*rows attribute dimension"]]:
        """Mean and scale of ``p(w_i | y_i)`` for attributes that are 0 or 1."""
        away = 1 - attributes if self.config.attribute_at_origin else attributes
        away = away[..., None].expand(*away.shape, self.config.subspace_size)
        return AWAY * away, SCALE_AT_ORIGIN + (SCALE_AWAY - SCALE_AT_ORIGIN) * away

    # the objective

    def forward(self, batch: Batch) -> Losses:
        """Both objectives of each example, for any set of observed labels, from one sample of ``z`` and ``w``."""
        config, labels, observed = self.config, batch.labels, batch.observed
        pixels = to_pixels(batch.image)
        known = shown_labels(observed, config.hidden_labels if self.training else 0.0)
        mean, scale, w_mean, w_scale = self.posteriors(pixels, self.attributes.of(labels, known))
        z = mean + scale * torch.randn_like(mean)
        w = w_mean + w_scale * torch.randn_like(w_mean)

        log_likelihood = self.log_likelihood(pixels, torch.cat([z, w.flatten(-2)], dim=-1))
        kl = standard_gaussian_kl(mean, scale)
        given = self.subspace_kl_given_labels(w_mean, w_scale, labels, observed)
        subspace_kl = torch.where(observed, given, self.subspace_kl(w, w_mean, w_scale)).sum(-1)
        label_entropy = entropy(self.adversary.held_fixed(z))
        log_prior = self.attributes.log_prior.expand(len(labels), -1, -1)
        log_label_prior = log_likelihood_of(log_prior, labels, observed)
        read = log_likelihood_of(self.adversary(z.detach()), labels, observed)

        objective = (
            config.reconstruction_weight * log_likelihood
            - config.subspace_kl_weight * subspace_kl
            - config.kl_weight * kl
            + config.entropy_weight * label_entropy
            + log_label_prior
        )
        elbo = log_likelihood - subspace_kl - kl + log_label_prior
        return Losses.of(
            objective,
            elbo,
            {
                "log_likelihood": log_likelihood,
                "kl": kl,
                "subspace_kl": subspace_kl,
                "label_entropy": label_entropy,
                "labelled/adversary_log_likelihood": read[: batch.labelled],
            },
            adversaries={"adversary": config.adversary_weight * read},
        )

    def subspace_kl_given_labels(
        self, mean: Tensor, scale: Tensor, labels: Tensor, observed: Tensor
    ) -> Float[Tensor, "batch label"]:
        """``KL(q(w_i | x, y) ‖ p(w_i | y_i))`` of each observed label; meaningless for the others."""
        prior = self.subspace_prior(self.attributes.of(labels, observed))
        return self.attributes.per_label(gaussian_kl(mean, scale, *prior))

    def subspace_kl(self, w: Tensor, mean: Tensor, scale: Tensor) -> Float[Tensor, "batch label"]:
        """One-sample estimate of ``KL(q(w_i | x, y) ‖ p(w_i))`` for each label, ``p(w_i)`` summed over its values."""
        absent, present = (
            gaussian_log_density(w, *self.subspace_prior(attributes))
            for attributes in (w.new_zeros(w.shape[:-1]), w.new_ones(w.shape[:-1]))
        )
        log_joint = self.attributes.per_value(absent, present) + self.attributes.log_prior
        log_posterior = self.attributes.per_label(gaussian_log_density(w, mean, scale))
        return log_posterior - log_joint.logsumexp(-1)

    # capabilities: its code is (w, z)

    def encode(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """Posterior means of ``w``, given the known labels, and of ``z``, which does not depend on labels."""
        attributes = self.attributes_of(image.shape[0], labels)
        z, _, w, _ = self.posteriors(to_pixels(image), attributes)
        return torch.cat([w.flatten(-2), z], dim=-1)

    def decode(self, code: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows channel height width"]:
        """Mean images in [0, 1]; the decoder takes ``z`` first."""
        w, z = code.split(
            [self.attributes.count * self.config.subspace_size, self.config.latent_size], dim=-1
        )
        return super().decode(torch.cat([z, w], dim=-1))

    @property
    def characteristics(self) -> tuple[slice, ...]:
        """The position of ``w`` in the code."""
        return (slice(0, self.attributes.count * self.config.subspace_size),)

    def characteristic_latents(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """Posterior mean of ``w``, subspace by subspace."""
        return self.encode(image, labels)[:, self.characteristics[0]]

    def latents_of(self, label: int) -> slice:
        """The position, in the code and in ``w``, of the subspaces of a label of the data set."""
        attributes, size = self.attributes.of_label(label), self.config.subspace_size
        return slice(attributes.start * size, attributes.stop * size)

    def draw(
        self, label: int, values: UInt8[Tensor, " batch"], draws: int
    ) -> Float[Tensor, "draw batch own"]:
        """Fresh ``w_i ~ p(w_i | y_i)`` in all subspaces of the label."""
        mean, scale = self.subspace_prior(self.attributes.of_values(label)[values.long()])
        return sample(mean.flatten(-2), scale.flatten(-2), draws)

    def centres(self, label: int) -> Float[Tensor, "value own"]:
        """The mean of ``p(w_i | y_i)`` of each value."""
        return self.subspace_prior(self.attributes.of_values(label))[0].flatten(-2)

    def encode_without_attributes(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """``w`` where attributes are absent (at 0, as in the paper, unless the prior is reversed), and ``z``."""
        z = self.style_mean(to_pixels(image))
        absent, _ = self.subspace_prior(z.new_zeros(len(image), self.attributes.count))
        return torch.cat([absent.flatten(-2), z], dim=-1)

    def switching_points(self, label: int, means: ClassMeans) -> Float[Tensor, "value point"]:
        """``p_j`` of section 5.4: the mean of ``μ_φ2(x, y)`` over ``S_j``, in the subspace of each value's attribute.

        A value that is the absence of all attributes has no subspace, and its row is meaningless.
        """
        of_values = means.of(label)[:, self.latents_of(label)].unflatten(-1, (-1, self.config.subspace_size))
        return (of_values * self.attributes.of_values(label)[..., None]).sum(1)

    def at_points(
        self, label: int, values: UInt8[Tensor, " batch"], points: Float[Tensor, "value dimension"]
    ) -> Float[Tensor, "batch own"]:
        """The subspace of the given value at its point, those of the label's other values at "absent"."""
        present = self.attributes.of_values(label)
        absent, _ = self.subspace_prior(torch.zeros_like(present))
        own = torch.where(present[..., None].bool(), points[:, None], absent)
        return own[values.long()].flatten(-2)

    def generate(self, labels: UInt8[Tensor, "batch label"]) -> Float[Tensor, "batch channel height width"]:
        """``E[x | w, z]`` for a fresh ``w ~ p(w | y)`` and ``z ~ p(z)`` per row."""
        mean, scale = self.subspace_prior(self.attributes.of_known(labels))
        w = mean + scale * torch.randn_like(mean)
        z = torch.randn(len(labels), self.config.latent_size, device=labels.device)
        return self.decode(torch.cat([w.flatten(-2), z], dim=-1))
