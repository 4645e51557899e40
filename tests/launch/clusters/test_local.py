from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from data_prep.errors import Interrupted, LaunchError
from jobs.outcome import OUTCOME_FILE, attempts
from jobs.trial import Trial, Trials
from launch.clusters import capacity, local
from launch.clusters.backend import State
from launch.clusters.in_process import InProcessBackend
from launch.clusters.local import LocalBackend
from launch.clusters.packing import without_auto
from launch.clusters.resources import Resources
from launch.clusters.this_machine import gpus_here
from pipeline.cell import Cell
from pipeline.cells.folder import CANCELLED
from pipeline.config import RunConfig
from pipeline.training.interruption import stop_requests
from pipeline.training.settings import TrainingConfig
from tests.launch.clusters import local_units
from tests.waiting import wait_for


def make_cells(sweep: Path, *ranks: int, device: str = "auto") -> list[Cell]:
    configs = [
        RunConfig(training=TrainingConfig(ranks=count, device=device), seed=seed)  # type: ignore[arg-type]
        for seed, count in enumerate(ranks)
    ]
    cells = [Cell.named(sweep, config, "digest") for config in configs]
    for cell in cells:
        cell.write()
    return cells


def backend_of(sweep: Path, **asked: int) -> LocalBackend:
    return LocalBackend(sweep, Resources(**asked))  # type: ignore[arg-type]


def run_to_the_end(backend: LocalBackend, cells: list[Cell]) -> dict[str, State]:
    backend.submit(cells)
    wait_for(lambda: {state.phase for state in backend.states().values()} <= {"done", "failed"}, 240)
    return backend.states()


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs, selected by the user."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5ad")


def seen(cell: Cell, rank: int = 0) -> str:
    return (cell.folder / f"gpus-{rank}").read_text()


def test_gpus_of_this_machine_have_their_names(monkeypatch: pytest.MonkeyPatch, two_gpus: None) -> None:
    assert gpus_here() == ["3", "GPU-5ad"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpus_here() == ["0", "1"]


def test_cells_side_by_side_have_gpus_of_their_own(
    two_gpus: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "run_unit", local_units.say_which_gpus)
    cells = make_cells(tmp_path, 1, 1)
    assert {s.phase for s in run_to_the_end(backend_of(tmp_path), cells).values()} == {"done"}
    assert sorted(map(seen, cells)) == ["3", "GPU-5ad"]


def test_no_gpus_are_used_where_none_are_wanted(
    two_gpus: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "run_unit", local_units.say_which_gpus)
    (cell,) = make_cells(tmp_path, 2)
    run_to_the_end(backend_of(tmp_path, gpus_per_node=0), [cell])
    assert [seen(cell, rank) for rank in (0, 1)] == ["", ""]


def test_ranks_that_would_share_a_gpu_fall_back_to_the_cpu_with_a_warning(
    two_gpus: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backend, (small, large) = backend_of(tmp_path), make_cells(tmp_path, 2, 3)
    assert backend.capacity.takes_gpus(2, on_gpus=True)
    assert not backend.capacity.takes_gpus(3, on_gpus=True)
    backend.check([small, large], [], "", thorough=True)
    said = "runs of 3 ranks fall back to the CPU, since there are 2 GPUs: --ranks 2 would use GPUs\n"
    assert capsys.readouterr().out == said
    on_processors = make_cells(tmp_path, 3, device="cpu")
    backend.check([small, *on_processors], [], "", thorough=True)
    assert capsys.readouterr().out == ""
    (needs_gpus,) = make_cells(tmp_path, 3, device="cuda")
    with pytest.raises(LaunchError, match=r"needs a GPU for each of its ranks \(3\), but there are 2 GPUs"):
        backend.check([needs_gpus], [], "", thorough=True)
    with pytest.raises(LaunchError, match=r"3 GPUs were requested .*, but this machine has 2"):
        backend_of(tmp_path, gpus_per_node=3).check([small], [], "", thorough=True)


def test_a_dry_run_says_where_ranks_run(two_gpus: None, tmp_path: Path) -> None:
    cells = make_cells(tmp_path, 1, 3)
    described = backend_of(tmp_path, max_parallel=4).describe(cells, [])
    assert "on this machine, a rank on each of 2 GPUs and " in described
    assert described.endswith(" CPUs, at most 4 cells at once")
    assert "GPU" not in backend_of(tmp_path, gpus_per_node=0).describe(cells, [])


def test_attempts_that_end_before_taking_the_lease_are_not_taken_for_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "run_unit", local_units.die_at_once)
    (cell,) = make_cells(tmp_path, 1)
    earlier = {"job": "", "restart": 0, "unit": "train", "outcome": "interrupted", "step": None}
    (cell.folder / OUTCOME_FILE).write_text(json.dumps(earlier | {"sentence": "stopped"}))
    states = run_to_the_end(backend_of(tmp_path, retries=1), [cell])
    assert states[cell.name].phase == "failed"
    assert "given up after 2 attempts" in states[cell.name].detail
    assert [attempt["ended"] for attempt in attempts(cell)] == ["crashed"] * 2


def test_a_cancelled_cell_is_neither_restarted_nor_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "run_unit", local_units.be_cancelled)
    running, waiting = cells = make_cells(tmp_path, 1, 1)
    running.note_attempt({"ended": CANCELLED, "jobs": []})
    backend = backend_of(tmp_path, max_parallel=1)
    backend.submit(cells)
    backend.states()
    waiting.note_attempt({"ended": CANCELLED, "jobs": []})
    wait_for(lambda: {state.phase for state in backend.states().values()} == {"stopped"}, 240)
    assert backend.states()[running.name].detail == "cancelled"
    assert not (waiting.folder / "started").exists()
    assert (running.folder / "started").exists()  # cancelled in an earlier launch, too


