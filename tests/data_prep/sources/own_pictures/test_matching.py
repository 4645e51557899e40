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


def test_a_name_of_two_files_is_a_name_of_none() -> None:
    rule, share = best_rule(pa.array(["1.png", "2.png"]), pa.array(FILES))
    assert share == 0.5
    assert matched(pa.array(["1.png", "2.png", "4.png"]), pa.array(FILES), rule).tolist() == [-1, 1, -1]
