"""Mathieu et al. 2016 as Ruiz et al. 2019 adapt it to a reference set (section 5.2): an adversary on swapped codes.

``e(x)`` is a point, ``q(z | x)`` a Gaussian with the prior ``N(0, I)``. With ``e'`` of another image, the model maximises

    E_q [ log p(x | e(x), z) ] − KL(q(z|x) ‖ p(z))           of each image
    + E_q [ log p(x | e(x'), z) ]                            if x and x' are two references, which have the same factors
    + w E_q [ log σ(d(x̃, y')) ],  x̃ decoded from (e(x'), z)  if one of x and x' is a reference and the other is not

and the adversary ``d`` learns which images of a set ``y`` (the reference set or the others) are real. In the original the
sets are classes, and pairs of every class are known: here "the reconstruction losses for pairs of unlabelled samples" are
left out. That an unlabelled image with the ``e`` of a reference must look like one keeps the target factors out of ``z``.

Partners are the next reference, and the image at the same place of the other set, in the order of the full batch, on
whichever rank they are. Nothing here bounds a likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import tyro
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from pipeline.data.batch import Batch
from pipeline.field_checks import check_above_zero, check_at_least
from pipeline.models.capabilities import KnownLabels
from pipeline.models.interface import Adversary, DataSpec, Losses, term, to_pixels
from pipeline.models.parts.densities import standard_gaussian_kl
from pipeline.models.parts.density_ratio import DensityRatio
from pipeline.models.parts.full_batch import rows_of_all_ranks
from pipeline.models.parts.reference_vae import EncodesTargets, FactorVAEConfig, before
from pipeline.networks import full_precision, split_mean_and_scale


@dataclass(frozen=True, kw_only=True, slots=True)
class MathieuConfig(FactorVAEConfig):
    """An adversary on swapped codes: its batches have as many images of the reference set as others; it uses no labels."""

    system: Annotated[Literal["mathieu"], tyro.conf.Suppress] = "mathieu"
    target_size: int = 32
    """Number of latents ``e`` of the target factors, which are the same in all images of the reference set."""
    adversarial_weight: float = 1.0
    """Factor w of the adversary's verdict on images of swapped codes."""
    adversary_width: int = 128
    """Width of the layers of the adversary after its image network."""
    adversary_learning_rate: float | None = None
    """The adversary's learning rate; None: the run's."""

    def __post_init__(self) -> None:
        FactorVAEConfig.__post_init__(self)
        check_at_least(1, self, "target_size", "adversary_width")
        check_at_least(0, self, "adversarial_weight")
        check_above_zero(self, "adversary_learning_rate")

    def build(self, data: DataSpec) -> Mathieu:
        return Mathieu(self, data)


class Mathieu(EncodesTargets):
    """The model and its adversary; it couples the examples of a batch (``CouplesBatch``)."""

    smallest_batch: ClassVar[int] = 4
    # As with ``__hash__ = None``, this is not a capability of it, although it is of what it inherits from.
    log_likelihood_bound = None  # type: ignore[assignment]

    def __init__(self, config: MathieuConfig, data: DataSpec) -> None:
        super().__init__(config, data, target_size=config.target_size, target_outputs=config.target_size)
        self.config = config
        network = config.networks(data).encoder(config.adversary_width)
        self.adversary = DensityRatio(network, (1,), config.adversary_width)

    def adversaries(self) -> tuple[Adversary, ...]:
        """The adversary, which tells images of swapped codes from those of the data."""
        return (self.adversary.as_adversary("adversary", self.config.adversary_learning_rate),)

    def forward(self, batch: Batch) -> Losses:
        """Both objectives of each example, from one sample of its ``z``."""
        pixels, references = to_pixels(batch.image), batch.references
        rows = len(pixels)
        mean, scale = split_mean_and_scale(self.encoder(pixels))
        z = mean + scale * torch.randn_like(mean)
        e = full_precision(self.target_encoder(pixels))
        in_set = before(e.new_ones(references), rows - references)[:, None]

        everyone, first = rows_of_all_ranks(torch.cat([e, in_set], dim=-1), batch)
        all_e, all_in_set = everyone[:, :-1], everyone[:, -1:].detach()
        following, across = partners(all_in_set[:, 0].long())
        following, across = (each[first : first + rows] for each in (following, across))
        other_e, other_in_set = all_e.index_select(0, across), all_in_set.index_select(0, across)

        log_likelihood = self.log_likelihood(pixels, torch.cat([e, z], dim=-1))
        next_e = all_e.index_select(0, following[:references])
        pair_log_likelihood = self.log_likelihood(
            pixels[:references], torch.cat([next_e, z[:references]], dim=-1)
        )
        swapped = self.mean_pixels(torch.cat([other_e, z], dim=-1))
        found = self.adversary.compare((pixels, [in_set]), (swapped, [other_in_set]))
        taken_for_real = functional.logsigmoid(found.of_p)
        kl = standard_gaussian_kl(mean, scale)
        objective = (
            log_likelihood
            - kl
            + before(pair_log_likelihood, rows - references)
            + self.config.adversarial_weight * taken_for_real
        )
        terms = {
            "objective": objective,
            "log_likelihood": log_likelihood,
            "kl": kl,
            "reference/pair_log_likelihood": pair_log_likelihood,
            "taken_for_real": taken_for_real,
            "discriminator_log_probability": found.objective,
            "discriminator_accuracy": found.accuracy,
        }
        return Losses(
            objective=objective,
            terms={name: term(values) for name, values in terms.items()},
            adversaries={"adversary": found.objective},
        )

    def encode(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """``e`` and the posterior mean of ``z``; labels are not used."""
        pixels = to_pixels(image)
        z, _ = split_mean_and_scale(self.encoder(pixels))
        return torch.cat([full_precision(self.target_encoder(pixels)), z], dim=-1)


def partners(
    in_set: Int64[Tensor, " full_batch"],
) -> tuple[Int64[Tensor, " full_batch"], Int64[Tensor, " full_batch"]]:
    """The next row of the same set, and the row at the same place of the other one; of the same set if that is empty.

    ``in_set``: 1 for references and 0 for others, in any order. Nothing waits for the device.
    """
    rows = torch.arange(len(in_set), device=in_set.device)
    references = in_set.sum()
    others = len(in_set) - references
    # Of each row, the number of its set, its size, where it begins in an order by sets, and its place in the set.
    order = torch.argsort(1 - in_set, stable=True)
    place = torch.empty_like(rows).scatter_(0, order, rows)
    size = torch.where(in_set == 1, references, others)
    begin = torch.where(in_set == 1, 0, references)
    place = place - begin
    following = begin + (place + 1) % size
    other_size, other_begin = len(in_set) - size, references - begin
    across = torch.where(other_size > 0, other_begin + place % other_size.clamp(min=1), following)
    return order[following], order[across]
