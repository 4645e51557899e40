"""How far a compiled system is from the eager one: ``python -m tests.pipeline.training.compiled_distance cpu CASE ...``."""

from __future__ import annotations

import json
import sys

import torch
from torch import Tensor

from tests.pipeline.models.every_system import CASES, Case, batch_of, moved

OBJECTIVE = 1e-4
"""Largest distance of an objective in float32, relative to one plus it."""
GRADIENT = 1e-2
"""Largest distance of the gradient, relative to its norm."""


def computed(case: Case, device: torch.device, *, compiled: bool) -> tuple[Tensor, Tensor]:
    """Objective and gradient of one batch of each of two shapes, with the same random numbers."""
    model = case.build().to(device)
    if compiled:
        model.compile()
    objectives = []
    for labelled in (2, 3):
        torch.manual_seed(0)
        losses = model(moved(batch_of(case.shape, labelled), device))
        losses.total_objective.sum().backward()
        objectives.append(losses.total_objective.detach())
    gradient = torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])
    return torch.cat(objectives).double(), gradient.double()


def distances(case: Case, device: torch.device) -> tuple[float, float]:
    """Of the objective and of the gradient, relative."""
    (objective, gradient), (other, other_gradient) = (
        computed(case, device, compiled=compiled) for compiled in (False, True)
    )
    of_objective = ((other - objective).abs() / (1 + objective.abs())).max()
    return float(of_objective), float((other_gradient - gradient).norm() / gradient.norm())


def main() -> None:
    """Print a line of JSON: the distances of each named case."""
    device, *names = sys.argv[1:]
    torch.backends.cudnn.allow_tf32 = False
    # Else inductor draws random numbers of its own.
    with torch._inductor.config.patch(fallback_random=True):
        found = {str(case): distances(case, torch.device(device)) for case in CASES if str(case) in names}
    print(json.dumps(found))


if __name__ == "__main__":
    import torch._inductor.config

    main()
