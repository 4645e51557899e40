"""How many cells share a GPU: the rule, and a trial with real processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from data_prep.errors import RunError
from jobs import trial
from jobs.trial import Trial, Trials, choose, run_trial
from tests.pipeline.runs import small_cell, small_run


def tried(**speeds: float | None) -> list[Trial]:
    return [
        Trial(cells=int(name.removeprefix("of_")), images_per_second=speed, why="" if speed else "no memory")
        for name, speed in speeds.items()
    ]


def test_the_smallest_number_that_is_nearly_as_fast_as_the_fastest_is_kept():
    assert choose(tried(of_1=100.0, of_2=190.0, of_4=200.0, of_8=198.0)) == 2
    assert choose(tried(of_1=100.0, of_2=150.0, of_4=None)) == 2
    assert choose(tried(of_1=100.0, of_2=104.0)) == 1
    with pytest.raises(RunError, match="a cell alone makes no step: no memory"):
        choose(tried(of_1=None))


def test_what_was_found_is_read_again(tmp_path: Path):
    found = Trials(chosen=2, tried=tried(of_1=1000.0, of_2=1900.0, of_4=None), mps="no GPU")
    found.write(tmp_path / "trials.json")
    assert Trials.read(tmp_path / "trials.json") == found
    assert str(found).endswith("by number of cells: 1: 1,000, 2: 1,900, 4: failed (no memory); no GPU")
    (tmp_path / "trials.json").write_text("{}")
    assert Trials.read(tmp_path / "trials.json") is None


@pytest.mark.slow(25)
def test_cells_are_tried_side_by_side_without_a_trace_and_one_that_fails_ends_it(
    tiny_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(trial, "STEPS", 7)
    good = small_cell(tmp_path, small_run(tiny_data_set))
    lost = replace(small_run(tiny_data_set), seed=1)
    lost = replace(lost, data=replace(lost.data, folder=str(tmp_path / "nowhere")))
    cells = [good, small_cell(tmp_path, small_run(tiny_data_set, system="m2"))]
    with monkeypatch.context() as patched:
        patched.setattr("tests.pipeline.runs.Manifest.load", lambda folder: _Digest())
        cells.append(small_cell(tmp_path, lost))
    result = tmp_path / "trials.json"
    run_trial([cell.config_file for cell in cells], result, (1, 2, 3, 4))
    found = Trials.read(result)
    assert found is not None
    assert [one.cells for one in found.tried] == [1, 2, 3]
    assert all(one.images_per_second for one in found.tried[:2])
    assert "nowhere" in found.tried[2].why
    assert found.chosen in (1, 2)
    for cell in cells:
        assert [path.name for path in cell.folder.iterdir()] == ["config.json"]


class _Digest:
    digest = "0123456789abcdef"
