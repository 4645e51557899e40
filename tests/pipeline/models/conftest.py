from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest
import torch

from pipeline.models.parts.class_draws import ClassDistribution
from tests.pipeline.models.injected_draws import InjectedDraws


@pytest.fixture
def float64() -> Iterator[None]:
    """Models, noise and pixels in float64, so that a wrong term cannot pass for rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def no_type_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside the tests, where the types of arguments are not checked at each call."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> InjectedDraws:
    """Decides what the next calls of ``torch.randn``, ``torch.randn_like`` and ``ClassDistribution.sample`` return."""
    injected = InjectedDraws()
    monkeypatch.setattr(torch, "randn", injected.randn)
    monkeypatch.setattr(torch, "randn_like", injected.randn_like)
    monkeypatch.setattr(ClassDistribution, "sample", injected.sample)
    return injected
