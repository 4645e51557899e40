"""The commands of an installation: one per program, named in its usage, undisturbed by files in the working folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from data_prep.errors import LaunchError, report_user_errors
from data_prep.program_name import COMMANDS, as_called, program
from launch import commands
from launch.commands import variables_of_children

ROOT = Path(__file__).parents[2]
NAMES = ("data_prep", "pipeline", "jobs", "launch", "submitit")


def test_every_program_has_a_command_that_is_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert declared == {f"traitvae-{name}": f"launch.commands:{name}" for name in COMMANDS}
    runnable = {
        path.stem
        for path in (ROOT / "launch").glob("*.py")
        if 'if __name__ == "__main__":' in path.read_text()
    }
    assert runnable == set(COMMANDS)
    for name in COMMANDS:
        assert callable(getattr(commands, name))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("sweep", ["status", "--help"]), ("report", ["--help"]), ("compare", ["--help"]), ("prepare", ["inspect", "--help"])],
)  # fmt: skip
def test_usage_names_what_was_called(
    name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(commands, "imports_are_done", lambda: None)
    monkeypatch.setattr(sys, "argv", [f"/somewhere/bin/traitvae-{name}", *arguments])
    with pytest.raises(SystemExit) as end:
        getattr(commands, name)()
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: traitvae-{name} ")
    assert f"python launch/{name}.py" not in said


def test_errors_name_programs_in_the_way_that_was_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "train it first: python launch/sweep.py --recipe tiny"
    monkeypatch.setattr(sys, "argv", ["launch/measure.py"])
    assert (as_called(text), program("sweep")) == (text, "python launch/sweep.py")
    monkeypatch.setattr(sys, "argv", ["/bin/traitvae-measure"])
    with pytest.raises(SystemExit), report_user_errors():
        raise LaunchError(text)
    assert capsys.readouterr().err == "error: train it first: traitvae-sweep --recipe tiny\n"
    assert as_called("python launch/sweeper.py") == "python launch/sweeper.py"
    of_a_command = variables_of_children({})
    monkeypatch.setattr(sys, "argv", ["-m"])  # a job
    assert program("sweep") == "python launch/sweep.py"
    assert not of_a_command.items() <= variables_of_children({}).items(), (
        "started by a program, not a command"
    )
    for name, value in of_a_command.items():
        monkeypatch.setenv(name, value)
    assert (as_called(text), program("sweep")) == (
        "train it first: traitvae-sweep --recipe tiny",
        "traitvae-sweep",
    )


def test_processes_that_are_started_ignore_files_of_the_working_folder(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')")
    without = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def started(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "jobs.epilogue", "--help"]
        return subprocess.run(
            command, cwd=tmp_path, env=without | variables, capture_output=True, text=True, check=False
        )

    assert "shadowed" in started({}).stderr
    assert started(variables_of_children(without)).stdout.startswith("usage: python -m jobs.epilogue")


def test_other_places_of_python_stay_after_this_code_and_an_installation_is_not_put_before_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert variables_of_children({"PYTHONPATH": f"/a{os.pathsep}{ROOT}"}) == {
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": f"{ROOT}{os.pathsep}/a",
    }
    monkeypatch.setattr(commands, "CODE", Path("/env/lib/python3.11/site-packages"))
    assert variables_of_children({"PYTHONPATH": "/a"}) == {"PYTHONSAFEPATH": "1"}
