"""The command line: its output, and one sentence for each user error."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.manifest import Manifest
from data_prep.sources import SOURCES, source_named
from launch.inspecting import print_summary
from launch.prepare import main
from tests.data_prep.fixtures import content, write_raw
from tests.data_prep.sources.own_pictures.drawn_folder import write_pictures, write_table

ROOT = Path(__file__).parents[2]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The script as a user starts it, from any folder, as if the code were not installed."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "XDG_CACHE_HOME": str(cwd / "cache")
    }
    return subprocess.run(
        [sys.executable, str(ROOT / "launch" / "prepare.py"), *arguments], cwd=cwd, text=True, capture_output=True,
        check=False, env=environment, timeout=120,
    )  # fmt: skip


def prepared(out: Path) -> list[Path]:
    return sorted(out.glob("idx_folder-*/"))


def test_it_prepares_and_summarises_and_finds_the_data_the_second_time(
    tiny_raw: Path, tmp_path: Path
) -> None:
    arguments = ("idx-folder", "--raw", str(tiny_raw), "--format", "arrow", "--workers", "1")
    first = run(*arguments, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (folder,) = prepared(tmp_path / "data")
    for part in (str(folder.relative_to(tmp_path)), "labels at f=0.06", "600", "120", "prepared: "):
        assert part in first.stdout
    assert "shards: 2 of 2" in first.stderr
    again = run(*arguments, cwd=tmp_path)
    assert again.returncode == 0
    assert "already prepared" in again.stdout
    assert again.stderr == ""


def test_a_dry_run_prints_what_would_be_done_and_does_nothing(
    tiny_raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(
        [
            "fashion-mnist",
            "--out",
            str(tmp_path / "data"),
            "--raw",
            str(write_raw(tmp_path / "raw")),
            "--dry-run",
        ]
    )
    said = capsys.readouterr().out
    for part in (
        "FashionMNIST",
        "MIT",
        "fashion_mnist-65bc4e63f162d54e",
        "does not exist yet",
        "Ankle boot",
        "raw:",
    ):
        assert part in said
    assert not (tmp_path / "data").exists()


def test_a_dry_run_of_own_pictures_tells_what_was_taken_for_what_and_draws_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path / "raw", [f"{i:02d}.png" for i in range(40)])
    rows = [["name", "smiling", "hair"], *([f"{i:02d}", str(i % 2), "abc"[i % 3]] for i in range(41))]
    write_table(tmp_path / "raw" / "t.csv", rows)
    raw = ["--raw", str(tmp_path / "raw"), "--out", str(tmp_path / "data"), "--dry-run"]
    main(["pictures", *raw])
    said = capsys.readouterr().out
    assert "no file:  1 row ('40' in" in said
    assert "pictures=both takes what is on both sides" in said.partition("raw: ")[2]
    sheet = ["--sheet", str(tmp_path / "sheet.png")]
    main(["--option", "labels=hair", "size=16", "--option", "pictures=both", "pictures", *raw, *sheet])
    said = capsys.readouterr().out
    for part in (
        "label:    hair: 3 values: a 14, b 14, c 13",
        "splits:   train",
        "3 x 16 x 16",
        "labels=hair (columns of",
    ):
        assert part in said
    with Image.open(tmp_path / "sheet.png") as drawn:
        assert drawn.height % 3 == 0, "a row of pictures for each value"
    assert not (tmp_path / "data").exists()
    with pytest.raises(SystemExit, match="2"):
        main(["pictures", *raw[:-1], *sheet])
    assert "--sheet is for --dry-run" in capsys.readouterr().err


def test_inspect_shows_labels_and_draws_a_contact_sheet(
    tiny_data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["inspect", str(tiny_data_set), "--verify", "--sheet", str(tmp_path / "sheet.png")])
    said = capsys.readouterr().out
    for part in (
        "image:   1 x 28 x 28",
        "source:  t10k-labels-idx1-ubyte (md5:",
        "class: 9",
        "rows of train used at each rate",
        "0.1000",
        "every file has the SHA-256",
        "sheet.png",
    ):
        assert part in said
    with Image.open(tmp_path / "sheet.png") as sheet:
        scale = sheet.height // 300
        pictures = np.asarray(sheet.convert("L"))[::scale, -360 * scale :: scale].reshape(10, 30, 12, 30)
        names = np.asarray(sheet.convert("L"))[:, : -360 * scale].reshape(10, 30 * scale, -1)
    assert (pictures.max(axis=(1, 3)) > 100).all(), "ten classes, twelve pictures of each"
    assert (names.max(axis=(1, 2)) > 200).all(), "each row has its name"


def test_inspect_accepts_the_current_folder_and_refuses_an_unwritable_sheet(
    tiny_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data" / "set"
    shutil.copytree(tiny_data_set, folder)
    monkeypatch.chdir(folder)
    main(["inspect", "."])
    assert folder.with_name("set.png").is_file()
    for place in (tmp_path, folder / "manifest.json" / "sheet.png"):
        with pytest.raises(SystemExit, match="2"):
            main(["inspect", ".", "--sheet", str(place)])
        assert "choose another place with --sheet" in capsys.readouterr().err


def test_inspect_finds_damage(tiny_raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(
        ["idx-folder", "--raw", str(tiny_raw), "--out", str(tmp_path), "--format", "arrow", "--workers", "1"]
    )
    (folder,) = prepared(tmp_path)
    shard = folder / "train-00000.arrow"
    damaged = bytearray(shard.read_bytes())
    damaged[9999] ^= 1
    shard.write_bytes(damaged)
    with pytest.raises(SystemExit, match="2"):
        main(["inspect", str(folder), "--verify"])
    assert f"{shard} is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("fashion-mnits",), "did you mean fashion_mnist?"),
        (("fashion-mnist", "--raw", "nowhere"), "nowhere is not a folder"),
        (("fashion-mnist", "--raw", "empty"), "lacks train-images-idx3-ubyte, train-labels-idx1-ubyte"),
        (("fashion-mnist", "--raw", "raw"), "is not the file of FashionMNIST"),
        (("idx-folder",), "name the folder that holds"),
        (("idx-folder", "--raw", "raw", "--workers", "0"), "workers is 0"),
        (("idx-folder", "--raw", "raw", "--seed", "-1"), "--seed is -1; it must not be negative"),
        (("idx-folder", "--raw", "cut"), "is truncated"),
        (("inspect", "empty"), "is missing: not a prepared data set"),
        (("drawn-faces", "--count", "200"), "count is an option of drawn_faces: --option count=VALUE"),
        (("drawn-faces", "--option", "count=0", "--dry-run"), "0 pictures with the seed 0 cannot be drawn"),
        (("idx-folder", "--raw", "raw", "--partition", "x", "--dry-run"), "without --cluster slurm"),
        (
            ("idx-folder", "--raw", "raw", "--out", "raw/train-labels-idx1-ubyte"),
            "choose another place with --out",
        ),
    ],
)
def test_user_errors_are_reported_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...], sentence: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "empty").mkdir()
    write_raw(tmp_path / "raw")
    images = write_raw(tmp_path / "cut", packed=True) / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:1000])
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ")
    assert sentence in said
    assert not [name for name in content(tmp_path) if name.endswith("manifest.json")]


def test_help_explains_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = capsys.readouterr().out
    for part in ("fashion-mnist", "--raw", "--workers", "--dry-run", "inspect FOLDER"):
        assert part in said


def test_a_dry_run_without_the_raw_files_says_where_to_put_them(tmp_path: Path, capsys):
    main(["celeba", "--raw", str(tmp_path), "--dry-run"])
    shown = capsys.readouterr().out
    assert "once the raw files exist" in shown
    assert f"{tmp_path} lacks img_align_celeba.zip" in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", SOURCES)
def test_a_dry_run_states_source_licence_and_where_the_raw_files_are_or_how_to_get_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    main([name, "--dry-run"])
    shown = dict(line.partition(":")[::2] for line in capsys.readouterr().out.splitlines())
    source, licence = source_named(name), shown[next(iter(shown))]
    assert source.home in next(iter(shown)) + ":" + licence
    assert source.licence in licence
    assert re.search("to be downloaded from|found in|none needed|drawn into|--raw", shown["raw"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_gives_no_traceback(unbuffered: str):
    shown = subprocess.run(
        f"{shlex.quote(sys.executable)} launch/prepare.py celeba --dry-run | head -1",
        shell=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
    )
    assert shown.stdout.startswith("CelebA")
    assert shown.stderr == ""


def test_a_split_and_values_of_labels_that_have_no_rows_are_warned_of(
    tiny_data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = Manifest.load(tiny_data_set)
    train = replace(manifest.splits["train"], label_frequencies=((0.0, 0.0, *[1 / 8] * 8),))
    replace(manifest, splits={"train": train}).save(tmp_path)
    print_summary(tmp_path)
    printed = capsys.readouterr().out
    assert "warning: there is no split test; " in printed
    assert "warning: no training row has class = 0, 1\n" in printed
