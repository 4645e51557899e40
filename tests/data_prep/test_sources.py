"""Where raw files are found, and the messages when they are missing or invalid."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from data_prep.errors import ConfigError, RawDataError
from data_prep.files import checksum
from data_prep.progress import Progress
from data_prep.sources import SOURCES, UnknownSource, canonical_name, settable_options, source_named
from data_prep.sources.idx_images import IdxImages
from data_prep.sources.mnist import fashion_mnist
from data_prep.sources.raw_files import cache_folder
from tests.data_prep.fixtures import TINY_ROWS, blobs, content, idx_bytes, write_raw
from tests.data_prep.sources.raw_pictures import write_zip

QUIET = Progress(shown=False)
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def known_tiny(tiny_raw: Path, raw: Path | None) -> IdxImages:
    """The tiny files as a source whose checksums are known in advance, like FashionMNIST's."""
    known = {name: hashlib.md5(data).hexdigest() for name, data in content(tiny_raw).items()}
    return replace(fashion_mnist(raw), name="tiny", title="Tiny", md5=known, system_folder=None, mirrors=())


def test_names_are_found_with_hyphens_or_underscores_and_close_ones_are_suggested() -> None:
    assert canonical_name("Fashion-MNIST") == canonical_name("fashion_mnist") == "fashion_mnist"
    with pytest.raises(UnknownSource, match=r"did you mean fashion_mnist\?.*idx_folder, mnist"):
        canonical_name("fashion-mnits")
    with pytest.raises(UnknownSource, match=r"did you mean pictures\?"):
        canonical_name("ImageFolder")
    with pytest.raises(UnknownSource, match=r"available: .*fashion_mnist, ") as caught:
        canonical_name("zzz")
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_source_states_where_it_comes_from(name: str) -> None:
    source = source_named(name)
    assert source.name == name
    assert source.home
    assert source.licence


def test_rows_are_those_of_the_files(tiny_raw: Path, tmp_path: Path) -> None:
    source = source_named("idx_folder", tiny_raw).verified(tmp_path, QUIET)
    images, classes = blobs(TINY_ROWS["test"], seed=1)
    rows = source.rows("test", 50, 120)
    np.testing.assert_array_equal(rows.image[:, 0], images[50:120])
    np.testing.assert_array_equal(rows.labels[:, 0], classes[50:120])
    assert rows.observed.all()
    assert not rows.reference.any()
    assert list(rows.ids) == source.ids("test")[50:120]
    rows.check((1, 28, 28), [10], 0)


@pytest.mark.parametrize("layout", ["", "raw", "FashionMNIST/raw"])
@pytest.mark.parametrize("packed", [False, True])
def test_usual_layouts_and_spellings_are_found(tmp_path: Path, layout: str, packed: bool) -> None:
    folder = write_raw(tmp_path / "raw files, 'odd' \"name\"" / layout, packed=packed)
    for path in folder.iterdir():
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    source = source_named("idx_folder", tmp_path / "raw files, 'odd' \"name\"")
    assert dict(source.verified(tmp_path / "work", QUIET).splits()) == TINY_ROWS


def as_emnist(folder: Path) -> None:
    """Several data sets in one folder; those that are not wanted are incomplete, or smaller."""
    for path in list(folder.iterdir()):
        path.rename(folder / f"emnist-letters-{path.name.replace('t10k', 'test')}")
    write_raw(folder / "of another", {"train": 20, "test": 10})
    (folder / "emnist-digits-train-images-idx3-ubyte").write_bytes(b"")


def as_kaggle(folder: Path) -> None:
    for path in list(folder.iterdir()):
        content = path.read_bytes()
        path.unlink()
        path.mkdir()
        (path / path.name).write_bytes(content)


def as_torchvision(folder: Path) -> None:
    files = list(folder.iterdir())
    for name in ("KMNIST", "idx-folder"):
        (folder / name / "raw").mkdir(parents=True)
    for path in files:
        path.rename(folder / "idx-folder" / "raw" / path.name)
    write_raw(folder / "KMNIST" / "raw", {"train": 20, "test": 10})


def as_zips(folder: Path) -> None:
    for path in list(folder.iterdir()):
        write_zip(path.with_name(f"{path.name}.zip"), {path.name: path.read_bytes()})
        path.unlink()