@pytest.mark.parametrize("last_look_is_over", [False, True])
def test_ctrl_c_while_measuring_in_this_process_stops_all_cells_and_is_not_an_error(
    last_look_is_over: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def interrupted(config_file: Path, take: object, split: object) -> None:
        measured.append(config_file)
        with stop_requests():
            signal.raise_signal(signal.SIGINT)
        if not last_look_is_over:
            raise Interrupted("asked to stop while measuring")

    monkeypatch.setattr("jobs.train.train_cell", lambda config_file, **_: None)
    monkeypatch.setattr("jobs.evaluate.evaluate_cell", interrupted)
    backend = InProcessBackend(Resources())
    backend.submit(make_cells(tmp_path, 2))
    with pytest.raises(KeyboardInterrupt):
        backend.states()
    assert len(measured) == 1


@pytest.mark.usefixtures("two_gpus")
def test_so_many_cells_share_each_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "run_unit", local_units.say_which_gpus)
    cells = make_cells(tmp_path, *[1] * 5)
    backend = backend_of(tmp_path, cells_per_gpu=2)
    backend.submit(cells)
    backend.states()
    assert Counter(gpu for entry in backend._running for gpu in entry.gpus) == {"3": 2, "GPU-5ad": 2}
    wait_for(lambda: {state.phase for state in backend.states().values()} == {"done"}, 240)
    assert {(cell.folder / "shared").read_text() for cell in cells} == {"2 1"}


def test_without_gpus_so_many_cells_share_the_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "run_unit", local_units.say_which_gpus)
    monkeypatch.setattr(capacity, "processors", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cells = make_cells(tmp_path, *[1] * 3)
    backend = backend_of(tmp_path, cells_per_gpu=2)
    backend.submit(cells)
    backend.states()
    assert len(backend._running) == 2
    wait_for(lambda: {state.phase for state in backend.states().values()} == {"done"}, 240)
    assert {(cell.folder / "shared").read_text() for cell in cells} == {"2 4"}


def test_a_number_that_was_found_is_kept_for_the_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Sequence[int]] = []

    def trials(counts: Sequence[int]) -> Trials:
        asked.append(counts)
        return Trials(chosen=4, tried=[Trial(cells=4, images_per_second=1e3)], mps="no GPU")

    auto = Resources(cells_per_gpu="auto")
    for place in ("a GPU of here", "a GPU of here", "a GPU of elsewhere"):
        assert without_auto(tmp_path, auto, place, trials, 6).cells_per_gpu == 4
    assert asked == [[1, 2, 4], [1, 2, 4]]
    assert "cells_per_gpu auto: 4 cells at once; images/s of all" in capsys.readouterr().out
    assert without_auto(tmp_path, auto, "nowhere", lambda counts: None, 6).cells_per_gpu == 1
    assert without_auto(tmp_path, Resources(), "nowhere", trials, 6) == Resources()
