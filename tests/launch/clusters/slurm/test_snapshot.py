from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from launch.clusters.slurm import snapshot
from launch.clusters.slurm.snapshot import CODE, FLOORS, code_content, take_snapshot


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the four packages that may be changed."""
    for floor in FLOORS:
        shutil.copytree(CODE / floor, tmp_path / "code" / floor, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(snapshot, "code_content", lambda: code_content(tmp_path / "code"))
    return tmp_path / "code"


def printed(copy: Path, program: str) -> str:
    """What a job that runs from a copy prints."""
    command = [sys.executable, "-c", program]
    alone = {"PYTHONPATH": str(copy), "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(
        command, cwd=copy, env=alone, capture_output=True, text=True, timeout=120, check=True
    )
    return ended.stdout


def test_jobs_import_the_copy_and_not_edited_files(tmp_path: Path) -> None:
    copy = take_snapshot(tmp_path / "sweep")
    shown = printed(copy, "import jobs.run, launch.finish; print(jobs.run.__file__, launch.finish.__file__)")
    assert all(path.startswith(f"{copy}/") for path in shown.split())


def test_the_same_code_is_copied_once_and_changed_code_gets_its_own_folder(
    code: Path, tmp_path: Path
) -> None:
    first = take_snapshot(tmp_path / "sweep")
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    assert take_snapshot(tmp_path / "sweep") == first
    assert before == {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    (code / "pipeline" / "cell.py").write_text("changed = True\n")
    second = take_snapshot(tmp_path / "sweep")
    assert second != first
    assert (second / "pipeline" / "cell.py").read_text() == "changed = True\n"
    assert "changed = True" not in (first / "pipeline" / "cell.py").read_text()
    assert sorted(path.name for path in first.parent.iterdir()) == sorted([first.name, second.name])


def test_tables_are_copied_and_hidden_files_are_not(code: Path, tmp_path: Path) -> None:
    (code / "launch" / ".env").write_text("MLFLOW_TRACKING_PASSWORD=secret\n")
    (code / "launch" / ".secrets").mkdir()
    (code / "launch" / ".secrets" / "token").write_text("secret\n")
    copy = take_snapshot(tmp_path / "sweep")
    assert (copy / "pipeline" / "measures" / "paper_tables.csv").is_file()
    assert not [path for path in copy.rglob("*") if path.is_file() and b"secret\n" in path.read_bytes()]


def test_a_run_of_a_copy_knows_its_commit(tmp_path: Path) -> None:
    from pipeline.tracking import source_tags

    copy = take_snapshot(tmp_path)
    tags = source_tags()
    if "git_commit" not in tags:
        pytest.skip("these tests do not run in a git checkout")
    shown = printed(copy, "from pipeline.tracking import source_tags; print(source_tags()['git_commit'])")
    assert shown.strip() == tags["git_commit"]
