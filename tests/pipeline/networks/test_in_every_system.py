"""Every system trains with every family of networks, and one of the user's own is no exception."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.models.every_system import CASES, batch_of, narrow
from tests.pipeline.networks.own_networks import write_small

ONE_OF_EACH = {case.preset: case for case in CASES if case.data in ("digits", "mixed")}
WITH_NETWORKS = [case for case in ONE_OF_EACH.values() if hasattr(narrow(case.preset), "network")]


@pytest.mark.parametrize("case", WITH_NETWORKS, ids=str)
def test_a_step_reaches_every_parameter(case, tmp_path: Path) -> None:
    for network in ("convolutional", "pixel_norm", write_small(tmp_path)):
        model = case.build(network=network)
        losses = model(batch_of(case.shape, labelled=2))
        assert losses.objective.isfinite().all()
        losses.total_objective.sum().backward()
        names = [name for name, parameter in model.named_parameters() if parameter.grad is None]
        assert not names
        assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters())
