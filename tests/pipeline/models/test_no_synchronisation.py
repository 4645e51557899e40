"""No system makes the host wait for the device in a forward or backward pass, as far as can be seen without a GPU.

On tensors without data (``meta``) reading a value fails, and so does a tensor that was made on another device. On the CPU,
torch tells where a number is copied from the host. ``tests/pipeline/training/test_gpu.py`` shows the rest on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.diva import DivaConfig
from pipeline.models.m2 import M2Config
from tests.pipeline.models.every_system import CASES, DATA, Case, batch_of, moved, ready

META = torch.device("meta")
READS_BACK = ("nonzero", "masked_select", "unique", "multinomial", "_local_scalar_dense", "bincount", "equal")
"""Operations that read a value or a number of elements from the device, some only to check their arguments."""


class Watch(TorchDispatchMode):
    """Collects operations that would wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).removeprefix("aten.")
        found = func(*args, **(kwargs or {}))
        tensors = [each for each in tree_leaves((args, kwargs, found)) if isinstance(each, Tensor)]
        indices = [each for each in tree_leaves(args[1:2]) if isinstance(each, Tensor)]
        if name.split(".")[0] in READS_BACK:
            self.waits.append(name)
        if name.startswith("lift_fresh"):
            self.waits.append(f"{name}: a tensor from a number of the host")
        if len({tensor.device.type for tensor in tensors}) > 1:
            self.waits.append(f"{name}: tensors of several devices")
        if name.startswith("index") and any(index.dtype in (torch.bool, torch.uint8) for index in indices):
            self.waits.append(f"{name}: rows chosen by a mask")
        return found


def waits(build: Callable[[], torch.nn.Module], data: Any, labelled: int) -> list[str]:
    """What waits in a step on ``meta`` and on the CPU; one_hot checks its classes on the CPU only."""
    found = []
    for device in (META, torch.device("cpu")):
        model, batch = build().to(device), moved(batch_of(data, labelled), device)
        with Watch() as watch:
            model(batch).total_objective.sum().backward()
        found += [each for each in watch.waits if device == META or not each.startswith("_local_scalar")]
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_system_waits_for_the_device(case: Case) -> None:
    assert not waits(case.build, case.shape, labelled=2)


@pytest.mark.parametrize(
    "config",
    [
        CCVAEConfig(label_marginal="jensen_sampled", predictive_samples=3),
        DivaConfig(label_marginal="jensen_sampled"),
        M2Config(label_estimator="score_function"),
        M2Config(label_estimator="straight_through"),
    ],
    ids=lambda config: f"{config.system}-sampled",
)
@pytest.mark.parametrize("data", ["digits", "mixed"])
def test_no_sampled_label_waits_for_the_device(config: Any, data: str) -> None:
    assert not waits(lambda: ready(config.build(DATA[data]), DATA[data]), DATA[data], 2)


def test_what_waits_is_noticed() -> None:
    values = torch.arange(4.0)
    with Watch() as watch:
        values[values > 1]
        values.new_tensor(3.0)
        values.sum().item()
        torch.multinomial(values, 1)
    assert len(watch.waits) >= 4
