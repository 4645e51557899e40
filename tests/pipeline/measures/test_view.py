"""One pass over the images answers all measures, and random numbers of an answer are its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from data_prep.errors import Interrupted
from pipeline.measures import examples as reading
from pipeline.measures.needs import Answer
from pipeline.measures.randomness import seed_everything
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import DECODED, AllAble

ALL: tuple[Answer, ...] = ("label_log_probabilities", "label_latents", "reconstructions", "bounds")


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of each row that is read."""
    read: list[int] = []
    rows = reading.MeasuredSplit.rows

    def reads(self: Any, start: int, end: int) -> Tensor:
        read.extend(range(start, end))
        return rows(self, start, end)

    monkeypatch.setattr(reading.MeasuredSplit, "rows", reads)
    return read


def test_all_outputs_that_measures_need_come_from_one_pass(examples, passes) -> None:
    view = ModelView(AllAble(), examples, "cell", ALL)
    assert not passes
    assert view.bounds.shape == (41,)
    assert [part.shape for part in view.label_log_probabilities] == [(41, 2)] * 3 + [(41, 5)]
    assert view.label_latents.shape == (41, 8)
    assert view.reconstructions.shape == (41, 3, 64, 64)
    assert view.reconstructions.dtype == torch.float16
    torch.testing.assert_close(
        view.reconstructions[-1].float(), torch.full((3, 64, 64), DECODED), atol=1e-3, rtol=0
    )
    assert passes == list(range(41))


def test_what_nobody_announced_is_computed_when_it_is_asked_for(examples, passes) -> None:
    view = ModelView(AllAble(), examples, "cell")
    assert (view.bounds == view.bounds).all()
    assert view.label_latents.shape == (41, 8)
    assert len(passes) == 2 * 41


def test_the_numbers_of_an_answer_do_not_depend_on_what_else_is_wanted(examples) -> None:
    alone = ModelView(AllAble(), examples, "cell")
    together = ModelView(AllAble(), examples, "cell", ALL)
    assert torch.equal(alone.bounds, together.bounds)
    for one, other in zip(alone.label_log_probabilities, together.label_log_probabilities, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(alone.bounds, ModelView(AllAble(), examples, "another cell").bounds)


def test_each_batch_has_random_numbers_of_its_own(examples) -> None:
    class Noise(AllAble):
        def log_likelihood_bound(self, batch: Any) -> Tensor:
            return torch.randn(len(batch))

    assert len(ModelView(Noise(), examples, "cell").bounds.unique()) == 41


def test_a_pass_leaves_the_random_numbers_of_its_caller_as_they_were(examples) -> None:
    seed_everything(3)
    expected = torch.rand(2), _draw_of_numpy()
    seed_everything(3)
    _ = ModelView(AllAble(), examples, "cell", ALL).bounds
    found = torch.rand(2), _draw_of_numpy()
    assert torch.equal(found[0], expected[0])
    assert found[1] == expected[1]


def _draw_of_numpy() -> float:
    return float(np.random.rand())  # noqa: NPY002 - the generator that libraries draw from


def test_an_output_that_raises_affects_only_measures_that_need_it(examples) -> None:
    class Broken(AllAble):
        def reconstruct(self, image: Tensor, labels: Any = None) -> Tensor:
            raise RuntimeError("no decoder")

    view = ModelView(Broken(), examples, "cell", ALL)
    assert view.bounds.isfinite().all()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no decoder"):
            _ = view.reconstructions
    assert torch.equal(view.bounds, ModelView(AllAble(), examples, "cell").bounds)


def test_a_wish_to_stop_is_no_answer_that_failed(examples) -> None:
    class Stopped(AllAble):
        def log_likelihood_bound(self, batch: Any) -> Tensor:
            raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        _ = ModelView(Stopped(), examples, "cell").bounds


def test_every_batch_is_a_sign_of_life(examples) -> None:
    from dataclasses import replace

    signs: list[None] = []
    watched = replace(examples, heartbeat=lambda: signs.append(None))
    _ = ModelView(AllAble(), watched, "cell").bounds
    assert len(signs) == 3
