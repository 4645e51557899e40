"""The random numbers of a measure depend on the cell and the measure only, not on other measures."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_of(identity: str, *parts: str | int) -> int:
    """A 63-bit seed for one part of measuring the cell with this identity."""
    text = "/".join((identity, *map(str, parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seed_everything(seed: int) -> None:
    """Seed torch (on all devices), NumPy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - what libraries draw from
    random.seed(seed)


@contextmanager
def own_random_numbers() -> Iterator[None]:
    """Restore the generators of torch, NumPy and Python after the block."""
    ours, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
    gpus = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(gpus):
        try:
            yield
        finally:
            random.setstate(ours)
            np.random.set_state(numpys)  # noqa: NPY002
