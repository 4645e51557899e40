"""Densities and networks written out, slowly: what references of all systems are made of.

Nothing here comes from the code under test.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus


def log_normal(value: Tensor, mean: Tensor | float, scale: Tensor | float) -> Tensor:
    """``log N(value; mean, scale²)`` of each number."""
    scale = torch.as_tensor(scale)
    return -(((value - mean) / scale) ** 2) / 2 - torch.log(scale) - math.log(2 * math.pi) / 2


def network(weights: dict[str, Tensor], name: str, inputs: Tensor) -> Tensor:
    """Linear layers ``name.0``, ``name.2``, … with ReLU between them."""
    layers = sorted(
        {int(key[len(name) + 1 :].split(".")[0]) for key in weights if key.startswith(f"{name}.")}
    )
    for layer in layers:
        if layer != layers[0]:
            inputs = inputs * (inputs > 0)
        inputs = inputs @ weights[f"{name}.{layer}.weight"].T + weights[f"{name}.{layer}.bias"]
    return inputs


def gaussian(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of a network's outputs: the second half through softplus, at least 1e-3."""
    mean, raw = outputs.chunk(2, dim=-1)
    return mean, torch.clamp(softplus(raw), min=1e-3)


def log_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """``x log p + (1 − x) log(1 − p)`` over the pixels, with ``p = 1 / (1 + exp(−logit))``."""
    return -(x * softplus(-logits) + (1 - x) * softplus(logits)).sum(-1)
