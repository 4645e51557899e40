from __future__ import annotations

import pytest
import torch

from pipeline.training.progress import Objectives


@pytest.mark.parametrize("bad", [0, 2, 999, 1000, 2500])
def test_the_first_step_that_went_wrong_is_found_however_long_ago(bad: int):
    objectives = Objectives(row=1)
    for step in range(2600):
        terms = torch.full((3, 2), float("nan"))  # the other terms do not count
        terms[1, 0] = float("inf") if step in (bad, bad + 1) else 1.0
        objectives.keep(terms)
    assert objectives.finite_steps() == bad
    objectives.forget()
    assert objectives.finite_steps() == 0
    objectives.keep(torch.ones(3, 2))
    assert objectives.finite_steps() == 1
