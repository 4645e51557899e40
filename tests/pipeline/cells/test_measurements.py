"""Results in a cell's folder: complete or absent, read back as written, with failures until a result follows."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.cells.measurements import (
    ARRAYS_FILE,
    RESULT_FILE,
    Failure,
    MeasurementKey,
    Number,
    Result,
    failures,
    results,
)

KEY = MeasurementKey(measure="likelihood", version=1, split="test")


def number(value: float) -> Number:
    return Number(value=value, unit="nats", better="higher", count=3)


@pytest.mark.parametrize("value", [-9.5, math.inf, -math.inf, math.nan])
def test_a_result_is_read_back_as_it_was_written(tmp_path: Path, value: float) -> None:
    written = Result(key=replace(KEY, settings={"samples": 64}), numbers={"elbo": number(value)}, seconds=2.5)
    folder = written.write(tmp_path, {"latents": np.arange(6.0).reshape(2, 3)})
    (read,) = results(tmp_path)
    assert repr(read) == repr(written)
    with np.load(folder / ARRAYS_FILE, allow_pickle=False) as arrays:
        assert arrays["latents"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"split": "valid"},
        {"seed": 1},
        {"settings": {"samples": 64}},
        {"rests_on": {"classifier": "abcd"}},
        {"measure": "classification"},
    ],
)
def test_all_that_decides_a_number_decides_its_folder(tmp_path: Path, change: dict) -> None:
    Result(key=KEY).write(tmp_path)
    assert KEY.is_settled(tmp_path)
    other = replace(KEY, **change)
    assert other.folder(tmp_path) != KEY.folder(tmp_path)
    assert not other.is_settled(tmp_path)


def test_a_failure_stands_until_a_result_follows_and_costs_only_itself(tmp_path: Path) -> None:
    other = replace(KEY, measure="classification")
    Result(key=other).write(tmp_path)
    Failure(key=KEY, reason="out of memory").write(tmp_path)
    assert not KEY.is_settled(tmp_path)
    assert [failure.reason for failure in failures(tmp_path)] == ["out of memory"]
    Result(key=KEY, status="not_applicable", reason="no labels").write(tmp_path)
    assert KEY.is_settled(tmp_path)
    assert failures(tmp_path) == []
    assert len(results(tmp_path)) == 2


def test_arrays_without_a_result_that_can_be_read_do_not_count(tmp_path: Path) -> None:
    folder = Result(key=KEY).write(tmp_path, {"a": np.ones(1)})
    (folder / RESULT_FILE).write_bytes((folder / RESULT_FILE).read_bytes()[:50])
    assert not KEY.is_settled(tmp_path)
    assert results(tmp_path) == []
    (folder / RESULT_FILE).unlink()
    assert not KEY.is_settled(tmp_path)
    assert results(tmp_path) == []


def test_arrays_are_never_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pickle"):
        Result(key=KEY).write(tmp_path, {"a": np.array([object()])})
    assert not KEY.is_settled(tmp_path)
