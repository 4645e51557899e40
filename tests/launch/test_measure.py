from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.errors import RunError
from launch.clusters.slurm.register import Register
from launch.measure import main as measure_main
from launch.sweep import main as sweep_main
from pipeline.cells.folder import CellFolder
from pipeline.cells.measurements import failures, results
from pipeline.measures.likelihood import Likelihood
from pipeline.measures.plan import is_done
from tests.cluster.cluster import Cluster
from tests.data_prep.fixtures import content
from tests.done_cells import make_done
from tests.launch import tiny_sweep  # noqa: F401  (adds its recipes)
from tests.launch.monitoring.sweeps import make_cells

ROOT = Path(__file__).resolve().parents[2]


def say(command: Callable[[list[str]], None], *arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        command([str(argument) for argument in arguments])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def trained_once(tiny_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trained cells of a sweep whose configurations name one of the two quick measures."""
    folder = tmp_path_factory.mktemp("measuring")
    places = ["--raw", tiny_raw, "--data-root", folder / "data", "--runs", folder / "runs"]
    options = ["--recipe", "tiny", "--cluster", "debug", "--measures", "classification"]
    assert say(sweep_main, *options, *places) == 0
    return folder / "runs"


@pytest.fixture
def runs(trained_once: Path, tmp_path: Path) -> Path:
    """The same for each test, the store with them."""
    return Path(shutil.copytree(trained_once, tmp_path / "runs"))


@pytest.fixture
def cells(runs: Path) -> list[CellFolder]:
    found = [CellFolder(file.parent) for file in sorted((runs / "tiny").glob("*/config.json"))]
    assert len(found) == 2
    assert all(is_done(cell) for cell in found)
    return found


def measured(cell: CellFolder) -> set[tuple[str, str]]:
    return {(result.key.measure, result.key.split) for result in results(cell.folder)}


def of_training(cell: CellFolder) -> dict[str, bytes]:
    """What measuring must leave as it is."""
    kept = {name: data for name, data in content(cell.folder).items() if name.startswith("checkpoints/")}
    log = (cell.folder / "metrics.jsonl").read_text().splitlines()
    points = [line for line in log if json.loads(line)["kind"] in ("train", "epoch")]
    configuration = json.loads(cell.config_file.read_bytes())
    del configuration["tracking"]  # a copied sweep is another one in MLflow
    del configuration["measures"]["readers"]  # which a launcher names
    return (
        kept
        | {
            "TRAINED": (cell.folder / "TRAINED").read_bytes(),
            "config.json": json.dumps(configuration).encode(),
        }
        | {"points": "\n".join(points).encode()}
    )


def test_a_measure_that_the_sweep_does_not_name_is_computed_of_trained_cells_and_then_left_alone(
    runs: Path, cells: list[CellFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    before = [of_training(cell) for cell in cells]
    command = ["tiny", "--measures", "likelihood", "--cluster", "debug", "--runs", runs]
    assert say(measure_main, *command) == 0
    printed = capsys.readouterr().out
    assert "sweep tiny: 2 trained cells\n  likelihood on test: 2 to be measured\n" in printed
    assert "2 done" in printed
    assert "elbo" in (runs / "tiny" / "comparison" / "table.csv").read_text()
    assert [of_training(cell) for cell in cells] == before
    assert [measured(cell) for cell in cells] == [{("classification", "test"), ("likelihood", "test")}] * 2
    assert say(measure_main, *command) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines() == [
        "sweep tiny: 2 trained cells",
        "  likelihood on test: 2 already measured",
        "everything is already measured: nothing to do",
    ]


def test_a_dry_run_counts_existing_results_and_changes_nothing(
    runs: Path, cells: list[CellFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(runs / "tiny")
    command = ["tiny", "--measures", "classification", "--cells", cells[0].name, "--dry-run", "--runs", runs]
    assert say(measure_main, *command) == 0
    assert (
        "sweep tiny: 1 trained cell\n  classification on test: 1 already measured" in capsys.readouterr().out
    )
    assert say(measure_main, "tiny", "--split", "train", "--dry-run", "--runs", runs) == 0
    printed = capsys.readouterr().out
    assert "  classification on train: 2 to be measured\n" in printed
    assert printed.endswith("2 cells to be measured; nothing was written\n")
    assert content(runs / "tiny") == before


def test_a_measure_that_fails_costs_only_itself_and_retry_repeats_it_alone(
    runs: Path,
    cells: list[CellFolder],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(self: Likelihood, view: object) -> None:
        raise RunError("no such luck")

    names = [*("--measures", "classification", "likelihood"), *("--split", "train")]
    only = ["--cells", cells[1].name]
    with monkeypatch.context() as patched:
        patched.setattr(Likelihood, "__call__", fails)
        assert say(measure_main, "tiny", *names, *only, "--cluster", "debug", "--runs", runs) == 1
    sentence = f"{cells[1].name} failed: trained; 1 of 2 measures failed: likelihood: no such luck"
    assert sentence in capsys.readouterr().out
    assert measured(cells[1]) >= {("classification", "train")}
    assert [failure.reason for failure in failures(cells[1].folder)] == ["no such luck"]
    assert is_done(cells[1])
    assert say(sweep_main, "status", "tiny", "--runs", runs) == 1
    assert "trained; 1 of 2 measures failed: likelihood: no such luck" in capsys.readouterr().out
    stands = next((cells[1].folder / "measures").glob("classification-*/result.json"))
    before, training = stands.stat().st_mtime_ns, of_training(cells[1])
    assert say(sweep_main, "retry", "tiny", "--runs", runs) == 0
    assert "1 failed cell of tiny again" in capsys.readouterr().out
    assert measured(cells[1]) >= {("likelihood", "train")}
    assert stands.stat().st_mtime_ns == before
    assert of_training(cells[1]) == training
    assert say(sweep_main, "status", "tiny", "--runs", runs) == 0


def test_a_failure_is_forgotten_once_every_result_is_there(
    runs: Path, cells: list[CellFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    cells[0].give_up("killed after its last result")
    assert say(sweep_main, "status", "tiny", "--runs", runs) == 1
    assert say(measure_main, "tiny", "--dry-run", "--runs", runs) == 0
    assert cells[0].failed() is not None
    assert say(measure_main, "tiny", "--runs", runs) == 0
    assert say(sweep_main, "status", "tiny", "--runs", runs) == 0


def test_a_finished_sweep_with_one_more_measure_measures_and_trains_nothing(
    trained_once: Path,
    runs: Path,
    tiny_raw: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def trains(config_file: Path, **_: object) -> None:
        assert CellFolder.of(config_file).is_trained()

    places = ["--raw", tiny_raw, "--data-root", trained_once.parent / "data", "--runs", runs]
    more = ["--recipe", "tiny", "--cluster", "debug", "--split", "train", "--measures", "classification"]
    assert say(sweep_main, *more, "--dry-run", *places) == 0
    assert "trained, 1 of 1 measure to compute" in capsys.readouterr().out
    monkeypatch.setattr("jobs.train.train_cell", trains)
    assert say(sweep_main, *more, *places) == 0
    assert "2 done" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--measures", "likelyhood"], r"there is no measure 'likelyhood'; did you mean likelihood?"),
        (["--measures", "likelihood:speed=3"], r"measure likelihood has no setting 'speed'"),
        (["--split", "tset"], "has no split 'tset'; there are: train, test"),
        (["--cells", "m3-"], "no cell of tiny has m3- in its name"),
        (["--detach"], "--detach needs --cluster slurm"),
        (["--max-parallel", "0"], "max_parallel is 0"),
    ],
)
def test_wrong_input_is_one_sentence(
    runs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    before = content(runs / "tiny")
    assert say(measure_main, "tiny", *arguments, "--runs", runs) == 2
    assert sentence in capsys.readouterr().err
    assert content(runs / "tiny") == before


def test_cells_that_are_not_trained_are_left_out_and_named(
    runs: Path, cells: list[CellFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    cells[0].mark_untrained()
    assert say(measure_main, "tiny", "--dry-run", "--runs", runs) == 0
    printed = capsys.readouterr().out
    assert "sweep tiny: 1 trained cell" in printed
    assert f"skipped, since they are not trained: 1 ({cells[0].name})" in printed
    cells[1].mark_untrained()
    assert say(measure_main, "tiny", "--dry-run", "--runs", runs) == 2
    assert "no cell of tiny is trained yet" in capsys.readouterr().err


def test_a_missing_data_set_is_reported_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cell,) = make_cells(tmp_path / "tiny", 1)
    make_done(cell)
    assert say(measure_main, "tiny", "--runs", tmp_path) == 2
    assert "the data set /nowhere of this sweep is missing" in capsys.readouterr().err


def test_help_lists_every_measure(capsys: pytest.CaptureFixture[str]) -> None:
    assert say(measure_main, "--help") == 0
    printed = capsys.readouterr().out
    assert "\n  classification:bins=15: " in printed
    assert "likelihood: " in printed


@pytest.mark.slow
def test_cells_are_measured_in_separate_processes(
    runs: Path, cells: list[CellFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    before = [of_training(cell) for cell in cells]
    command = [sys.executable, "launch/measure.py", "tiny", "--split", "train", "--runs", str(runs)]
    ended = subprocess.run(
        [*command, "--measures", "likelihood"], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert ended.returncode == 0, ended.stderr
    assert [of_training(cell) for cell in cells] == before
    assert all(measured(cell) >= {("likelihood", "train")} for cell in cells)


@pytest.mark.slow(80)
@pytest.mark.slurm
def test_an_array_of_slurm_measures_trained_cells_and_trains_nothing(
    slurm_cluster: Cluster, tiny_raw: Path, tmp_path: Path
) -> None:
    places = ["--raw", tiny_raw, "--data-root", tmp_path / "data", "--runs", tmp_path / "runs"]
    options = ["--recipe", "tiny", "--cluster", "debug", "--measures", "classification"]
    assert say(sweep_main, *options, *places) == 0
    found = [CellFolder(file.parent) for file in sorted((tmp_path / "runs" / "tiny").glob("*/config.json"))]
    before = [of_training(cell) for cell in found]
    command = [sys.executable, "launch/measure.py", "tiny", "--runs", str(tmp_path / "runs")]
    command += ["--measures", "likelihood", "--split", "train", "--cluster", "slurm", "--hours", "0.5"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(found) == 2
    assert [of_training(cell) for cell in found] == before
    assert [measured(cell) for cell in found] == [{("classification", "test"), ("likelihood", "train")}] * 2
    register = Register(tmp_path / "runs" / "tiny")
    assert [(entry.stage, len(entry.units), entry.take) for entry in register.submissions] == [
        ("evaluate", 2, ["likelihood"]),
        ("compare", 1, None),
    ]
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert "nothing to do" in again.stdout
    assert len(Register(tmp_path / "runs" / "tiny").submissions) == 2
