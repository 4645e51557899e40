"""DIVA (Ilse, Tomczak, Louizos and Welling, 2019): predicting labels in an unseen domain.

Generative:  ``p(d) p(y) p(z_d | d) p(z_y | y) p(z_x) p(x | z_d, z_y, z_x)``
Inference:   ``q(z_d | x)``, ``q(z_y | x)``, ``q(z_x | x)`` each with its own encoder, and ``q(d | z_d)``, ``q(y | z_y)``

    L(d, x, y) = E[ log p(x|z_d,z_y,z_x) ] − β KL(q(z_d|x) ‖ p(z_d|d)) − β KL(q(z_y|x) ‖ p(z_y|y)) − β KL(q(z_x|x) ‖ p(z_x))
                 + α_d E_{q(z_d|x)} [ log q(d|z_d) ] + α_y E_{q(z_y|x)} [ log q(y|z_y) ]

The domain is a label like the others, and if a label is not observed its two terms are those of ``diva``: the formula
is the same. β grows linearly in the first epochs, and is 1 at the end of the warm-up.

The encoders are the authors' for images of MNIST's size, without their batch normalisation: an image's objective would
depend on the rest of its batch and on how many ranks share it. Decoder, classifiers and ``p(z | y)`` are this project's;
so are the Bernoulli pixels, where the authors have one of 256 grey values each: that is more nats, compared with which their
α_d and α_y weigh less than here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
import tyro
from jaxtyping import Float
from torch import Tensor, nn

from data_prep.errors import ConfigError
from pipeline.field_checks import check_at_least
from pipeline.models.diva import AnyDivaConfig, Diva
from pipeline.models.interface import DataSpec
from pipeline.models.parts.label_layout import latents_per_label
from pipeline.networks.choice import NetworkName

DIGIT_SIDE = 28
"""Height and width of the input images of the authors' encoders."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DivaOriginalConfig(AnyDivaConfig):
    """DIVA with domains; the defaults are its authors' for rotated MNIST."""

    system: Annotated[Literal["diva_original"], tyro.conf.Suppress] = "diva_original"
    network: NetworkName = "auto"
    """Encoders and decoder, as for other systems, except that `auto` takes DIVA's authors' convolutional encoders for
    images of 28 x 28 pixels (the decoder is an MLP)."""
    domain_label: int = 1
    """Index of the label that is the domain, from 0 (1 for rotated-mnist)."""
    characteristic_size: int = 64
    """Latents ``z_y`` of each label of more than two values; a binary label has one."""
    domain_size: int = 64
    """Number of latents ``z_d``."""
    style_size: int = 64
    """Number of the other latents ``z_x``; may be 0."""
    classifier_weight: float = 3500.0
    """Factor α_y of ``log q(y | z_y)`` on observed labels."""
    domain_classifier_weight: float = 2000.0
    """Factor α_d of ``log q(d | z_d)`` on observed domains."""
    warm_up_epochs: int = 100
    """Epochs over which β grows linearly to ``kl_weight``; 0 for none."""

    def __post_init__(self) -> None:
        AnyDivaConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_at_least(1, self, "domain_size")
        check_at_least(0, self, "domain_label", "domain_classifier_weight", "warm_up_epochs")

    def build(self, data: DataSpec) -> DivaOriginal:
        labels = len(data.cardinalities)
        if labels < 2:
            raise ConfigError(
                f"diva_original needs a data set with a domain and at least one other label; this one has {labels} labels"
            )
        if self.domain_label >= labels:
            raise ConfigError(
                f"diva_original: domain_label is {self.domain_label}; the last of the data set's {labels} labels is"
                f" {labels - 1}"
            )
        return DivaOriginal(self, data)


class SeparateEncoders(nn.Module):
    """Encoders of ``z_y``, ``z_d`` and ``z_x`` that share nothing; their outputs are in the order of the latents."""

    def __init__(self, config: DivaOriginalConfig, data: DataSpec, *, of_labels: int, domain: slice) -> None:
        super().__init__()
        self.domain = domain
        self.of_labels = encoder(config, data, 2 * of_labels)
        self.of_domain = encoder(config, data, 2 * (domain.stop - domain.start))
        self.of_style = encoder(config, data, 2 * config.style_size) if config.style_size else None

    def forward(self, pixels: Float[Tensor, "batch pixel"]) -> Float[Tensor, "batch twice_latent"]:
        """Means of all latents, then the raw scales."""
        encoders = (self.of_labels, self.of_domain, self.of_style)
        of_labels, of_domain, *of_style = (
            each(pixels).unflatten(1, (2, -1)) for each in encoders if each is not None
        )
        before, after = of_labels[..., : self.domain.start], of_labels[..., self.domain.start :]
        return torch.cat([before, of_domain, after, *of_style], dim=-1).flatten(1)


def encoder(config: DivaOriginalConfig, data: DataSpec, outputs: int) -> nn.Module:
    """An encoder of images with ``outputs`` outputs."""
    channels, *size = data.image_shape
    if config.network == "auto" and size == [DIGIT_SIDE, DIGIT_SIDE]:
        return digit_encoder(channels, outputs)
    return config.networks(data).encoder(outputs)


def digit_encoder(channels: int, outputs: int) -> nn.Sequential:
    """The authors' encoder of digits: images (channels, 28, 28), flat, through two convolutions to ``outputs`` numbers."""
    layers: list[nn.Module] = [nn.Unflatten(-1, (channels, DIGIT_SIDE, DIGIT_SIDE))]
    for width_in, width_out in ((channels, 32), (32, 64)):
        layers += [nn.Conv2d(width_in, width_out, 5), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(1), nn.Linear(64 * 4 * 4, outputs))


class DivaOriginal(Diva):
    """DIVA for images of several domains with any other labels."""

    def __init__(self, config: DivaOriginalConfig, data: DataSpec) -> None:
        sizes = list(
            latents_per_label(
                data.cardinalities, config.label_latents, config.characteristic_size, config.system
            )
        )
        if not config.label_latents:
            sizes[config.domain_label] = config.domain_size
        super().__init__(replace(config, label_latents=tuple(sizes)), data)
        self.config = config
        self.domain = self.layout.latents_of(config.domain_label)
        of_labels = self.layout.latents - sizes[config.domain_label]
        self.encoder = SeparateEncoders(config, data, of_labels=of_labels, domain=self.domain)
        order = [label for block in self.layout.blocks for label in block.labels]
        self.classifier_weights[order.index(config.domain_label)] = config.domain_classifier_weight

    def begin_epoch(self, epoch: int) -> None:
        """Set β for an epoch, 0 being the first: written into a tensor, so that nothing is recompiled."""
        share = min(1.0, (epoch + 1) / self.config.warm_up_epochs) if self.config.warm_up_epochs else 1.0
        self.kl_weight.fill_(share * self.config.kl_weight)

    @property
    def characteristics(self) -> tuple[slice, ...]:
        """The position of ``z_y``: in a swap, ``z_d`` goes with the style ``z_x``."""
        return (slice(0, self.domain.start), slice(self.domain.stop, self.layout.latents))
