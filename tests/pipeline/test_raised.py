"""Exceptions that are not ours: their words, and whether another attempt may end differently."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest
import torch
from torch import nn

from data_prep.errors import ConfigError
from pipeline.raised import in_one_sentence, may_pass

DRIVER = """CUDA error: {}
Search for `cudaErrorX' in https://docs.nvidia.com for more information.
CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be incorrect.
For debugging consider passing CUDA_LAUNCH_BLOCKING=1
Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.
"""
OTHER_SIZES = {"weight": torch.zeros(3, 3), "bias": torch.zeros(4)}


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def it() -> NoReturn:
        raise error

    return it


def raised(by: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        by()
    return caught.value


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (lambda: dict[str, int]()["label"], "KeyError: 'label' (pipeline/test_raised.py:"),
        (lambda: int("seven"), "ValueError: invalid literal"),
        (lambda: [].no_such, "AttributeError: 'list' object has no attribute 'no_such' ("),  # type: ignore[attr-defined]
        (lambda: nn.Linear(3, 4)(torch.zeros(2, 5)),
         "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x5 and 3x4) (pipeline/test_raised.py:"),
        (lambda: nn.Linear(3, 4).load_state_dict(OTHER_SIZES), "RuntimeError: size mismatch for weight: copying a param"),
        (lambda: nn.Conv2d(3, 4, 3)(torch.zeros(1, 1, 8, 8)), "RuntimeError: Given groups=1, weight of size [4, 3, 3, 3]"),
        (lambda: torch.zeros(3) + torch.zeros(4), "RuntimeError: The size of tensor a (3) must match"),
        (lambda: torch.zeros(3).view(2, 2), "RuntimeError: shape '[2, 2]' is invalid"),
        (lambda: torch.bmm(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4)), "RuntimeError: Expected size for first two"),
        (lambda: torch.zeros(3).gather(0, torch.tensor([7])), "RuntimeError: index 7 is out of bounds"),
        (lambda: nn.Linear(3, 4)(torch.zeros(2, 3).half()), "RuntimeError: mat1 and mat2 must have the same dtype"),
        (lambda: torch.zeros(3).sum().backward(), "RuntimeError: element 0 of tensors does not require grad"),
        (raising(torch.AcceleratorError(DRIVER.format("device-side assert triggered"))),
         "AcceleratorError: CUDA error: device-side assert triggered (pipeline/test_raised.py:"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_would_be_made_again(by, words: str) -> None:
    error = raised(by)
    assert in_one_sentence(error).startswith(words)
    assert not may_pass(error)


def test_a_gpu_without_memory_is_told_with_what_to_do() -> None:
    error = raised(raising(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")))
    assert not may_pass(error)
    sentence = in_one_sentence(error)
    assert sentence.startswith("OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. (")
    assert "batch_size" in sentence
    assert "cells_per_gpu" in sentence


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(116, "Stale file handle", "/x/step.pt"), "OSError: [Errno 116] Stale file handle: '/x/step.pt' ("),
        (ConnectionResetError(104, "Connection reset by peer"), "ConnectionResetError: [Errno 104]"),
        (torch.AcceleratorError(DRIVER.format("uncorrectable ECC error encountered")),
         "AcceleratorError: CUDA error: uncorrectable ECC error encountered (pipeline/test_raised.py:"),
        (RuntimeError("NCCL error in: ../x.cpp:1691\nLast error:\nsocketStartConnect: Connect to 10.0.0.1 failed"),
         "RuntimeError: socketStartConnect: Connect to 10.0.0.1 failed ("),
        (RuntimeError("nobody has seen this before"), "RuntimeError: nobody has seen this before ("),
        (MemoryError(), "MemoryError ("),
    ],
)  # fmt: skip
def test_what_a_disk_a_connection_or_a_driver_reports_may_pass(error, words: str) -> None:
    assert in_one_sentence(raised(raising(error))).startswith(words)
    assert may_pass(error)


def test_a_user_error_keeps_its_own_sentence() -> None:
    assert in_one_sentence(ConfigError("epochs is 0")) == "epochs is 0"
