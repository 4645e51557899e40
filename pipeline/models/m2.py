"""M2 (Kingma et al., 2014, section 3): ``p(y) p(z) p(x | y, z)`` with ``q(y | x)`` and ``q(z | x, y)``.

One class label, several binary labels, or a mix: ``p(y)`` and ``q(y | x)`` factorise over labels. Of each example a set
``O`` of labels is observed: all of them (eq. 6 and 9), none (eq. 7), or some. One formula serves all:

    L(x, y_O) = E_{q(y_U|x)} [ R(x, y) ] − Σ_{i∈U} KL(q(y_i|x) ‖ p(y_i)) + Σ_{i∈O} log p(y_i)  +  α log q(y_O | x)
    R(x, y)   = E_{q(z|x,y)} [ log p(x|y,z) ] − KL(q(z|x,y) ‖ p(z))

over the unobserved labels ``U``. Their entropy and prior are always exact. The expectation of ``R`` is a sum over all
combinations of labels if these are few, else it is estimated from sampled labels (``LabelEstimator``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import tyro
from jaxtyping import Float, UInt8
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.capabilities import KnownLabels
from pipeline.models.interface import DataSpec, Losses, to_image, to_pixels
from pipeline.models.parts.class_draws import ClassDistribution
from pipeline.models.parts.densities import (
    class_log_probability,
    gaussian_log_density,
    standard_gaussian_kl,
    standard_gaussian_log_density,
)
from pipeline.models.parts.image_vae import ImageVAEConfig, pixel_density
from pipeline.models.parts.label_codes import LabelCodes, known_or_predicted, log_likelihood_of
from pipeline.models.parts.label_latents import IntervenesByLatents, SwapsByLatents
from pipeline.models.parts.likelihood_bound import BoundOfLosses
from pipeline.networks import one_hot, split_mean_and_scale

LabelEstimator = Literal["auto", "enumerated", "score_function", "straight_through"]
"""Estimator of the expectation over unobserved labels.

``score_function``: two samples, each the other's baseline, with the same noise of ``z``; unbiased.
``straight_through``: one sample, through which gradients pass as if it were the probabilities; biased.

