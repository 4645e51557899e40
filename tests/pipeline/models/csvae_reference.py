"""CSVAE and CondVAE(-info) written out from their formulas (Klys et al. 2018), slowly, for one image at a time.

As in ``ccvae_reference``, nothing here comes from the code under test but the weights of its networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from pipeline.models.csvae import CSVAEConfig
from pipeline.models.interface import DataSpec
from pipeline.models.parts.attribute_vae import AttributeVAEConfig
from tests.pipeline.models.reference_densities import gaussian, log_normal, network

Values = Sequence[int | None]
"""The value of each label, None where it is not observed."""


class AttributeReference:
    """Labels as attributes, Gaussian pixels, networks with a condition, and the adversary."""

    def __init__(self, model: nn.Module, data: DataSpec, config: AttributeVAEConfig) -> None:
        self.weights: dict[str, Tensor] = dict(model.named_parameters())
        self.config, self.frequencies, self.latents = config, data.label_frequencies, config.latent_size
        self.attributes = [
            (label, value)
            for label, values in enumerate(data.cardinalities)
            for value in range(values)
            if value != (0 if values == 2 else data.neutral_values[label] if data.neutral_values else None)
        ]

    def y(self, values: Values) -> Tensor:
        """1 where the attribute is present, 0 where not; its frequency if unknown."""
        return torch.tensor(
            [
                self.frequencies[label][value] if values[label] is None else float(values[label] == value)
                for label, value in self.attributes
            ]
        )

    def conditioned(self, name: str, features: Tensor, y: Tensor) -> Tensor:
        both = torch.cat([features, y.expand(*features.shape[:-1], -1)], dim=-1)
        first = both @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return network(self.weights, f"{name}.rest.1", first * (first > 0))

    @staticmethod
    def gaussian(outputs: Tensor) -> Normal:
        return Normal(*gaussian(outputs))

    def log_p_x(self, x: Tensor, latents: Tensor) -> Tensor:
        mean = 1 / (1 + torch.exp(-network(self.weights, "decoder", latents)))
        return log_normal(x, mean, self.config.likelihood_scale).sum(-1)

    def log_adversary(self, z: Tensor) -> list[Tensor]:
        """``log q(y_i | z)`` of every value of each label."""
        logits = network(self.weights, "adversary.network", z)
        each = logits.split([len(frequencies) for frequencies in self.frequencies], dim=-1)
        return [one - torch.log(torch.exp(one).sum(-1, keepdim=True)) for one in each]

    def adversary_gain(self, z: Tensor, values: Values) -> Tensor:
        return sum(
            (log_q[y] for log_q, y in zip(self.log_adversary(z), values, strict=True) if y is not None),
            torch.zeros(()),
        )

    def log_p_y(self, values: Values) -> float:
        return sum(
            math.log(frequencies[y])
            for frequencies, y in zip(self.frequencies, values, strict=True)
            if y is not None
        )


def kl_from_standard(q: Normal) -> Tensor:
    return kl_divergence(q, Normal(0.0, 1.0)).sum(-1)


class CSVAEReference(AttributeReference):
    """CSVAE's densities over any leading axes of ``z`` and ``w``, and its two objectives for given noise."""

    config: CSVAEConfig

    def q_z(self, x: Tensor) -> Normal:
        return self.gaussian(network(self.weights, "encoder", x)[..., : 2 * self.latents])

    def q_w(self, x: Tensor, shown_labels: Values) -> Normal:
        """Of each dimension, (attribute, dimension)."""
        features = network(self.weights, "encoder", x)[..., 2 * self.latents :]
        shape = (len(self.attributes), self.config.subspace_size)
        q = self.gaussian(
            self.conditioned("subspace_encoder", features * (features > 0), self.y(shown_labels))
        )
        return Normal(q.mean.unflatten(-1, shape), q.stddev.unflatten(-1, shape))

    def p_w(self, present: bool) -> Normal:
        """The prior of each dimension of an attribute's subspace."""
        return Normal(0.0, 0.1) if present == self.config.attribute_at_origin else Normal(3.0, 1.0)

    def log_p_w(self, w: Tensor, label: int, value: int) -> Tensor:
        """``log p(w_i | y_i)`` of a label's subspaces."""
        each = [
            self.p_w(value == own).log_prob(w[..., place, :]).sum(-1)
            for place, (owner, own) in enumerate(self.attributes)
            if owner == label
        ]
        return torch.stack(each).sum(0)

    def log_p_w_marginal(self, w: Tensor, label: int) -> Tensor:
        each = [
            math.log(frequency) + self.log_p_w(w, label, value)
            for value, frequency in enumerate(self.frequencies[label])
        ]
        return torch.stack(each).logsumexp(0)  # far from both priors their densities are no float64

    def subspace_kl(self, w: Tensor, q: Normal, values: Values) -> Tensor:
        total = torch.zeros(())
        for label, value in enumerate(values):
            places = [place for place, (owner, _) in enumerate(self.attributes) if owner == label]
            if value is None:
                log_q = q.log_prob(w)[places].sum()
                total = total + log_q - self.log_p_w_marginal(w, label)
                continue
            for place in places:
                prior = self.p_w(self.attributes[place][1] == value)
                total = total + kl_divergence(Normal(q.mean[place], q.stddev[place]), prior).sum()
        return total

    def objectives(
        self, x: Tensor, values: Values, shown_labels: Values, z_noise: Tensor, w_noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The model's and the adversary's objective of one image; each is only differentiated for its owner's parameters."""
        config, q_z, q_w = self.config, self.q_z(x), self.q_w(x, shown_labels)
        z, w = q_z.mean + q_z.stddev * z_noise, q_w.mean + q_w.stddev * w_noise
        uncertainty = -sum(((torch.exp(log_q) * log_q).sum() for log_q in self.log_adversary(z)), start=0)
        model = (
            config.reconstruction_weight * self.log_p_x(x, torch.cat([z, w.flatten()]))
            - config.subspace_kl_weight * self.subspace_kl(w, q_w, values)
            - config.kl_weight * kl_from_standard(q_z)
            + config.entropy_weight * uncertainty
            + self.log_p_y(values)
        )
        return model, config.adversary_weight * self.adversary_gain(z, values)


class CondVAEReference(AttributeReference):
    """CondVAE's and CondVAE-info's objectives for given noise; the former has no adversary."""

    def q_z(self, x: Tensor, shown_labels: Values) -> Normal:
        outputs = network(self.weights, "encoder", x)
        if self.config.system == "cond_vae":
            outputs = self.conditioned("conditioned_encoder", outputs * (outputs > 0), self.y(shown_labels))
        return self.gaussian(outputs)

    def objectives(
        self, x: Tensor, values: Values, shown_labels: Values, z_noise: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        q_z = self.q_z(x, shown_labels)
        z = q_z.mean + q_z.stddev * z_noise
        model = self.config.reconstruction_weight * self.log_p_x(x, torch.cat([z, self.y(shown_labels)]))
        model = model - self.config.kl_weight * kl_from_standard(q_z)
        if self.config.system == "cond_vae":
            return model, None
        gain = self.adversary_gain(z, values)
        return model - self.config.information_weight * gain, gain  # type: ignore[attr-defined]