def as_qmnist(folder: Path) -> None:
    """QMNIST's labels are rows of eight int32, the class first."""
    for path in list(folder.iterdir()):
        new = folder / f"qmnist-{path.name.replace('t10k', 'test')}.gz".replace("idx1-ubyte", "idx2-int")
        content = path.read_bytes()
        if "labels" in path.name:
            rows = np.zeros((len(content) - 8, 8), dtype=">i4")
            rows[:, 0] = np.frombuffer(content, np.uint8, offset=8)
            content = b"\0\0\x0c\2" + np.array(rows.shape, dtype=">u4").tobytes() + rows.tobytes()
        new.write_bytes(gzip.compress(content))
        path.unlink()


@pytest.mark.parametrize("form", [as_emnist, as_kaggle, as_torchvision, as_zips, as_qmnist])
def test_the_names_of_the_family_are_found_and_give_the_same_rows(
    tmp_path: Path, tiny_raw: Path, form: Callable[[Path], None]
) -> None:
    raw = write_raw(tmp_path / "raw")
    form(raw)
    found = source_named("idx_folder", raw).verified(tmp_path / "work", QUIET)
    expected = source_named("idx_folder", tiny_raw).verified(tmp_path / "other", QUIET)
    for split in TINY_ROWS:
        one, other = found.rows(split, 10, 60), expected.rows(split, 10, 60)
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_one_archive_of_all_and_one_of_several_data_sets_in_a_folder_are_taken(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", packed=True)
    write_zip(tmp_path / "all.zip", {f"gzip/{p.name}": p.read_bytes() for p in raw.iterdir()})
    assert source_named("idx_folder", tmp_path / "all.zip").splits() == TINY_ROWS
    for path in list(raw.iterdir()):
        (raw / f"emnist-digits-{path.name}").write_bytes(path.read_bytes())
        path.rename(raw / f"emnist-letters-{path.name}")
    with pytest.raises(ConfigError, match=r"2 data sets: emnist-digits, emnist-letters; .* files=NAME"):
        source_named("idx_folder", raw).splits()
    source = source_named("idx_folder", raw, {"files": "emnist-letters"})
    ready = source.verified(tmp_path / "work", QUIET)
    assert source_named("idx_folder", ready.raw, settable_options(source)).splits() == TINY_ROWS


def test_missing_files_of_a_named_folder_are_listed(tiny_raw: Path, tmp_path: Path) -> None:
    write_raw(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(RawDataError, match="lacks t10k-labels-idx1-ubyte of FashionMNIST") as caught:
        source_named("fashion_mnist", tmp_path).verified(tmp_path / "work", QUIET)
    assert str(tmp_path) in str(caught.value)


def test_a_file_that_is_not_the_known_one_is_refused_with_both_checksums(
    tiny_raw: Path, tmp_path: Path
) -> None:
    raw = write_raw(tmp_path / "raw")
    images = raw / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-1] + b"\xff")
    source = known_tiny(tiny_raw, raw)
    with pytest.raises(RawDataError, match="is not the file of Tiny") as caught:
        source.verified(tmp_path / "work", QUIET)
    for part in (str(images), checksum(images, "md5"), checksum(tiny_raw / images.name, "md5")):
        assert part in str(caught.value)
    assert not (tmp_path / "work" / images.name).exists()


def test_a_truncated_packed_file_is_named_with_the_byte(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", packed=True)
    images = raw / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:5000])
    with pytest.raises(RawDataError, match=r"is truncated: .* byte \d+") as caught:
        source_named("idx_folder", raw).checksums()
    assert str(images) in str(caught.value)


def test_a_label_out_of_range_is_named_with_its_row_and_byte(tiny_raw: Path, tmp_path: Path) -> None:
    raw = write_raw(tmp_path)
    labels = raw / "train-labels-idx1-ubyte"
    damaged = bytearray(labels.read_bytes())
    damaged[8 + 17] = 23
    labels.write_bytes(damaged)
    with pytest.raises(RawDataError, match=r"row 17 \(byte 25\) has the label 23") as caught:
        known_tiny(tiny_raw, raw).label_column("train")
    assert str(labels) in str(caught.value)


def test_labels_and_images_must_be_equally_many(tmp_path: Path) -> None:
    raw = write_raw(tmp_path)
    (raw / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(199, dtype=np.uint8)))
    with pytest.raises(RawDataError, match="199 labels for the 200 images"):
        source_named("idx_folder", raw).splits()


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_the_system_package_is_found_and_is_the_official_data(tmp_path: Path) -> None:
    source = source_named("fashion_mnist").verified(tmp_path / "work", QUIET)
    assert dict(source.splits()) == {"train": 60_000, "test": 10_000}
    assert source.rows("train", 0, 5).labels[:, 0].tolist() == [
        9,
        0,
        0,
        3,
        0,
    ]  # ankle boot first, as is well known


