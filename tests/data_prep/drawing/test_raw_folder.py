"""Raw folders of drawings: the same bytes from any number of workers and after any kill; other files are left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_prep.drawing import raw_folder
from data_prep.drawing.drawing import Drawn
from data_prep.drawing.faces.raw_layout import Faces
from data_prep.drawing.kinds import KINDS, drawing_named
from data_prep.drawing.raw_folder import RECORD_FILE, draw_raw_folder
from data_prep.errors import ConfigError, RawDataError
from data_prep.progress import Progress
from tests.data_prep.fixtures import content

QUIET = Progress(shown=False)
ROOT = Path(__file__).parents[3]
COUNT, PART = 12, 2


def drawn(folder: Path, kind: str = "faces", *, workers: int = 1, seed: int = 3, count: int = COUNT) -> Path:
    return draw_raw_folder(kind, folder, count=count, seed=seed, workers=workers, progress=QUIET, part=PART)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_two_workers_write_the_bytes_that_one_writes(kind: str, tmp_path: Path) -> None:
    one, two = drawn(tmp_path / "one", kind), drawn(tmp_path / "two", kind, workers=2)
    assert content(one) == content(two)
    assert len(list(one.rglob("*.jpg"))) == COUNT


def test_another_seed_gives_other_pictures(tmp_path: Path) -> None:
    first, second = drawn(tmp_path / "a", count=2), drawn(tmp_path / "b", seed=4, count=2)
    for picture in sorted(first.rglob("*.jpg")):
        assert picture.read_bytes() != (second / picture.relative_to(first)).read_bytes()


def test_a_picture_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    few, many = drawn(tmp_path / "few", count=2), drawn(tmp_path / "many", count=6)
    for picture in sorted(few.rglob("*.jpg")):
        assert picture.read_bytes() == (many / picture.relative_to(few)).read_bytes()


def test_what_was_drawn_before_a_failure_is_not_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = content(drawn(tmp_path / "undisturbed"))
    drawings: list[int] = []

    def draw_until(limit: int) -> None:
        def draw(self: Faces, seed: int, index: int) -> Drawn:
            if len(drawings) >= limit:
                raise KeyboardInterrupt
            drawings.append(index)
            return original(self, seed, index)

        monkeypatch.setattr(Faces, "draw", draw)

    original = Faces.draw
    draw_until(5)
    with pytest.raises(KeyboardInterrupt):
        drawn(tmp_path / "again")
    assert not (tmp_path / "again" / RECORD_FILE).exists()
    drawings.clear()
    draw_until(COUNT)
    assert content(drawn(tmp_path / "again")) == undisturbed
    assert drawings == list(range(2 * PART, COUNT))
    drawings.clear()
    drawn(tmp_path / "again")
    assert drawings == [], "a finished folder is used as is"


def test_killed_with_two_workers_it_resumes(tmp_path: Path) -> None:
    undisturbed = content(drawn(tmp_path / "undisturbed"))
    folder = tmp_path / "killed"
    program = (
        "from pathlib import Path; from data_prep.progress import Progress; import sys\n"
        "from data_prep.drawing.raw_folder import draw_raw_folder\n"
        "draw_raw_folder('faces', Path(sys.argv[1]), count=12, seed=3, workers=2, part=2, progress=Progress(shown=False))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        cwd=ROOT,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while not list(folder.glob(".work/part-*.json")) and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(folder.rglob("*.jpg"))
    assert content(drawn(folder)) == undisturbed


def test_killed_before_its_first_record_or_after_its_last_it_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = content(drawn(tmp_path / "undisturbed", count=2))
    (tmp_path / "begun" / ".work").mkdir(parents=True)
    (tmp_path / "begun" / ".work" / ".drawing.json.0011aabb.partial").touch()
    assert content(drawn(tmp_path / "begun", count=2)) == undisturbed

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("data_prep.drawing.raw_folder.shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        drawn(tmp_path / "ended", count=2)
    monkeypatch.undo()
    found = content(drawn(tmp_path / "ended", count=2))
    assert {name: found[name] for name in undisturbed} == undisturbed


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(RawDataError, match="is not empty, and its content was not drawn"):
        drawn(tmp_path / "mine")
    assert content(tmp_path / "mine") == {"thesis.txt": b"years of work"}


def test_a_folder_of_other_pictures_is_left_alone(tmp_path: Path) -> None:
    before = content(drawn(tmp_path / "faces", count=2))
    with pytest.raises(RawDataError, match="seed 3, not 5; choose another folder"):
        drawn(tmp_path / "faces", seed=5, count=2)
    assert content(tmp_path / "faces") == before


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    drawn(tmp_path / "faces", count=2)
    (tmp_path / "faces" / RECORD_FILE).write_text("{")
    with pytest.raises(RawDataError, match=r"drawing\.json is damaged .*draw it again"):
        drawn(tmp_path / "faces", count=2)


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (3, -1)])
def test_invalid_numbers_are_refused(count: int, seed: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be drawn"):
        drawn(tmp_path / "none", count=count, seed=seed)
    with pytest.raises(ConfigError, match="workers is 0"):
        drawn(tmp_path / "none", workers=0)
    assert not (tmp_path / "none").exists()


def test_an_unknown_drawing_is_refused_with_a_list_of_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="there are faces, radiographs"):
        drawing_named("cats")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_factors_and_regions_of_every_picture_are_written(kind: str, tmp_path: Path) -> None:
    folder, drawing = drawn(tmp_path / "raw", kind, count=12), drawing_named(kind)
    header, *rows = (folder / raw_folder.FACTORS_FILE).read_text().splitlines()
    assert header.split(",") == ["file", *drawing.factors]
    for index, row in enumerate(rows):
        file, *values = row.split(",")
        assert file == drawing.file(index, 12)
        assert drawing.index_of(file, 12) == index
        assert [float(v) for v in values] == pytest.approx(drawing.factors_of(3, index), rel=1e-4, abs=1e-6)
    _, *boxes = (folder / raw_folder.REGIONS_FILE).read_text().splitlines()
    assert len(boxes) == 12 * len(drawing.labels)
    for box in boxes:
        file, label, *corners = box.split(",")
        left, upper, right, lower = map(int, corners)
        assert (folder / file).is_file()
        assert label in drawing.labels
        assert 0 <= left < right
        assert 0 <= upper < lower
