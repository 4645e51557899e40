"""CCVAE with one label per class (ReVAE, appendix D.2): unlabelled images train ``q(y | z_c)`` through the nearest example.

For each class ``y`` one labelled image ``x_y`` is stored. The objective of each unlabelled image gets the term

    μ E_{z_c ~ p(z_c|y)} [ log q(ỹ | z_c) ],    ỹ = argmax_y log q(z_c | x_y)

with ``y ~ p(y)``, summed over, since such an image has no label. The label that a sample came from is not used: at
first, samples are not where the encoder puts images of their class. The term trains the classifier only, as the
appendix first states (``max_φ``): the samples are constants for ``p(z_c | y)``, and the argmax has no gradient. While the
appendix stores the posteriors ``q(z_c | x_y)``, here the images are stored and encoded with each batch, so
that the posteriors are up to date.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.ccvae import CCVAE, CCVAEBoundConfig
from pipeline.models.interface import DataSpec, Losses, term, to_pixels
from pipeline.models.parts.densities import gaussian_log_density


@dataclass(frozen=True, kw_only=True, slots=True)
class OnePerClassCCVAEConfig(CCVAEBoundConfig):
    """CCVAE for one label per class; ReVAE's factor, and latents as in its comparison on MNIST."""

    system: Annotated[Literal["ccvae_one_per_class"], tyro.conf.Suppress] = "ccvae_one_per_class"
    nearest_example_weight: float = 5.0
    """Factor μ of ``log q(y | z_c)`` at samples of ``p(z_c | y)``, with the class of the stored labelled example
    with the nearest posterior; 0 disables it."""

    def __post_init__(self) -> None:
        CCVAEBoundConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_at_least(0, self, "nearest_example_weight")

    def build(self, data: DataSpec) -> OnePerClassCCVAE:
        return OnePerClassCCVAE(self, data)


class OnePerClassCCVAE(CCVAE):
    """CCVAE that stores a labelled example of each class."""

    examples: Tensor

    def __init__(self, config: OnePerClassCCVAEConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.nearest_example_weight = config.nearest_example_weight
        labels = len(data.cardinalities)
        if labels != 1:
            raise ConfigError(
                f"{config.system} needs a data set with one class label; this one has {labels} labels"
            )
        images = torch.zeros(data.cardinalities[0], *data.image_shape, dtype=torch.uint8)
        self.register_buffer("examples", images)

    def keep_examples(self, examples: Batch) -> None:
        """Store the images of one labelled example per class, in the order of the classes."""
        assert examples.labels[:, 0].tolist() == list(range(len(self.examples)))
        self.examples.copy_(examples.image)

    def forward(self, batch: Batch) -> Losses:
        """The objective of each example; the stored ones are encoded with the batch."""
        rows, pixels = len(batch), to_pixels(batch.image)
        mean, scale = self.posterior(torch.cat([pixels, to_pixels(self.examples)]))
        losses = self.losses(batch, pixels, mean[:rows], scale[:rows])
        agreement = self.agreement(mean[rows:], scale[rows:], rows - batch.labelled)
        objective = torch.cat(
            [
                losses.objective[: batch.labelled],
                losses.objective[batch.labelled :] + self.nearest_example_weight * agreement,
            ]
        )
        terms = {
            "objective": term(objective),
            "elbo": term(losses.objective),
            "unlabelled/nearest_example": term(agreement),
        }
        found = Losses(objective=objective, bound=losses.objective, terms=losses.terms | terms)
        return self.with_own_readings(found, batch, mean[:rows], scale[:rows])

    def agreement(
        self, mean: Float[Tensor, "value latent"], scale: Float[Tensor, "value latent"], rows: int
    ) -> Float[Tensor, " rows"]:
        """``Σ_y p(y) log q(ỹ | z_c)`` at a draw ``z_c ~ p(z_c | y)`` per row and class.

        Args:
            mean: of ``q(z | x_y)`` of each stored example.
            scale: likewise.
            rows: number of independent draws.
        """
        size = self.layout.latents
        prior_mean, prior_scale = (table.detach() for table in self.conditional_prior.of_label(0))
        z_c = prior_mean + prior_scale * torch.randn(rows, *prior_mean.shape, device=mean.device)
        log_q = gaussian_log_density(z_c.unsqueeze(-2), mean[:, :size], scale[:, :size])
        nearest = log_q.argmax(-1).to(torch.uint8)  # (row, class drawn from)
        log_q_nearest = self.classifier.of(z_c, nearest.unsqueeze(-1)).squeeze(-1)
        return (log_q_nearest * self.conditional_prior.blocks[0].log_prior.exp()).sum(-1)  # type: ignore[operator]
