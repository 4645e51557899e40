"""Names in tables and files in folders."""

from __future__ import annotations

import pyarrow as pa
import pytest

from data_prep.sources.own_pictures.matching import best_rule, matched

FILES = ["a/1.png", "a/2.png", "b/1.png", "b/three.JPG"]


@pytest.mark.parametrize(
    ("texts", "files", "rule"),
    [
        (["b/1.png", "a/2.png"], [2, 1], "path"),
        (["b\\1.png", "./a/2.png"], [2, 1], "path"),
        (["/mnt/disk/data/b/1.png", "C:\\data\\a\\2.png"], [2, 1], "last 2 parts of the path"),
        (["2.png", "three.JPG"], [1, 3], "file name"),
        (["three.jpg", "2.PNG"], [3, 1], "file name, in any case"),
        (["three", "2"], [3, 1], "file name without ending"),
        (["three.png", "2.tif"], [3, 1], "file name without ending"),
        (["a/1", "b/three"], [0, 3], "path without ending"),
    ],
)
def test_the_strictest_rule_that_fits_is_taken(texts: list[str], files: list[int], rule: str) -> None:
    found, share = best_rule(pa.array(texts), pa.array(FILES))
    assert str(found) == rule
    assert share == 1
    assert matched(pa.array(texts), pa.array(FILES), found).tolist() == files


def test_zeros_that_a_spreadsheet_took_away_are_no_hindrance() -> None:
    files = pa.array(["f/00001.png", "f/00020.png", "f/0.png"])
    rule, share = best_rule(pa.array(["20", "1", "0"]), files)
    assert (str(rule), share) == ("file name without ending, without zeros at its beginning", 1)
    assert matched(pa.array(["20", "1", "0", "2"]), files, rule).tolist() == [1, 0, 2, -1]


def test_a_name_of_two_files_is_a_name_of_none() -> None:
    rule, share = best_rule(pa.array(["1.png", "2.png"]), pa.array(FILES))
    assert share == 0.5
    assert matched(pa.array(["1.png", "2.png", "4.png"]), pa.array(FILES), rule).tolist() == [-1, 1, -1]
