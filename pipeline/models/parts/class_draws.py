"""Draws of classes that never make the host wait for the device."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor


class ClassDistribution:
    """``torch.distributions.Categorical`` without its checks: the same draws for the same seed.

    ``torch.multinomial`` reads its probabilities back to check them: a synchronisation with the device in some versions
    of torch, and in others an assertion that ends the process where an objective that is not finite could be reported.
    """

    def __init__(self, log_probabilities: Float[Tensor, "*rows category"]) -> None:
        """The probabilities need not be normalised."""
        logits = log_probabilities.detach()
        normalised = logits - logits.logsumexp(-1, keepdim=True)
        self.probs = normalised.softmax(-1)

    def sample(self) -> Int64[Tensor, "*rows"]:
        """A class for each row: the argmax of ``p / q`` with ``q ~ Exp(1)`` (the Gumbel trick), as in torch."""
        probs = self.probs.flatten(0, -2)
        return (probs / torch.empty_like(probs).exponential_()).argmax(-1).unflatten(0, self.probs.shape[:-1])
