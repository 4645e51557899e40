from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_prep.errors import LaunchError
from launch.clusters.slurm import sbatch
from launch.clusters.slurm.arrays import Array
from launch.clusters.slurm.pending_work import PendingWork
from launch.clusters.slurm.sbatch import (
    NoRoom,
    SbatchRefusal,
    Script,
    call_sbatch,
    clean_environment,
    environment_file,
    environment_text,
    sbatch_text,
)
from launch.clusters.slurm.setup_lines import checked_lines
from launch.clusters.slurm.stages import planned
from launch.clusters.slurm.submission import Submitter
from tests.launch.clusters.slurm.plans import SWEEP, cells, limits, prepared_by

RECORD = Path(__file__).with_name("sbatch_record.txt")


def described(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Array, str]]:
    monkeypatch.setattr(sys, "executable", "/opt/my env/bin/python")
    allowed = limits(
        nodes=2,
        gpus_per_node="a100:1",
        cpus_per_task=8,
        memory_gb=64.0,
        max_parallel=10,
        sbatch={"mail-type": "END", "exclusive": "", "reservation": "it's ours"},
        account="vision lab",
        constraint="a100|h100",
        setup=("module load 'cuda 12'; true # it's needed",),
    )
    now = PendingWork(train=cells(3, ranks=2), measure=cells(1, first_seed=9))
    arrays = planned(now, [prepared_by(2, allowed)], allowed, SWEEP, ["x"])
    submitter = Submitter(
        sweep=SWEEP,
        job_name=f"traitvae-{SWEEP.name}",
        code=SWEEP / "code" / "0123456789ab",
        retries=2,
        lock=None,
    )
    return list(zip(arrays, submitter.describe(arrays), strict=True))


