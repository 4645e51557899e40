from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import LeaseLost
from pipeline.tracking.metric_log import (
    MetricLog,
    Point,
    decode,
    encode,
    metric_name,
    read_lines,
    read_points,
)

NAMES = st.text(min_size=1, max_size=20)


@given(st.dictionaries(NAMES, st.floats(), max_size=4), st.integers(0, 2**53), st.integers(0, 2**53))
def test_a_point_survives_its_line_whatever_its_values(
    metrics: dict[str, float], step: int, time_ms: int
) -> None:
    point = Point("train", step, time_ms, metrics)
    line = encode(point)
    json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    again = decode(line)
    assert again is not None
    assert (again.kind, again.step, again.time_ms) == (point.kind, point.step, point.time_ms)
    assert repr(again.metrics) == repr(point.metrics)  # NaN is not equal to itself, but prints the same


@given(st.binary(max_size=60))
def test_a_damaged_line_is_no_point(line: bytes) -> None:
    assert decode(line) is None


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_line_that_was_cut_short_is_removed_and_logged_again(tmp_path: Path, cut: int) -> None:
    log = MetricLog(tmp_path / "m.jsonl")
    for step in range(3):
        log.append("train", step, {"loss": 1.0 / (step + 1)})
    log.close()
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[:-cut])

    again = MetricLog(log.path)
    assert [point.step for point in read_points(log.path)] == [0, 1]
    assert again.append("train", 2, {"loss": 1 / 3})
    again.close()
    assert [(p.step, p.metrics["loss"]) for p in read_points(log.path)] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]


def test_a_last_line_longer_than_a_block_is_removed_too(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    good = encode(Point("epoch", 1, 0, {"a": 1.0}))
    path.write_bytes(good + b'{"kind": "' + b"x" * 10_000)
    MetricLog(path).close()
    assert path.read_bytes() == good


def test_repeated_steps_of_a_resumed_run_are_passed_over(tmp_path: Path) -> None:
    first = MetricLog(tmp_path / "m.jsonl")
    for step in range(10):
        first.append("train", step, {"loss": float(step), "elbo": 0.0})
    first.close()
    resumed = MetricLog(first.path)
    written = [resumed.append("train", step, {"loss": float(step), "elbo": 0.0}) for step in range(5, 15)]
    resumed.close()
    assert written == [False] * 5 + [True] * 5
    assert [point.step for point in read_points(first.path)] == list(range(15))


def test_a_new_metric_at_a_known_step_is_kept(tmp_path: Path) -> None:
    log = MetricLog(tmp_path / "m.jsonl")
    log.append("test", 100, {"accuracy": 0.9})
    assert log.append("test", 100, {"accuracy": 0.1, "fid": 20.0})
    assert log.append("epoch", 100, {"accuracy": 0.8})
    log.close()
    assert [(p.kind, p.metrics) for p in read_points(log.path)] == [
        ("test", {"accuracy": 0.9}),
        ("test", {"fid": 20.0}),
        ("epoch", {"accuracy": 0.8}),
    ]


def test_a_full_disk_leaves_only_complete_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = MetricLog(tmp_path / "m.jsonl")
    log.append("train", 0, {"loss": 1.0})
    before = log.path.read_bytes()
    real_write = os.write
    left = [7]

    def write(file: int, data: bytes) -> int:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= (count := min(len(data), left[0]))
        return real_write(file, data[:count])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space left") as full:
        log.append("train", 1, {"loss": 0.5})
    assert full.value.filename == str(log.path)
    monkeypatch.undo()
    assert log.path.read_bytes() == before
    assert log.append(
        "train", 1, {"loss": 0.5}
    )  # there is space again, and the step was not taken for logged
    log.close()


def test_one_whose_cell_was_taken_over_writes_nothing_more(tmp_path: Path) -> None:
    taken = [False]

    def guard() -> None:
        if taken[0]:
            raise LeaseLost("a newer copy has it")

    log = MetricLog(tmp_path / "m.jsonl", guard)
    log.append("train", 0, {"loss": 1.0})
    before = log.path.read_bytes()
    taken[0] = True
    with pytest.raises(LeaseLost):
        log.append("train", 1, {"loss": 0.5})
    log.close()
    assert log.path.read_bytes() == before


def test_last_step_is_of_its_kind(tmp_path: Path) -> None:
    log = MetricLog(tmp_path / "m.jsonl")
    assert log.last_step("system") is None
    log.append("system", 3, {"cpu": 1.0})
    log.append("train", 50, {"loss": 1.0})
    log.close()
    again = MetricLog(log.path)
    assert (again.last_step("system"), again.last_step("train")) == (3, 50)
    again.close()


def test_reading_from_a_place_leaves_an_unfinished_line(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    lines = [encode(Point("train", step, 0, {"a": 0.0, "b": 1.0})) for step in range(5)]
    path.write_bytes(b"".join(lines[:4]) + b"damaged\n" + lines[4][:-3])
    points, place = read_lines(path, 0, most_metrics=4)
    assert [p.step for p in points] == [0, 1]
    assert place == len(lines[0]) * 2
    points, place = read_lines(path, place, most_metrics=100)
    assert [p.step for p in points] == [2, 3]
    assert place == len(lines[0]) * 4 + len(b"damaged\n")
    assert read_lines(path, place, most_metrics=100) == ([], place)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("train", "elbo", "train/elbo"),
        ("test", "test/accuracy", "test/accuracy"),
        ("system", "cpu_utilization_percentage", "system/cpu_utilization_percentage"),
        ("epoch", "KL(q||p)", "epoch/KL_q__p_"),
    ],
)
def test_names_in_mlflow_start_with_their_kind(kind, name: str, expected: str) -> None:
    assert metric_name(kind, name) == expected


def test_infinite_values_are_strings_in_the_file() -> None:
    fields = json.loads(encode(Point("train", 0, 0, {"a": math.inf, "b": -math.inf, "c": math.nan})))
    assert fields["metrics"] == {"a": "Infinity", "b": "-Infinity", "c": "NaN"}
