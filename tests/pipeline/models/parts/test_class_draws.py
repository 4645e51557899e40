from __future__ import annotations

import pytest
import torch

from pipeline.models.parts.class_draws import ClassDistribution


@pytest.mark.parametrize("shape", [(7, 3), (50, 4, 2), (0, 5), (1, 1)])
def test_draws_are_those_of_torch_for_the_same_seed(shape: tuple[int, ...]) -> None:
    logits = torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 3
    torch.manual_seed(1)
    expected = torch.distributions.Categorical(logits=logits, validate_args=False)
    first, second = expected.sample(), expected.sample()
    torch.manual_seed(1)
    found = ClassDistribution(logits)
    assert torch.equal(found.sample(), first)
    assert torch.equal(found.sample(), second)
    assert torch.equal(found.probs, expected.probs)


def test_a_probability_that_is_not_a_number_draws_a_class_all_the_same() -> None:
    drawn = ClassDistribution(torch.full((4, 3), float("nan"))).sample()
    assert drawn.shape == (4,)
    assert ((drawn >= 0) & (drawn < 3)).all()
