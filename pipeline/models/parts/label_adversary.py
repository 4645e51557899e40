"""The adversary of CondVAE-info and CSVAE: it predicts the labels from ``z``, so that the encoder learns to hide them."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from pipeline.models.interface import Adversary
from pipeline.models.parts.label_codes import LabelCodes
from pipeline.networks import held_fixed, mlp


class LabelAdversary(nn.Module):
    """``q_δ(y | z)``, factorised over labels: an MLP with two hidden layers."""

    def __init__(self, latents: int, width: int, codes: LabelCodes) -> None:
        super().__init__()
        self.codes = codes
        self.network = mlp([latents, width, width, codes.width])

    def as_adversary(self, learning_rate: float | None) -> Adversary:
        """This network as an adversary for the training loop."""
        return Adversary("adversary", tuple(self.parameters()), learning_rate)

    def forward(self, z: Float[Tensor, "rows latent"]) -> Float[Tensor, "rows label most"]:
        """``log q_δ(y_i | z)`` of every value of each label."""
        return self.codes.log_probabilities(self.network(z))

    def held_fixed(self, z: Float[Tensor, "rows latent"]) -> Float[Tensor, "rows label most"]:
        """The same for the model's objective: gradients reach ``z``, but not the adversary's parameters."""
        found: Tensor = held_fixed(self, z)
        return found


def entropy(log_probabilities: Float[Tensor, "rows label most"]) -> Float[Tensor, " rows"]:
    """``H(q) = −Σ_y q(y) log q(y)``, summed over labels; the minus sign is missing in Klys et al., section 4.1."""
    return -(log_probabilities.exp() * log_probabilities).sum((-2, -1))
