"""Our Adam updates as torch's; neither it nor our DistributedDataParallel starts torch's compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.training.adam import Adam, AdamW

TWO_STEPS = """
import sys, torch
from pipeline.training.adam import AdamW
from pipeline.training.data_parallel import DistributedDataParallel
torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
model = torch.nn.Linear(3, 1)
ranks = DistributedDataParallel(model)
optimiser = AdamW(model.parameters(), fused=True)
for _ in range(2):
    optimiser.zero_grad()
    ranks(torch.ones(2, 3)).sum().backward()
    optimiser.step()
optimiser.load_state_dict(optimiser.state_dict())
print("torch._dynamo" in sys.modules, "pandas" in sys.modules)
print(torch._dynamo.utils.get_optimize_ddp_mode() == "ddp_optimizer", "torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize(("ours", "torchs"), [(Adam, torch.optim.Adam), (AdamW, torch.optim.AdamW)])
def test_updates_and_state_are_those_of_torch(ours: type[Adam], torchs: type[torch.optim.Adam]) -> None:
    weights, states = [], []
    for kind in (ours, torchs):
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 5))
        optimiser = kind([weight], lr=0.1, betas=(0.8, 0.9), weight_decay=0.1, fused=True)
        for _ in range(3):
            optimiser.zero_grad()
            (weight.sin() * torch.arange(5)).sum().backward()
            optimiser.step()
        assert weight.grad is not None
        assert not weight.grad.requires_grad
        weights.append(weight.detach())
        states.append(optimiser.state_dict())
    assert torch.equal(*weights)
    torch.testing.assert_close(states[0]["state"], states[1]["state"], rtol=0, atol=0)
    assert states[0]["param_groups"] == states[1]["param_groups"]


def test_the_compiler_is_not_imported() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TWO_STEPS],
        check=True,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    assert ended.stdout == "False False\nTrue True\n"
