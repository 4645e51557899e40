"""Steps that are captured once and replayed, with a recorder for the CPU that repeats operations in the same memory.

``test_gpu.py`` shows the same with CUDA graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.models.ccvae import CCVAEConfig
from pipeline.training import step as steps
from pipeline.training.graphs import MOST_SHAPES, CapturedSteps, uses_graphs
from pipeline.training.loop import train
from pipeline.training.settings import OptimiserConfig, TrainingConfig
from pipeline.world import World
from tests.pipeline.models.every_system import DATA, batch_of
from tests.pipeline.runs import assert_bitwise_equal, final_parameters, small_run
from tests.pipeline.training import tape
from tests.pipeline.training.test_resume import Killed, Recorder, die

CPU = torch.device("cpu")
ALONE = World(rank=0, size=1, device=CPU)


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Captures on the CPU, one entry for each."""
    made: list[None] = []

    def record(*works: Any) -> Any:
        made.append(None)
        return tape.record(*works)

    monkeypatch.setattr(steps, "uses_graphs", lambda training, world: training.cuda_graphs)
    monkeypatch.setattr(steps, "recorder", lambda: record)
    return made


def both(config: RunConfig, folder: Path, resumed_at: int | None = None) -> tuple[Recorder, Recorder]:
    """Trained without and with graphs, the latter perhaps killed at a step and resumed."""
    data, found = DataSet(Path(config.data.folder)), (Recorder(), Recorder())
    train(config, folder / "without", data, ALONE, found[0])
    config = replace(config, training=replace(config.training, cuda_graphs=True))
    if resumed_at is not None:
        with pytest.raises(Killed):
            train(config, folder / "with", data, ALONE, Recorder(resumed_at, die))
    train(config, folder / "with", data, ALONE, found[1])
    return found


@pytest.mark.parametrize("system", ["ccvae", "m2", "csvae"])
def test_a_captured_run_is_the_run_without(
    tiny_data_set: Path, tmp_path: Path, captures: list[None], system: str
) -> None:
    config = small_run(tiny_data_set, system=system, epochs=2)
    without, with_graphs = both(config, tmp_path)
    assert_bitwise_equal(final_parameters(tmp_path / "without"), final_parameters(tmp_path / "with"))
    assert without.points == with_graphs.points
    assert 1 <= len(captures) < MOST_SHAPES


def test_a_captured_run_resumes_bit_for_bit(
    tiny_data_set: Path, tmp_path: Path, captures: list[None]
) -> None:
    config = small_run(tiny_data_set, epochs=3, checkpoint_every_minutes=1e-9)
    both(config, tmp_path, resumed_at=20)
    assert_bitwise_equal(final_parameters(tmp_path / "without"), final_parameters(tmp_path / "with"))


def test_another_learning_rate_is_captured_anew(
    tiny_data_set: Path, tmp_path: Path, captures: list[None]
) -> None:
    config = small_run(tiny_data_set, epochs=2)
    both(replace(config, optimiser=OptimiserConfig(milestones=(1,))), tmp_path)
    assert_bitwise_equal(final_parameters(tmp_path / "without"), final_parameters(tmp_path / "with"))
    anew = len(captures)
    captures.clear()
    both(config, tmp_path / "constant")
    assert anew == 2 * len(captures)


def test_a_supervision_schedule_and_a_term_that_begins_later_are_captured_anew(
    tiny_data_set: Path, tmp_path: Path, captures: list[None]
) -> None:
    config = small_run(tiny_data_set, epochs=2)
    data = replace(config.data, supervision_schedule=((1, 0.1),))
    assert isinstance(config.model, CCVAEConfig)
    model = replace(config.model, consistency_weight=1.0, consistency_after_steps=17)
    both(replace(config, data=data, model=model), tmp_path)
    assert_bitwise_equal(final_parameters(tmp_path / "without"), final_parameters(tmp_path / "with"))


def test_recordings_do_not_grow_without_bound() -> None:
    made: list[int] = []

    def record(rehearse: Callable[[], None], work: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        made.append(1)
        return work

    captured = CapturedSteps(lambda batch, size: batch.labels.sum(), lambda batch, size: None, record)
    for rows in [*range(1, MOST_SHAPES + 2), MOST_SHAPES + 1, 1]:
        batch = batch_of(DATA["digits"], 0, rows)
        assert captured.of(batch, rows)(batch) == batch.labels.sum()
    assert len(made) == MOST_SHAPES + 2, "the first was dropped, the last was not"


@pytest.mark.parametrize(
    ("device", "size", "said"), [("cpu", 1, "no effect on a CPU"), ("cuda", 2, "no effect with 2 ranks")]
)
def test_asked_for_in_vain_it_says_why(
    caplog: pytest.LogCaptureFixture, device: str, size: int, said: str
) -> None:
    world = World(rank=0, size=size, device=torch.device(device))
    assert not uses_graphs(TrainingConfig(cuda_graphs=True, batch_size=8, ranks=size), world)
    assert said in caplog.text
    assert not uses_graphs(TrainingConfig(), world)
    assert uses_graphs(TrainingConfig(cuda_graphs=True), World(rank=0, size=1, device=torch.device("cuda")))
