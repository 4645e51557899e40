from __future__ import annotations

import pytest
import torch

from jobs.unit import limit_threads


@pytest.mark.parametrize(
    ("said", "threads"), [("3", 3), ("4,2", 4), ("", 5), ("0", 1)], ids=["one", "nested", "empty", "none"]
)
def test_a_rank_takes_the_threads_that_it_is_given(
    said: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "5")
    limit_threads()
    assert taken == [threads]
