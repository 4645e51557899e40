"""Tables in the dialects that people have."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from data_prep.errors import RawDataError
from data_prep.sources.own_pictures.table import read_text_table
from data_prep.sources.picture_files import ENDINGS

SAME = {"name": ["x;y.png", "ä,b.png"], "note": ['says "hi"', "two\nlines"], "a": ["1", ""]}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_dialect_gives_the_same_columns(
    tmp_path: Path, separator: str, encoding: str, end: str
) -> None:
    lines = [
        ["name", " note ", "a"],
        ['"x;y.png"', '"says ""hi"""', "1 "],
        ['"ä,b.png"', '"two\nlines"', ""],
        ["", "", ""],
    ]
    text = "".join(separator.join(line) + end for line in lines)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    table = read_text_table(tmp_path / "t.csv", ENDINGS)
    assert {name: column.all_texts().to_pylist() for name, column in table.columns.items()} == SAME


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (",name,a\n0,x.png,1\n1,y.png,0\n", ["column 1", "name", "a"]),
        ("name,a\n0,x.png,1\n1,y.png,0\n", ["column 1", "name", "a"]),  # R's names of rows
        ("x.png,1\ny.png,0\n", ["column 1", "column 2"]),
    ],
)
def test_columns_without_a_name_get_one(tmp_path: Path, text: str, columns: list[str]) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    table = read_text_table(tmp_path / "t.csv.gz", ENDINGS)
    assert list(table.columns) == columns
    assert len(table) == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"name,a\n", "has no rows"),
        (b"<!DOCTYPE html>\n<a,b>", "is a web page"),
        (b"name\nx.png\n", "has a single column"),
        (b"name,a,A\nx.png,1,1\n", "column 'A' occurs twice"),
        (b"name,a\nx.png,1\ny.png,1,2\n", "line 3 has 3 fields for 2 columns"),
        (b"name,a\nx\0.png,1\n", "zero byte"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(RawDataError, match=f"t.csv.*{sentence}"):
        read_text_table(tmp_path / "t.csv", ENDINGS)
