"""The adversary of CondVAE-info and CSVAE: it tries to read the labels in ``z``, so that the encoder learns to hide them."""

from __future__ import annotations

from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from torch.func import functional_call

from pipeline.models.label_codes import LabelCodes, log_probability_of
from pipeline.networks import mlp


class LabelAdversary(nn.Module):
    """``q_δ(y | z)``, factorised over labels: an MLP with two hidden layers, a player of its own."""

    def __init__(self, latents: int, width: int, codes: LabelCodes) -> None:
        super().__init__()
        self.codes = codes
        self.network = mlp([latents, width, width, codes.width])

    def forward(self, z: Float[Tensor, "rows latent"]) -> Float[Tensor, "rows label most"]:
        """``log q_δ(y_i | z)`` of every value of each label."""
        return self.codes.log_probabilities(self.network(z))

    def held_fixed(self, z: Float[Tensor, "rows latent"]) -> Float[Tensor, "rows label most"]:
        """The same for somebody else's objective: gradients reach ``z``, and none of the adversary's parameters."""
        fixed = {name: parameter.detach() for name, parameter in self.named_parameters()}
        return functional_call(self, fixed, (z,))


def entropy(log_probabilities: Float[Tensor, "rows label most"]) -> Float[Tensor, " rows"]:
    """``H(q) = −Σ_y q(y) log q(y)``, summed over labels; the minus sign is missing in Klys et al., section 4.1."""
    return -(log_probabilities.exp() * log_probabilities).sum((-2, -1))


def log_likelihood_of(
    log_probabilities: Float[Tensor, "rows label most"],
    labels: UInt8[Tensor, "rows label"],
    observed: Bool[Tensor, "rows label"],
) -> Float[Tensor, " rows"]:
    """``log q(y_O)``, summed over the observed labels of each row; the log is missing in their ``N``."""
    each = log_probability_of(log_probabilities, labels.masked_fill(~observed, 0))
    return each.masked_fill(~observed, 0).sum(-1)
