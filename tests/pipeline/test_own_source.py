"""The source of a network of the user's own: what it is found by, what its hash depends on, and its copy in a sweep."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data_prep.errors import ConfigError
from pipeline.own_source import OwnSource, identity_of
from tests.pipeline.networks.own_networks import SMALL, write_package, write_small


def test_it_is_identified_by_its_content_wherever_it_is_and_by_its_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = write_small(tmp_path / "a")
    same = [write_small(tmp_path / "b", "other.py"), OwnSource.read(choice).copied_into(tmp_path / "sweep")]
    monkeypatch.chdir(tmp_path)
    same.append("a/mine.py:Small")
    assert {identity_of(each) for each in same} == {identity_of(choice)}
    assert identity_of("a/mine.py:Other") != identity_of(choice)
    assert identity_of(write_small(tmp_path / "b", text=SMALL + "\n")) != identity_of(choice)

    package = identity_of(write_package(tmp_path / "c"))
    assert package != identity_of(choice)
    monkeypatch.chdir(tmp_path / "c")
    assert identity_of("blocks.small:Small") == package
    (tmp_path / "c" / "blocks" / "layers.py").write_text("width = 30\n")
    assert identity_of("blocks.small:Small") != package


def test_a_sweeps_copy_has_every_python_file_and_is_refused_if_it_was_changed(tmp_path: Path) -> None:
    choice = write_package(tmp_path / "a")
    copy = OwnSource.read(choice).copied_into(tmp_path / "sweep")
    identity, files = identity_of(choice), OwnSource.read(choice).files
    shutil.rmtree(tmp_path / "a")
    assert (identity_of(copy), OwnSource.read(copy).files) == (identity, files)
    assert OwnSource.read(copy).copied_into(tmp_path / "sweep") == copy
    assert OwnSource.read(copy).copied_into(tmp_path / "another") != copy
    layers = Path(copy.partition("/blocks.small")[0], "blocks", "layers.py")
    layers.write_text("width = 30\n")
    with pytest.raises(
        ConfigError, match="the sweep's copy of its source was changed; undo the change, or remove "
    ):
        OwnSource.read(copy)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("nets/missing.py", "/.*/nets/missing.py cannot be read: No such file or directory"),
        ("no_such_package", "there is no module no_such_package in /.* or on Python's path"),
        ("nets/blocks.small", "there is no module blocks in nets"),
        ("a/blocks.smal", "/.*/a has no Python file of a module blocks.smal"),
    ],
)
def test_what_is_not_found_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, sentence: str
) -> None:
    write_package(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"^network {place}:Small: {sentence}$"):
        OwnSource.read(f"{place}:Small")


def test_a_file_that_is_not_python_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^network .*:Small is not Python: .*\(mine.py, line 1\)$"):
        OwnSource.read(write_small(tmp_path, text="class Small("))


def test_imports_that_a_copy_would_not_have_are_refused(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("")
    sentence = r"mine.py, line 1, imports beside, which its copy in a sweep would not have: put what belongs together .*"
    with pytest.raises(ConfigError, match=sentence):
        OwnSource.read(write_small(tmp_path, text="from beside import x\n" + SMALL))
    with pytest.raises(ConfigError, match=r"blocks/small.py, line 1, imports blocks, which its copy .*"):
        OwnSource.read(write_package(tmp_path, imports="from blocks.layers import width"))