def test_held_out_rows_are_the_last_of_the_training_files_and_keep_their_names(tiny_raw: Path) -> None:
    whole = known_tiny(tiny_raw, tiny_raw)
    parted = replace(whole, held_out=100)
    assert dict(parted.splits()) == {"train": 500, "valid": 100, "test": 200}
    assert [*parted.ids("train"), *parted.ids("valid")] == whole.ids("train")
    assert parted.ids("test") == whole.ids("test")
    both = np.concatenate([parted.label_column("train"), parted.label_column("valid")])
    np.testing.assert_array_equal(both, whole.label_column("train"))
    rows, same = parted.rows("valid", 10, 30), whole.rows("train", 510, 530)
    np.testing.assert_array_equal(rows.image, same.image)
    np.testing.assert_array_equal(rows.labels, same.labels)
    assert list(rows.ids) == list(same.ids)
    assert parted.options != whole.options, "it is another data set"


class BreakingServer(BaseHTTPRequestHandler):
    """A mirror that breaks the connection after some bytes, and supports range requests."""

    files: ClassVar[dict[str, bytes]] = {}
    ranges: ClassVar[list[str | None]] = []
    break_after: ClassVar[int | None] = None

    def do_GET(self) -> None:
        body = self.files.get(self.path.lstrip("/"))
        if body is None:
            self.send_error(404)
            return
        self.ranges.append(self.headers.get("Range"))
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:][: self.break_after])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror(tiny_raw: Path) -> Iterator[str]:
    BreakingServer.files = {f"{name}.gz": gzip.compress(data) for name, data in content(tiny_raw).items()}
    BreakingServer.ranges, BreakingServer.break_after = [], None
    server = ThreadingHTTPServer(("127.0.0.1", 0), BreakingServer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_download_resumes_where_it_broke_off(tiny_raw: Path, tmp_path: Path, mirror: str) -> None:
    source = replace(known_tiny(tiny_raw, None), mirrors=(mirror,))
    BreakingServer.break_after = 70_000
    with pytest.raises(RawDataError, match=r"cannot be downloaded .*put .*train-images-idx3-ubyte.gz.* into"):
        source.verified(tmp_path / "work", QUIET)
    BreakingServer.break_after = None
    ready = source.verified(tmp_path / "work", QUIET)
    assert BreakingServer.ranges[:2] == [None, "bytes=65536-"]  # the block that broke off is lost
    assert {name: (tmp_path / "work" / name).read_bytes() for name in content(tiny_raw)} == content(tiny_raw)
    assert dict(ready.splits()) == TINY_ROWS
    requests = len(BreakingServer.ranges)
    source.verified(tmp_path / "work", QUIET)
    assert len(BreakingServer.ranges) == requests, "what is in the cache is not fetched again"


def test_a_second_mirror_is_tried_and_a_wrong_file_is_detected(
    tiny_raw: Path, tmp_path: Path, mirror: str
) -> None:
    name = "train-labels-idx1-ubyte.gz"
    good = BreakingServer.files[name]
    BreakingServer.files[name] = gzip.compress(idx_bytes(np.zeros(600, dtype=np.uint8)))
    source = replace(known_tiny(tiny_raw, None), mirrors=(f"{mirror}nothing-here/", mirror))
    with pytest.raises(RawDataError, match="remove it to download it again"):
        source.verified(tmp_path / "work", QUIET)
    BreakingServer.files[name] = good
    (cache_folder("tiny") / name).unlink()
    assert dict(source.verified(tmp_path / "work", QUIET).splits()) == TINY_ROWS


def test_without_a_network_the_message_says_which_files_to_put_where(tiny_raw: Path, tmp_path: Path) -> None:
    source = replace(known_tiny(tiny_raw, None), mirrors=("http://127.0.0.1:9/",))
    with pytest.raises(RawDataError) as caught:
        source.verified(tmp_path / "work", QUIET)
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        *(f"{name}.gz" for name in content(tiny_raw)),
        str(cache_folder("tiny")),
        "--raw",
        "refused",
    ):
        assert part in message
