"""Torch's DistributedDataParallel, started without torch's compiler; for models that are not compiled.

It asks the compiler how it would divide a compiled model, and marks its forward pass as not to be compiled, and for either
imports the compiler: a second of CPU time and 75 MB of each rank.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn


class DistributedDataParallel(nn.parallel.DistributedDataParallel):
    """The same for a module that is not compiled."""

    def __init__(self, module: nn.Module, **options: Any) -> None:
        with _compiler_is_not_used():
            super().__init__(module, **options)

    def _run_ddp_forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


@contextmanager
def _compiler_is_not_used() -> Iterator[None]:
    """Answer for the compiler what it would by default, unless it is imported anyway."""
    if "torch._dynamo" in sys.modules:
        yield
        return
    answers = SimpleNamespace(get_optimize_ddp_mode=lambda: "ddp_optimizer")
    vars(torch)["_dynamo"] = SimpleNamespace(utils=answers, config=answers)
    try:
        yield
    finally:
        vars(torch).pop("_dynamo", None)
