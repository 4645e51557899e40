"""``python -m tests.benchmarks gpu``: what it does without a GPU, and every part on a CPU at a tiny size."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import torch

from tests.benchmarks import gpu, gpu_parts
from tests.benchmarks.gpu import OnGPU, Results, lines_of, measure, part
from tests.benchmarks.gpu_report import show


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_fails_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu.main(["--out", str(tmp_path / "gpu.json")])
    assert capsys.readouterr().out == "torch finds no GPU here, so nothing was run or measured.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow(30)
def test_every_part_runs_and_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_this_process(arguments: list[str], seconds: float) -> tuple[str, None]:
        said = io.StringIO()
        with redirect_stdout(said):
            gpu_parts.main(arguments[3:])
        return said.getvalue(), None

    monkeypatch.setattr(gpu, "run", in_this_process)  # packed processes are started all the same
    monkeypatch.setattr(gpu, "VARIANTS", ["channels-last"])
    asked = OnGPU(
        out=tmp_path / "gpu.json", device="cpu", skip=("tests", "compiled"), aim="vae", packing=(2,),
        systems=("m3", "revae-one-per-class"), rows=32, batch_size=16, seconds=0.1, minutes=5,
    )  # fmt: skip
    results = measure(asked)
    assert results is not None
    show(json.loads(asked.out.read_text()))
    said = capsys.readouterr().out
    for text in (
        "100 epochs", "vae, channels-last", "m3, eager", "device busy", "needs a data set", "Processes at once",
    ):  # fmt: skip
        assert text in said, text
    packed = results.found["packed"]
    assert [line["processes"] for line in packed] == [len(line["each"]) for line in packed] == [2]
    assert not any(line["failures"] for line in packed)


def failing(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Parts that do this with the systems that they are given."""
    given = f"import json, sys, time\nsystems = sys.argv[sys.argv.index('--systems') + 1:]\n{code}"
    monkeypatch.setattr(gpu, "command", lambda name: [sys.executable, "-c", given])


def test_a_system_that_crashes_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(
        monkeypatch,
        "for s in systems[:systems.index('--variants')]:\n"
        "    if s == 'b': sys.exit('CUDA error: it broke')\n"
        "    for v in ('x', 'y'): print(json.dumps(dict(part='speed', system=s, variant=v)), flush=True)",
    )
    results = Results(OnGPU(out=tmp_path / "gpu.json"))
    part(results, "speed", ["a", "b", "c"], ["x", "y"], limit=60)
    found = json.loads((tmp_path / "gpu.json").read_text())["speed x"]
    assert [(line["system"], line["variant"]) for line in found] == [
        ("a", "x"), ("a", "y"), ("b", ""), ("c", "x"), ("c", "y"),
    ]  # fmt: skip
    assert "it broke" in found[2]["failed"]


def test_what_was_measured_before_the_time_was_over_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = json.dumps({"part": "epochs", "system": "a", "variant": "x"})
    failing(monkeypatch, f"print({line!r}, flush=True)\ntime.sleep(600)")
    results = Results(OnGPU(out=tmp_path / "gpu.json"))
    part(results, "epochs", ["a"], ["x", "y"], limit=3)
    assert [line.get("failed") for line in results.found["epochs"]] == [None, "not done in time"]


def test_parts_for_which_no_time_is_left_are_named(tmp_path: Path) -> None:
    results = measure(OnGPU(out=tmp_path / "gpu.json", device="cpu", minutes=0))
    assert results is not None
    assert results.found["not begun"][:2] == ["tests", "epochs"]


def test_a_line_that_was_cut_is_left_out() -> None:
    assert lines_of('text\n{"part": "speed", "system": "a"}\n{"part": "spe') == [
        {"part": "speed", "system": "a"}
    ]
