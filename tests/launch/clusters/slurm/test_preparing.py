"""``prepare.py --cluster slurm`` on the real SLURM: the same data set, jobs that outlive the command, jobs that fail."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep.manifest import MANIFEST_FILE
from launch.clusters.slurm import preparing as preparing_on_slurm
from launch.clusters.slurm.queue import cancel, queued
from launch.clusters.slurm.register import Register
from launch.prepare import main
from tests.cluster.cluster import Cluster
from tests.data_prep.fixtures import content, write_raw
from tests.data_prep.sources.raw_pictures import write_celeba

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[4]
ON_SLURM = ("--cluster", "slurm", "--hours", "0.5", "--format", "arrow")


@pytest.fixture(autouse=True)
def queue_of_its_own(slurm_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(preparing_on_slurm, "SECONDS_BETWEEN_POLLS", 0.5)
    monkeypatch.setattr(preparing_on_slurm, "SECONDS_UNTIL_GONE", 3.0)
    yield
    cancel(sorted(queued(comment="traitvae/")))
    slurm_cluster.wait_idle()


def prepared(out: Path) -> Path:
    (manifest,) = out.glob(f"*/{MANIFEST_FILE}")
    return manifest.parent


def stages(out: Path) -> Counter[str]:
    """The number of queued tasks of each stage, according to the register."""
    (folder,) = (out / ".jobs").iterdir()
    register = Register(folder)
    stage_of = {entry.comment: entry.stage for entry in register.submissions}
    return Counter(stage_of[job.comment] for job in queued(comment=register.tag).values())


def test_jobs_write_the_data_set_that_one_machine_writes_byte_for_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = write_raw(tmp_path / "raw")
    out = tmp_path / "it's a $(touch pwned) place"
    arguments = ["idx-folder", "--raw", str(raw), "--seed", "5"]
    main([*arguments, "--out", str(out), *ON_SLURM])
    printed = capsys.readouterr()
    assert "prepared: " in printed.out
    assert "shards: 0 of 2" in printed.err
    main([*arguments, "--out", str(tmp_path / "local"), "--format", "arrow", "--workers", "1"])
    assert prepared(out).name == prepared(tmp_path / "local").name
    assert content(prepared(out)) == content(prepared(tmp_path / "local"))
    main([*arguments, "--out", str(out), *ON_SLURM])
    assert "already prepared" in capsys.readouterr().out
    assert not list(tmp_path.rglob("pwned*"))


def test_ctrl_c_leaves_the_jobs_and_the_same_command_finds_them_again(
    tiny_raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["idx-folder", "--raw", str(tiny_raw), "--out", str(tmp_path / "out"), *ON_SLURM]
    arguments += ["--sbatch", "begin", "now+1hour"]
    with subprocess.Popen(
        [sys.executable, "launch/prepare.py", *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:  # fmt: skip
        assert command.stderr is not None
        assert any(line.startswith("jobs: ") for line in iter(command.stderr.readline, ""))
        command.send_signal(signal.SIGINT)
        output, complained = command.communicate(timeout=180)
    assert command.returncode == 130, complained
    assert "Traceback" not in complained
    whole = Counter({"prepare": 2, "merge": 1})
    assert stages(tmp_path / "out") == whole
    (folder,) = (tmp_path / "out" / ".jobs").iterdir()
    ids = [str(entry.job) for entry in Register(folder).submissions]
    assert f"the same command waits for them again, and 'scancel {' '.join(ids)}' ends them" in output
    main([*arguments, "--detach"])
    assert f"'scancel {' '.join(ids)}' ends them" in capsys.readouterr().out
    assert stages(tmp_path / "out") == whole


def test_a_damaged_picture_is_reported_in_one_sentence_and_the_next_run_resumes(
    slurm_cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = write_celeba(tmp_path / "raw")
    picture = sorted((raw / "img_align_celeba").iterdir())[1]
    whole = picture.read_bytes()
    picture.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))
    arguments = ["celeba", "--raw", str(raw), "--out", str(tmp_path / "out"), *ON_SLURM]
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: ")
    assert picture.name in message
    assert f"logs: {tmp_path / 'out' / '.jobs'}" in message
    assert not list((tmp_path / "out").glob(f"*/{MANIFEST_FILE}"))
    slurm_cluster.wait_idle()
    began = time.time()
    picture.write_bytes(whole)
    main(arguments)
    folder = prepared(tmp_path / "out")
    assert not (folder / ".work").exists()
    kept = [path for path in folder.glob("*.arrow") if path.stat().st_mtime < began]
    assert kept, "complete shards are not written again"
    with pytest.raises(SystemExit, match="2"):
        main([*arguments[:-4], "--workers", "2", "--cluster", "slurm"])
    assert "--max-parallel" in capsys.readouterr().err


def test_what_the_cluster_cannot_do_is_reported_in_one_sentence(
    tiny_raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["idx-folder", "--raw", str(tiny_raw), "--out", str(tmp_path / "out"), *ON_SLURM]
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "--partition", "nowhere"])
    assert "partitions are main, urgent" in capsys.readouterr().err.splitlines()[-1]
    assert not queued(comment="traitvae/")


@pytest.mark.parametrize("checked", [True, False])
def test_an_out_that_nodes_do_not_see_is_reported_before_the_first_job_or_after_the_last(
    hidden: Path,
    tiny_raw: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    checked: bool,
) -> None:
    if not checked:  # as if no node was free
        monkeypatch.setattr(preparing_on_slurm, "check_on_a_node", lambda *_, **__: [])
    with pytest.raises(SystemExit, match="2"):
        main(["idx-folder", "--raw", str(tiny_raw), "--out", str(hidden / "out"), *ON_SLURM])
    message = capsys.readouterr().err.splitlines()[-1]
    assert str(hidden / "out" / ".jobs") in message
    assert ("does not see the folder" if checked else "left no log") in message
    assert ("(--out)" in message) == checked
    assert not (checked and queued(comment="traitvae/"))
