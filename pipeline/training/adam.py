"""Torch's Adam and AdamW, started without torch's compiler.

Torch marks the methods of its optimisers as not to be compiled, and imports its compiler for that mark: about 1.5 CPU
seconds and 75 MB of each rank, also where nothing is compiled. Nothing here compiles an optimiser's step.
"""

from __future__ import annotations

from inspect import unwrap

import torch
from torch.optim import Optimizer


class Adam(torch.optim.Adam):
    """Adam with unmarked methods."""

    step = torch.no_grad()(unwrap(torch.optim.Adam.step))
    add_param_group = unwrap(Optimizer.add_param_group)
    zero_grad = unwrap(Optimizer.zero_grad)
    state_dict = unwrap(Optimizer.state_dict)
    load_state_dict = unwrap(Optimizer.load_state_dict)


class AdamW(Adam, torch.optim.AdamW):
    """The same with a weight decay apart from the gradient."""
