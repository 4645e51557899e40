"""Preparation: always the same bytes, and complete or absent whatever happens on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from data_prep.errors import ConfigError, DataSetError, MissingDependencyError
from data_prep.manifest import Manifest, verify_checksums
from data_prep.stages import find_prepared, naming_unwritable_places, prepare
from tests.data_prep.fixtures import TINY_ROWS, TINY_ROWS_PER_SHARD, content, write_raw

ROOT = Path(__file__).parents[2]
MANY_ROWS = {"train": 10_000, "test": 1_000}
MANY_SHARDS = 64  # rows per shard: over 170 shards, so that there is a middle to be killed in
SCRIPT = """
import sys
from pathlib import Path
from data_prep.errors import report_user_errors
from data_prep.stages import prepare
raw, root, workers, rows = sys.argv[1:]
with report_user_errors():
    prepare("idx_folder", raw=Path(raw), root=Path(root), workers=int(workers), formats="arrow",
            rows_per_shard=int(rows))
"""


def prepare_tiny(raw: Path, root: Path, workers: int = 1) -> Path:
    return prepare(
        "idx_folder", raw=raw, root=root, workers=workers, formats="arrow", rows_per_shard=TINY_ROWS_PER_SHARD,
        progress=False,
    )  # fmt: skip


def prepare_many(raw: Path, root: Path) -> Path:
    return prepare(
        "idx_folder",
        raw=raw,
        root=root,
        workers=1,
        formats="arrow",
        rows_per_shard=MANY_SHARDS,
        progress=False,
    )


@contextmanager
def another_process(raw: Path, root: Path, workers: int) -> Iterator[subprocess.Popen[str]]:
    """A subprocess that prepares many shards; it and its children are gone after the block."""
    arguments = [str(raw), str(root), str(workers), str(MANY_SHARDS)]
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=ROOT,
        text=True,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_until(condition: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.002)


def shards_in(root: Path) -> int:
    return len(list(root.glob("idx_folder-*/*.arrow")))


def has_shards(root: Path, count: int) -> bool:
    return shards_in(root) >= count


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() for process in processes)


@pytest.fixture(scope="module")
def many_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raw(tmp_path_factory.mktemp("many-raw"), MANY_ROWS)


@pytest.fixture(scope="module")
def undisturbed(many_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_many(many_raw, tmp_path_factory.mktemp("undisturbed"))


def test_the_manifest_says_what_was_prepared(tiny_data_set: Path) -> None:
    manifest = Manifest.load(tiny_data_set)
    assert tiny_data_set.name == f"idx_folder-{manifest.digest}"
    assert manifest.image_shape == (1, 28, 28)
    assert [label.cardinality for label in manifest.labels] == [10]
    assert {name: split.rows for name, split in manifest.splits.items()} == TINY_ROWS
    assert [shard.rows for shard in manifest.splits["train"].shards] == [128, 128, 128, 128, 88]
    assert manifest.splits["train"].label_frequencies[0] == pytest.approx([0.1] * 10)
    assert manifest.splits["train"].labels_used == {
        "0.004": (0,),
        "0.06": (40,),
        "0.2": (120,),
        "1.0": (600,),
    }
    assert {p.name for p in tiny_data_set.iterdir()} == {
        "manifest.json", *(shard.file for split in manifest.splits.values() for shard in split.shards)
    }  # fmt: skip
    verify_checksums(tiny_data_set, manifest)


@pytest.mark.parametrize("workers", [2, 4])
def test_the_number_of_workers_changes_nothing(
    tiny_raw: Path, tiny_data_set: Path, tmp_path: Path, workers: int
) -> None:
    folder = prepare_tiny(tiny_raw, tmp_path, workers)
    assert folder.name == tiny_data_set.name
    assert content(folder) == content(tiny_data_set)


def test_packed_raw_files_give_the_same_data_set(tiny_data_set: Path, tmp_path: Path) -> None:
    folder = prepare_tiny(write_raw(tmp_path / "raw", packed=True), tmp_path / "data")
    assert folder.name == tiny_data_set.name
    assert content(folder) == content(tiny_data_set)


def test_the_seed_and_the_raw_files_decide_the_digest(
    tiny_raw: Path, tiny_data_set: Path, tmp_path: Path
) -> None:
    assert find_prepared("idx_folder", tiny_raw, tiny_data_set.parent, rows_per_shard=TINY_ROWS_PER_SHARD)
    assert not find_prepared(
        "idx_folder", tiny_raw, tiny_data_set.parent, rows_per_shard=TINY_ROWS_PER_SHARD, seed=1
    )
    raw = write_raw(tmp_path)
    images = raw / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-1] + b"\xff")
    assert not find_prepared("idx_folder", raw, tiny_data_set.parent, rows_per_shard=TINY_ROWS_PER_SHARD)


def test_preparing_again_writes_nothing(tiny_raw: Path, tmp_path: Path) -> None:
    assert find_prepared("idx_folder", tiny_raw, tmp_path, rows_per_shard=TINY_ROWS_PER_SHARD) is None
    folder = prepare_tiny(tiny_raw, tmp_path)
    times = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert prepare_tiny(tiny_raw, tmp_path) == folder
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == times
    assert find_prepared("idx_folder", tiny_raw, tmp_path, rows_per_shard=TINY_ROWS_PER_SHARD) == folder


def test_a_damaged_data_set_is_not_found_and_is_prepared_again(
    tiny_raw: Path, tiny_data_set: Path, tmp_path: Path
) -> None:
    folder = prepare_tiny(tiny_raw, tmp_path)
    os.truncate(folder / "train-00001.arrow", 1000)
    assert find_prepared("idx_folder", tiny_raw, tmp_path, rows_per_shard=TINY_ROWS_PER_SHARD) is None
    prepare_tiny(tiny_raw, tmp_path)
    (folder / "manifest.json").write_text("{")
    prepare_tiny(tiny_raw, tmp_path)
    assert content(folder) == content(tiny_data_set)


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_same_bytes(
    many_raw: Path, undisturbed: Path, tmp_path: Path
) -> None:
    seen = 0
    for workers, more in ((1, 1), (2, 20), (2, 3), (1, 30), (2, 10)):
        with another_process(many_raw, tmp_path, workers) as process:
            wait_until(partial(has_shards, tmp_path, seen + more))
            children = psutil.Process(process.pid).children()
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert len(children) >= workers - 1
            wait_until(partial(all_gone, children))
        assert not list(tmp_path.glob("*/manifest.json")), "it finished before it was killed"
        assert shards_in(tmp_path) >= seen, "finished shards were lost"
        seen = shards_in(tmp_path)
    times = {p: p.stat().st_mtime_ns for p in tmp_path.glob("idx_folder-*/*.arrow")}
    folder = prepare_many(many_raw, tmp_path)
    rewritten = [p for p, before in times.items() if p.stat().st_mtime_ns != before]
    assert len(rewritten) <= 2, "only shards whose record was not written yet may be written again"
    assert folder.name == undisturbed.name
    assert content(folder) == content(undisturbed)


@pytest.mark.slow
def test_a_second_preparation_waits_for_the_first_and_says_so(
    many_raw: Path, undisturbed: Path, tmp_path: Path
) -> None:
    with another_process(many_raw, tmp_path, 1) as first:
        wait_until(lambda: shards_in(tmp_path) > 0)
        first.send_signal(signal.SIGSTOP)
        with another_process(many_raw, tmp_path, 1) as second:
            assert second.stderr is not None
            assert "another process is preparing" in second.stderr.readline()
            assert second.poll() is None
            first.send_signal(signal.SIGCONT)
            assert first.wait(60) == 0
            assert second.wait(60) == 0
            assert "shards" not in second.stderr.read()
    assert content(tmp_path / undisturbed.name) == content(undisturbed)


@pytest.mark.slow
def test_a_worker_killed_by_the_system_is_reported_in_one_sentence(many_raw: Path, tmp_path: Path) -> None:
    with another_process(many_raw, tmp_path, 2) as process:
        wait_until(lambda: shards_in(tmp_path) > 0)
        workers = [c for c in psutil.Process(process.pid).children() if "spawn_main" in " ".join(c.cmdline())]
        workers[0].kill()
        _, message = process.communicate(timeout=180)
    assert process.returncode == 2
    assert message.splitlines()[-1].startswith("error: a worker process was killed")
    assert "Traceback" not in message
    assert not list(tmp_path.glob("*/manifest.json"))


@pytest.mark.slow
def test_interrupted_it_says_so_and_leaves_no_half_written_file(
    many_raw: Path, undisturbed: Path, tmp_path: Path
) -> None:
    for workers in (1, 2):
        with another_process(many_raw, tmp_path, workers) as process:
            wait_until(partial(has_shards, tmp_path, shards_in(tmp_path) + 5))
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            _, message = process.communicate(timeout=180)
        assert process.returncode == 130
        assert message.splitlines()[-1] == "interrupted; run the same command to resume"
        assert "Traceback" not in message
        assert not list(tmp_path.glob("*/.*.partial"))
        assert not list(tmp_path.glob("*/manifest.json"))
    assert content(prepare_many(many_raw, tmp_path)) == content(undisturbed)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for the unpacked raw files and part of the shards."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.geteuid() == 0 and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1000k", "tmpfs", str(disk)], capture_output=True, check=False
    ).returncode  # fmt: skip
    if not mounted:
        pytest.skip("only root may mount a small file system, and not in every container")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_ends_in_one_sentence_and_no_data_set(
    tiny_raw: Path, tiny_data_set: Path, small_disk: Path, workers: int
) -> None:
    arguments = [str(tiny_raw), str(small_disk), str(workers), str(TINY_ROWS_PER_SHARD)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: the disk is full while writing")
    assert str(small_disk) in last
    assert "Traceback" not in done.stderr
    assert not list(small_disk.glob("*/manifest.json"))
    assert not list(small_disk.rglob(".*.partial"))
    subprocess.run(["mount", "-o", "remount,size=10m", str(small_disk)], check=True)
    assert content(prepare_tiny(tiny_raw, small_disk)) == content(tiny_data_set)


def test_invalid_arguments_are_refused(tiny_raw: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="workers is 0"):
        prepare("idx_folder", raw=tiny_raw, root=tmp_path, workers=0)
    with pytest.raises(ConfigError, match="is not a folder"):
        prepare("fashion_mnist", raw=tmp_path / "nowhere", root=tmp_path)


@pytest.mark.parametrize("place", ["file", "file/below", "x" * 300, "/proc/nowhere/below"])
def test_an_unwritable_place_is_reported_in_one_sentence(tiny_raw: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        DataSetError, match=r"cannot be written: .*; choose another place with --out"
    ) as caught:
        prepare_tiny(tiny_raw, tmp_path / place)
    assert str(Path(place).parent) in str(caught.value)


def test_an_error_of_another_file_is_not_blamed_on_the_chosen_place(tmp_path: Path) -> None:
    missing, forbidden = (
        FileNotFoundError(2, "No such file", str(tmp_path / "out" / "plan")),
        PermissionError(13, "No", "/raw"),
    )
    for error in (missing, forbidden):
        with pytest.raises(type(error)), naming_unwritable_places(tmp_path / "out"):
            raise error


def test_requesting_ffcv_without_it_says_how_to_install_it(
    tiny_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("data_prep.stages.ffcv_is_installed", lambda: False)
    with pytest.raises(MissingDependencyError, match="pip install"):
        prepare("idx_folder", raw=tiny_raw, root=tmp_path, formats="ffcv")
    assert not list(tmp_path.iterdir())
    folder = prepare("idx_folder", raw=tiny_raw, root=tmp_path, formats="auto", workers=1)
    assert "Arrow shards only: FFCV is not installed" in capsys.readouterr().err
    assert Manifest.load(folder).splits["train"].beton is None