On 40 drawn radiographs without labels (5 binary ones, after 400 steps) the classifier's gradient had norm 11.6 and the
standard deviations 11.1 (enumerated), 18.9 (score function; 32.4 with noise of its own for each sample, 6,500 without a
baseline) and 8.0 (straight-through), the mean of the last being 9.8 off: hence the default.
"""

ENUMERATED_BY_DEFAULT = 16
"""Combinations of several labels up to which ``auto`` enumerates them: every image is decoded once per combination."""
ENUMERATED_AT_MOST = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class M2Config(ImageVAEConfig):
    """M2 for binary labels, multi-class labels, and mixes."""

    system: Annotated[Literal["m2"], tyro.conf.Suppress] = "m2"
    latent_size: int = 10
    """Number of latents ``z``."""
    classifier_weight: float = 50.0
    """Factor α of ``log q(y | x)`` on observed labels; 50 is ours, Kingma et al. use 0.1 N, Joy et al. give none."""
    label_estimator: LabelEstimator = "auto"
    """The expectation over unobserved labels: the sum over their combinations (`enumerated`), or from samples
    (`score_function`, unbiased; `straight_through`, biased); `auto`: enumerated if there is one label or at most 16
    combinations, else score_function."""

    def __post_init__(self) -> None:
        ImageVAEConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_at_least(1, self, "latent_size")
        check_at_least(0, self, "classifier_weight")

    @classmethod
    def celeba(cls) -> M2Config:
        """27 latents, like CCVAE's style for CelebA; the paper does not give its M2's."""
        return cls(latent_size=27)

    def build(self, data: DataSpec) -> M2:
        return M2(self, data)


def choose_estimator(choice: LabelEstimator, labels: int, combinations: int) -> LabelEstimator:
    """Resolve ``auto``; ConfigError if there are too many combinations to enumerate."""
    if choice == "auto":
        few = labels == 1 or combinations <= ENUMERATED_BY_DEFAULT
        return "enumerated" if few else "score_function"
    if choice == "enumerated" and combinations > ENUMERATED_AT_MOST:
        raise ConfigError(
            f"m2: label_estimator=enumerated allows at most {ENUMERATED_AT_MOST} combinations of labels;"
            f" this data set has {combinations}"
        )
    return choice


class M2(IntervenesByLatents, SwapsByLatents, BoundOfLosses):
    """M2 for images with any labels; its code is ``(y, z)``."""

    log_prior: Tensor
    combinations: Tensor

    def __init__(self, config: M2Config, data: DataSpec) -> None:
        super().__init__()
        self.config, self.image_shape = config, data.image_shape
        self.codes = codes = LabelCodes(data.labels_for("m2"))
        number = math.prod(codes.cardinalities)
        self.estimator = choose_estimator(config.label_estimator, codes.labels, number)
        self.partly_observed = data.partly_observed and codes.labels > 1
        self.pixel_density = pixel_density(config, data)
        networks = config.networks(data)
        classifier, features = networks.encoder(codes.width), networks.features()
        # In the order in which checkpoints have Adam's moments.
        self.features, self.classifier = features.network, classifier
        self.encoder = networks.encoder_after(features, codes.width, 2 * config.latent_size)
        self.decoder = networks.conditioned_decoder(config.latent_size, codes.width)
        self.register_buffer("log_prior", codes.log_prior(data))
        if self.estimator == "enumerated":
            self.register_buffer("combinations", codes.combinations(), persistent=False)

    # the objective

    def forward(self, batch: Batch) -> Losses:
        """The objective of each example, for any set of observed labels."""
        labelled, pixels = batch.labelled, to_pixels(batch.image)
        log_q = self.log_q(pixels)
        features = self.features(pixels)
        observed = batch.observed[:labelled]
        labels = batch.labels[:labelled].masked_fill(~observed, 0)
        log_q_label = log_likelihood_of(log_q[:labelled], labels, observed)

        # Fully labelled rows need one combination of labels, the others several.
        known = 0 if self.partly_observed else labelled
        reconstruction = [
            self.reconstruction_bound(pixels[:known], features[:known], self.codes.code(labels[:known]))
        ]
        given = torch.cat([self.codes.given(log_q[:labelled], labels, observed), log_q[labelled:]])
        expectation = self.enumerated if self.estimator == "enumerated" else self.sampled
        reconstruction.append(expectation(pixels[known:], features[known:], given[known:]))
        label_kl = (given.exp() * (given - self.log_prior)).sum((-2, -1))
        elbo = torch.cat(reconstruction) - label_kl
        objective = torch.cat(
            [elbo[:labelled] + self.config.classifier_weight * log_q_label, elbo[labelled:]]
        )
        return Losses.of(objective, elbo, {"label_kl": label_kl, "labelled/log_predictive": log_q_label})

    def log_q(self, pixels: Float[Tensor, "batch pixel"]) -> Float[Tensor, "batch label value"]:
        """``log q(y_i | x)`` of every value of each label."""
        return self.codes.log_probabilities(self.classifier(pixels))

    def reconstruction_bound(
        self,
        pixels: Float[Tensor, "*#rows pixel"],
        features: Float[Tensor, "*#rows feature"],
        code: Float[Tensor, "*#rows value"],
        noise: Float[Tensor, "*#rows latent"] | None = None,
    ) -> Float[Tensor, "*rows"]:
        """``R(x, y)`` from one sample of ``z``, with analytic KL; the leading axes of images and labels broadcast."""
        mean, scale = split_mean_and_scale(self.encoder(features, code))
        z = mean + scale * (torch.randn_like(mean) if noise is None else noise)
        return self.pixel_density(pixels, self.decoder(z, code)) - standard_gaussian_kl(mean, scale)

    def enumerated(
        self,
        pixels: Float[Tensor, "rows pixel"],
        features: Float[Tensor, "rows feature"],
        given: Float[Tensor, "rows label value"],
    ) -> Float[Tensor, " rows"]:
        """``E_{q(y|x)} [R(x, y)]`` as the sum over all combinations; ``given`` is ``log q`` with observed labels certain."""
        each = self.reconstruction_bound(
            pixels[:, None], features[:, None], self.codes.code(self.combinations)
        )
        combinations = self.combinations.expand(len(given), -1, -1)
        log_q = given[:, None].expand(-1, combinations.shape[1], -1, -1)
        return (class_log_probability(log_q, combinations).sum(-1).exp() * each).sum(-1)

    def sampled(
        self,
        pixels: Float[Tensor, "rows pixel"],
        features: Float[Tensor, "rows feature"],
        given: Float[Tensor, "rows label value"],
    ) -> Float[Tensor, " rows"]:
        """``E_{q(y|x)} [R(x, y)]`` by the chosen estimator; its value is the mean of ``R`` over the samples."""
        distribution = ClassDistribution(given)
        if self.estimator == "straight_through":
            code = self.codes.code(distribution.sample().to(torch.uint8))
            probabilities = self.codes.side_by_side(given.exp())
            return self.reconstruction_bound(pixels, features, code + probabilities - probabilities.detach())
        labels = torch.stack([distribution.sample(), distribution.sample()]).to(torch.uint8)
        noise = torch.randn(len(pixels), self.config.latent_size, device=pixels.device)
        each = self.reconstruction_bound(pixels, features, self.codes.code(labels), noise)
        # Without the score the classifier would learn only from noise; without the baseline, mostly.
        score = class_log_probability(given.expand(2, -1, -1, -1), labels).sum(-1)
        advantage = (each - each.flip(0)).detach()
        return (each + advantage * (score - score.detach())).mean(0)

    # capabilities

    def log_importance_weights(
        self, image: UInt8[Tensor, "batch channel height width"], samples: int
    ) -> Float[Tensor, "sample batch"]:
        """``log p(x | y, z) + log p(y) + log p(z) − log q(y | x) − log q(z | x, y)`` of sampled labels and latents."""
        pixels = to_pixels(image)
        log_q, features = self.log_q(pixels), self.features(pixels)
        distribution = torch.distributions.Categorical(logits=log_q, validate_args=False)
        labels = distribution.sample(torch.Size([samples])).to(torch.uint8)
        code = self.codes.code(labels)
        mean, scale = split_mean_and_scale(self.encoder(features, code))
        z = mean + scale * torch.randn_like(mean)
        ratio = class_log_probability((self.log_prior - log_q).expand(samples, -1, -1, -1), labels).sum(-1)
        ratio = ratio + standard_gaussian_log_density(z) - gaussian_log_density(z, mean, scale)
        return self.pixel_density(pixels, self.decoder(z, code)) + ratio

    def classify(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch category"]]:
        """``log q(y_i | x)``."""
        return self.codes.by_label(self.log_q(to_pixels(image)))

    def encode(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """One-hot codes of the known or else the most probable labels, and the mean of ``q(z | x, y)`` given them."""
        pixels = to_pixels(image)
        code = self.codes.code(known_or_predicted(self.log_q(pixels), labels))
        mean, _ = split_mean_and_scale(self.encoder(self.features(pixels), code))
        return torch.cat([code, mean], dim=-1)

    def decode(self, code: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows channel height width"]:
        """Mean images in [0, 1]."""
        labels, z = code[..., : self.codes.width], code[..., self.codes.width :]
        return to_image(self.decoder(z, labels), self.image_shape)

    def reconstruct(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch channel height width"]:
        """Decoded posterior mean, given the known or else the most probable labels."""
        return self.decode(self.encode(image, labels))

    def generate(self, labels: UInt8[Tensor, "batch label"]) -> Float[Tensor, "batch channel height width"]:
        """``E[x | y, z]`` for a fresh ``z ~ p(z)`` per row."""
        z = torch.randn(len(labels), self.config.latent_size, device=labels.device)
        return self.decode(torch.cat([self.codes.code(labels), z], dim=-1))

    @property
    def characteristics(self) -> tuple[slice, ...]:
        """The position of the labels in the code."""
        return (slice(0, self.codes.width),)

    def latents_of(self, label: int) -> slice:
        """The position in the code of the values of a label of the data set."""
        return self.codes.of_label(label)

    def draw(
        self, label: int, values: UInt8[Tensor, " batch"], draws: int
    ) -> Float[Tensor, "draw batch own"]:
        """The one-hot code of the values: a label has no latents here, so all samples are the same."""
        return one_hot(values, self.codes.cardinalities[label]).expand(draws, -1, -1)
