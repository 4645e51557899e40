"""M2 with one class label (Kingma et al., 2014, section 3): ``p(y) p(z) p(x | y, z)``, ``q(y | x)``, ``q(z | x, y)``.

Labelled example:    ``L(x, y) + α log q(y | x)`` with
``L(x, y) = E_{q(z|x,y)} [ log p(x|y,z) + log p(y) + log p(z) − log q(z|x,y) ]``  (eq. 6 and 9)

Unlabelled example:  ``Σ_y q(y|x) L(x, y) + H(q(y|x))``, every class enumerated (eq. 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import tyro
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least, check_choices
from pipeline.models.densities import bernoulli_log_density, class_log_probability, standard_gaussian_kl
from pipeline.models.interface import DataShape, Losses, term, to_image, to_pixels
from pipeline.networks import ConditionedMLP, full_precision, mlp, one_hot, split_mean_and_scale


@dataclass(frozen=True, kw_only=True, slots=True)
class M2Config:
    """M2 with one class label, its classes enumerated."""

    system: Annotated[Literal["m2"], tyro.conf.Suppress] = "m2"
    latent_size: int = 10
    """Number of latents ``z``."""
    hidden_width: int = 600
    """Width of the two hidden layers of encoder, decoder and classifier."""
    classifier_weight: float = 50.0
    """Factor α of ``log q(y | x)`` on labelled examples."""

    def __post_init__(self) -> None:
        check_choices(self, "m2")
        check_at_least(1, self, "m2", "latent_size", "hidden_width")
        check_at_least(0, self, "m2", "classifier_weight")

    def build(self, data: DataShape) -> M2:
        return M2(self, data)


class M2(nn.Module):
    """M2 for images with Bernoulli pixels and one class label."""

    log_class_prior: Tensor

    def __init__(self, config: M2Config, data: DataShape) -> None:
        super().__init__()
        self.config, self.image_shape = config, data.image_shape
        self.classes = data.only_class_label("m2")
        width, pixels = config.hidden_width, data.pixels
        self.classifier = mlp([pixels, width, width, self.classes])
        self.encoder = ConditionedMLP(pixels, self.classes, [width, width, 2 * config.latent_size])
        self.decoder = ConditionedMLP(config.latent_size, self.classes, [width, width, pixels])
        self.register_buffer("log_class_prior", data.log_label_prior(0))

    def bound(
        self,
        pixels: Float[Tensor, "*#rows pixel"],
        classes: Float[Tensor, "*#rows category"],
        log_prior: Float[Tensor, "*#rows"],
    ) -> Float[Tensor, "*rows"]:
        """One-sample ``L(x, y)`` for pixels and one-hot classes whose leading axes broadcast; its KL is analytic."""
        mean, scale = split_mean_and_scale(self.encoder(pixels, classes))
        logits = self.decoder(mean + scale * torch.randn_like(mean), classes)
        return bernoulli_log_density(pixels, logits) + log_prior - standard_gaussian_kl(mean, scale)

    def forward(self, batch: Batch) -> Losses:
        """The objective of each example; only unlabelled ones pay for the enumeration."""
        labelled, pixels = batch.labelled, to_pixels(batch.image)
        log_q = full_precision(self.classifier(pixels)).log_softmax(-1)
        classes = batch.labels[:labelled, 0]
        log_q_label = class_log_probability(log_q[:labelled], classes)
        known = self.bound(
            pixels[:labelled], one_hot(classes, self.classes), self.log_class_prior[classes.long()]
        )
        every_class = torch.eye(self.classes, device=pixels.device)
        each = self.bound(pixels[labelled:, None], every_class, self.log_class_prior)  # (unlabelled, class)
        log_q_unknown = log_q[labelled:]
        unknown = (log_q_unknown.exp() * (each - log_q_unknown)).sum(-1)
        objective = torch.cat([known + self.config.classifier_weight * log_q_label, unknown])
        return Losses(
            objective=objective,
            terms={
                "objective": term(objective),
                "elbo": term(torch.cat([known, unknown])),
                "labelled/log_predictive": term(log_q_label),
            },
        )

    def classify(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch category"]]:
        """``log q(y | x)``."""
        return [full_precision(self.classifier(to_pixels(image))).log_softmax(-1)]

    def reconstruct(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Decoded posterior mean, under the most probable class."""
        pixels = to_pixels(image)
        classes = one_hot(self.classifier(pixels).argmax(-1), self.classes)
        mean, _ = split_mean_and_scale(self.encoder(pixels, classes))
        return to_image(self.decoder(mean, classes), self.image_shape)

    def generate(self, labels: UInt8[Tensor, "batch label"]) -> Float[Tensor, "batch channel height width"]:
        """``E[x | y, z]`` for a fresh ``z ~ p(z)`` per row."""
        z = torch.randn(labels.shape[0], self.config.latent_size, device=labels.device)
        return to_image(self.decoder(z, one_hot(labels[:, 0], self.classes)), self.image_shape)