def test_the_script_of_every_stage_is_the_recorded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an intended change: remove the file, run this test, and review the difference before committing it."""
    text = "\n".join(f"#### {array.stage}\n{text}\n" for array, text in described(monkeypatch))
    if not RECORD.exists():
        RECORD.write_text(text)
    assert text == RECORD.read_text()


def test_no_part_of_a_name_is_executed_by_the_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each script is run by a real bash with commands that only record their arguments."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("srun", "ln", "python", "module"):
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@" "" >> "$CALLS"\nexit 3\n')
        (programs / name).chmod(0o755)
    for array, text in described(monkeypatch):
        calls = tmp_path / f"{array.stage}.calls"
        script = text.replace(shlex.quote(sys.executable), str(programs / "python"))
        done = subprocess.run(
            ["bash", "-s"],
            input=script,
            env={
                "PATH": f"{programs}:/usr/bin:/bin",
                "CALLS": str(calls),
                "SLURM_ARRAY_JOB_ID": "12",
                "SLURM_ARRAY_TASK_ID": "1",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert (done.stdout, done.stderr, done.returncode) == ("", "", 3)
        *loaded, linked, run, after = [call.split("\n") for call in calls.read_text().split("\n\n")[:-1]]
        assert loaded == ([["module", "load", "cuda 12"]] if array.stage in ("train", "evaluate") else [])
        folder = f"{SWEEP}/jobs/TIME-{array.stage}"
        assert linked == ["ln", "-sf", f"{folder}/task-1.pkl", f"{folder}/12_1_submitted.pkl"]
        assert run[-2:] == ["submitit.core._submit", folder]
        assert after[-6:] == ["--units", f"{folder}/units.json", "--status", "3", "--retries", "2"]
        calls.unlink()
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize(
    ("line", "status"),
    [("source 'its env.sh'", "1"), ("module load cuda", "127"), ("(exit 7)", "7"), ("exit 0", "0")],
)
def test_a_setup_line_that_fails_or_ends_the_shell_is_handed_on(
    tmp_path: Path, line: str, status: str
) -> None:
    """By a real bash, to a program in place of the epilogue."""
    report = 'printf "%s|" "$setup_status" "$setup_line"; exit 9'
    script = "\n".join(
        [*checked_lines(["cd /", "true # fine", line, "echo not reached"], report), "echo nor this"]
    )
    done = subprocess.run(
        ["bash", "-s"], input=script, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == (f"{status}|{line}|", 9)


@pytest.mark.parametrize("option", ["export", "export-file"])
def test_jobs_without_the_environment_get_the_stores_address_and_no_other_variable(
    tmp_path: Path, option: str
) -> None:
    resources = limits(sbatch={option: "NONE"}, network_interface="ib0")
    (array,) = planned(PendingWork(train=cells(1)), [], resources, SWEEP, ["x"])[:1]
    script = Script(job_name="x", comment="c", folder=tmp_path, code=SWEEP, dependency=None, retries=0)
    text = sbatch_text(array, script)
    assert " --export=ALL " in text
    environment_file(tmp_path).write_text(
        environment_text({"MLFLOW_TRACKING_URI": "http://it's me:$(x)@server", "TOKEN": "secret"})
    )
    (tmp_path / "srun").write_text("#!/bin/sh\necho $MLFLOW_TRACKING_URI $TOKEN $GLOO_SOCKET_IFNAME\n")
    (tmp_path / "srun").chmod(0o755)
    text = text.replace("ln -sf", "true").replace("-m jobs.epilogue", "-c ''")
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["bash"], input=text, env=path, capture_output=True, text=True, timeout=60)
    assert done.stdout == "http://it's me:$(x)@server ib0\n"


def test_environment_defaults_do_not_override_the_script() -> None:
    mine = {"PATH": "/bin", "SLURM_CONF": "/etc/s", "MLFLOW_TRACKING_URI": "http://x", "MY_SBATCH_X": "1"}
    left = {"SLURM_JOB_ID": "1", "SBATCH_ARRAY_INX": "0-9", "SUBMITIT_EXECUTOR": "slurm", "SRUN_DEBUG": "1"}
    given = {"SBATCH_PARTITION": "small", "SBATCH_ACCOUNT": "lab"}
    assert clean_environment(mine | left | given, ["partition", "time"]) == mine | {"SBATCH_ACCOUNT": "lab"}


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of scripts 1, 2, ... that successive calls of sbatch run; squeue finds nothing."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sbatch").write_text(
        f"#!/bin/sh\nn=$(($(cat {programs}/count 2>/dev/null || echo 0) + 1))\necho $n > {programs}/count\n"
        f". {programs}/$n\n"
    )
    (programs / "squeue").write_text("#!/bin/sh\nexit 0\n")
    for name in ("sbatch", "squeue"):
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return programs


def test_submission_is_retried_while_the_controller_is_down(answers: Path) -> None:
    (answers / "1").write_text(
        "echo 'sbatch: error: Batch job submission failed: Unable to contact slurm controller' >&2; exit 1"
    )
    (answers / "2").write_text("echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1")
    (answers / "3").write_text("echo '4711;cluster'")
    assert call_sbatch(answers / "script", "traitvae/a/b", [], None) == "4711"


def test_a_refused_submission_is_not_retried(answers: Path) -> None:
    (answers / "1").write_text(
        "echo 'sbatch: error: invalid partition specified: nowhere' >&2\n"
        "echo 'sbatch: error: Batch job submission failed: Invalid partition name specified' >&2; exit 1"
    )
    with pytest.raises(SbatchRefusal, match=r"sbatch refused the jobs: invalid partition .*: nowhere; Batch"):
        call_sbatch(answers / "script", "traitvae/a/b", [], None)
    assert (answers / "count").read_text() == "1\n"


def test_a_submission_whose_answer_was_lost_is_found_in_the_queue(
    answers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (answers / "1").write_text("echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1")
    monkeypatch.setattr(
        sbatch, "queued", lambda comment: {"4712_0": None} if comment == "traitvae/a/b" else {}
    )
    assert call_sbatch(answers / "script", "traitvae/a/b", [], None) == "4712"


BANNER = """echo ------------------------------------------------------
echo '          Welcome to the Example Supercomputer'
echo '--> Verifying valid submit host (login1)...OK'
"""


@pytest.mark.parametrize(
    "reply",
    ["48842277", "48842277;cluster", "Submitted batch job 48842277", "Submitted batch job 48842277 on cluster c2"],
)  # fmt: skip
def test_the_id_is_found_in_the_banner_of_a_sites_wrapper(answers: Path, reply: str) -> None:
    (answers / "1").write_text(
        f"{BANNER}echo 2026 was a good year\necho '{reply}'\necho 'You have 3000 hours left'"
    )
    assert call_sbatch(answers / "script", "traitvae/a/b", [], None) == "48842277"


@pytest.mark.parametrize("status", [0, 1])
def test_before_a_refusal_is_reported_the_queue_is_searched(
    answers: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """A wrapper that swallows the id, or ends with the status of its own accounting."""
    (answers / "1").write_text(f"{BANNER}exit {status}")
    with pytest.raises(SbatchRefusal, match=r"sbatch refused the jobs: .*Welcome to the Example"):
        call_sbatch(answers / "script", "traitvae/a/b", [], None)
    (answers / "2").write_text(f"{BANNER}exit {status}")
    monkeypatch.setattr(sbatch, "queued", lambda comment: {"4712_0": None})
    assert call_sbatch(answers / "script", "traitvae/a/b", [], None) == "4712"


def test_nothing_is_called_refused_while_the_queue_cannot_be_searched(
    answers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An array that may be in the queue stays in the register, and is not submitted a second time."""
    (answers / "1").write_text(f"{BANNER}exit 1")
    (answers / "squeue").write_text(
        "#!/bin/sh\necho 'squeue: error: slurm_load_jobs: timed out' >&2; exit 1\n"
    )
    monkeypatch.setattr(sbatch, "PATIENCE_S", 0.2)
    with pytest.raises(LaunchError, match="squeue does not answer") as caught:
        call_sbatch(answers / "script", "traitvae/a/b", [], None)
    assert not isinstance(caught.value, SbatchRefusal)
    assert (answers / "count").read_text() == "1\n"


@pytest.mark.parametrize(
    "limit", ["AssocMaxSubmitJobLimit", "QOSGrpSubmitJobsLimit", "QOSMaxSubmitJobPerUserLimit"]
)
def test_a_limit_on_the_number_of_jobs_is_told_apart(answers: Path, limit: str) -> None:
    (answers / "1").write_text(
        f"echo 'sbatch: error: {limit}' >&2\necho 'sbatch: error: Batch job submission failed: Job violates"
        " accounting/QOS policy (job submit limit, user and/or time limits)' >&2; exit 1"
    )
    with pytest.raises(NoRoom, match=f"^{limit}$"):
        call_sbatch(answers / "script", "traitvae/a/b", [], None)
