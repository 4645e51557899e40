"""The list parsers: tolerant of form, and every error in the content is one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.celeba_names import ATTRIBUTES
from data_prep.errors import RawDataError
from data_prep.sources.celeba_lists import read_attributes, read_partition
from data_prep.sources.chexpert import LABELS, read_labels
from data_prep.sources.text_tables import NamedRows
from tests.data_prep.sources.raw_pictures import (
    CHEXPERT_HEADER,
    attributes_csv,
    attributes_text,
    chexpert_row,
    partition_csv,
    partition_of,
    partition_text,
    shown_attributes,
)

ROWS = 6
many = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def attributes(path: Path) -> NamedRows:
    return read_attributes(path, ["Smiling", "Young"])


def chexpert(path: Path) -> NamedRows:
    return read_labels(path, "train")


def chexpert_text() -> str:
    values = ("1.0", "0.0", "-1.0", "")
    rows = [
        chexpert_row(
            f"train/patient{i:05d}/study1/view1_frontal.jpg", [values[(i + k) % 4] for k in range(5)]
        )
        for i in range(ROWS)
    ]
    return "\n".join([CHEXPERT_HEADER, *rows]) + "\n"


Parser = Callable[[Path], NamedRows]
LISTS: dict[str, tuple[Parser, str]] = {
    "attributes.txt": (attributes, attributes_text(shown_attributes(ROWS))),
    "attributes.csv": (attributes, attributes_csv(shown_attributes(ROWS))),
    "partition.txt": (read_partition, partition_text(partition_of(ROWS))),
    "partition.csv": (read_partition, partition_csv(partition_of(ROWS))),
    "chexpert.csv": (chexpert, chexpert_text()),
}
each_list = pytest.mark.parametrize("name", LISTS)


def read(folder: Path, name: str, content: str | bytes) -> NamedRows:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return LISTS[name][0](path)


def refused(folder: Path, name: str, content: str | bytes) -> str:
    """The one-line message that a list is refused with; it names the file."""
    with pytest.raises(RawDataError) as caught:
        read(folder, name, content)
    message = str(caught.value)
    assert str(folder / name) in message
    assert message.isprintable()
    return message


def same(one: NamedRows, other: NamedRows) -> bool:
    return np.array_equal(one.names, other.names) and np.array_equal(one.values, other.values)


def rows_of(name: str) -> tuple[list[str], list[str]]:
    """Lines of a list before its rows, and its rows."""
    lines = LISTS[name][1].splitlines()
    before = {"attributes.txt": 2, "partition.txt": 0}.get(name, 1)
    return lines[:before], lines[before:]


def separator(name: str) -> str:
    return "," if name.endswith("csv") else " "


@each_list
def test_rows_are_what_the_list_says(tmp_path: Path, name: str) -> None:
    rows = read(tmp_path, name, LISTS[name][1])
    assert len(rows) == ROWS
    if name.startswith("attributes"):
        columns = [ATTRIBUTES.index(a) for a in ("Smiling", "Young")]
        np.testing.assert_array_equal(rows.values, shown_attributes(ROWS)[:, columns])
    elif name.startswith("partition"):
        np.testing.assert_array_equal(rows.values[:, 0], partition_of(ROWS))
    else:
        assert rows.values[0].tolist() == [1, 0, -1, -2, 1, 1]
    before, _ = rows_of(name)
    assert rows.lines.tolist() == [len(before) + 1 + i for i in range(ROWS)]


@many
@each_list
@given(data=st.data())
def test_form_does_not_matter(tmp_path: Path, name: str, data: st.DataObject) -> None:
    """Line endings, a byte order mark, blanks, empty lines, the order of the rows, folders before the names."""
    before, rows = rows_of(name)
    part = separator(name)
    if part == " ":
        blanks = data.draw(st.sampled_from([" ", "  ", "\t", " \t "]))
        before, rows = ([blanks.join(line.split()) for line in lines] for lines in (before, rows))
    else:
        blanks = data.draw(st.sampled_from(["", " ", "\t"]))
        before, rows = (
            [line.replace(",", f"{blanks},{blanks}") for line in lines] for lines in (before, rows)
        )
    rows = data.draw(st.permutations(rows))
    folder = data.draw(st.sampled_from(["", "./", "/data/x/", "C:\\x\\", "a/b/"]))
    if name == "chexpert.csv":
        rows = [row.replace("CheXpert-v1.0-small/", folder, 1) for row in rows]
    else:
        rows = [folder + row for row in rows]
    ending = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    empty = data.draw(st.lists(st.integers(0, len(rows)), max_size=3))
    for position in sorted(empty, reverse=True):
        rows.insert(position, data.draw(st.sampled_from(["", "  ", "\t"])))
    text = ending.join([*before, *rows]) + data.draw(st.sampled_from(["", ending, ending * 3]))
    mark = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    assert same(read(tmp_path, name, mark + text.encode()), read(tmp_path, name, LISTS[name][1]))


@many
@each_list
@given(
    content=st.one_of(
        st.binary(max_size=300), st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace"))
    )
)
def test_any_other_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    refused(tmp_path, name, content)


@many
@each_list
@given(data=st.data())
def test_a_wrong_value_is_refused_with_its_line(tmp_path: Path, name: str, data: st.DataObject) -> None:
    before, rows = rows_of(name)
    part = separator(name)
    number = data.draw(st.integers(0, ROWS - 1))
    fields = rows[number].split(part) if part == "," else rows[number].split()
    columns = list(range(1, len(fields)))
    if name == "chexpert.csv":
        header = CHEXPERT_HEADER.split(",")
        columns = [header.index(column) for column in (*LABELS, "Frontal/Lateral")]
    allowed = {"0", "1", "2", "-1", "0.0", "1.0", "-1.0", "", "frontal", "lateral", "2.0"}
    allowed |= {"yes", "no", "true", "false"} if name.startswith("attributes") else {"nan", "none"}
    wrong = data.draw(
        st.one_of(
            st.sampled_from(
                ["2.5", "nan", "inf", "-", "--1", "+1", "1e0", "yes", "None", "１", "-1 -1", "3", "-2"]
            ),
            st.text(
                st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters='," '), min_size=1
            ),
        ).filter(lambda text: text.strip().lower() not in allowed and not text.isspace())
    )
    fields[data.draw(st.sampled_from(columns))] = wrong
    rows[number] = part.join(fields)
    message = refused(tmp_path, name, "\n".join([*before, *rows]))
    assert f"line {len(before) + 1 + number}" in message


@many
@each_list
@given(data=st.data())
def test_a_row_with_too_few_or_too_many_fields_is_refused_with_its_line(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    before, rows = rows_of(name)
    part = separator(name)
    number = data.draw(st.integers(0, ROWS - 1))
    fields = rows[number].split(part) if part == "," else rows[number].split()
    if data.draw(st.booleans()):
        fields = fields[: data.draw(st.integers(1, len(fields) - 1))]
    else:
        fields += data.draw(st.lists(st.sampled_from(["1", "-1", "0"]), min_size=1, max_size=50))
    rows[number] = part.join(fields)
    assert f"line {len(before) + 1 + number}" in refused(tmp_path, name, "\n".join([*before, *rows]))


@many
@each_list
@given(data=st.data())
def test_a_picture_named_twice_is_refused_with_both_lines(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    before, rows = rows_of(name)
    first, second = sorted(data.draw(st.lists(st.integers(0, ROWS), min_size=2, max_size=2, unique=True)))
    rows.insert(second, rows[first])
    message = refused(tmp_path, name, "\n".join([*before, *rows]))
    assert f"line {len(before) + 1 + second}: " in message
    assert f"occurs twice (first in line {len(before) + 1 + first})" in message


@many
@each_list
@given(data=st.data())
def test_an_invalid_name_is_refused_with_its_line(tmp_path: Path, name: str, data: st.DataObject) -> None:
    before, rows = rows_of(name)
    number = data.draw(st.integers(0, ROWS - 1))
    fields = rows[number].split(separator(name))
    names = [
        "x",
        "..",
        "../",
        "/",
        "1",
        ".jpg",
        "000001.txt",
        "a/..",
        "\\",
        "000001",
        "x.jpg\x07",
        "train/patient1.jpg/",
    ]
    fields[0] = data.draw(st.sampled_from(names))
    rows[number] = separator(name).join(fields)
    assert f"line {len(before) + 1 + number}" in refused(tmp_path, name, "\n".join([*before, *rows]))


@many
@each_list
@given(data=st.data())
def test_a_damaged_file_never_ends_in_another_exception(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    """Bytes overwritten, removed, inserted: it is refused in one sentence, or still a valid list."""
    content = bytearray(LISTS[name][1].encode())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 20))
        content[position : position + length] = data.draw(st.binary(max_size=20))
    try:
        rows = read(tmp_path, name, bytes(content))
    except RawDataError as error:
        message = str(error)
    else:
        message = str(tmp_path / name)
        assert len(rows) > 0
        assert len(set(rows.names.tolist())) == len(rows)
    assert str(tmp_path / name) in message
    assert message.isprintable()


@pytest.mark.parametrize("length", range(0, 1600, 13))
def test_every_truncation_of_the_official_attributes_is_refused(tmp_path: Path, length: int) -> None:
    content = LISTS["attributes.txt"][1].rstrip()
    assert len(content) > 1250
    refused(tmp_path, "attributes.txt", content[: min(length, len(content) - 1)])


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("attributes.txt", "Smiling", "Smilling", "line 2: 'Smilling' is not one of CelebA's 40 attributes"),
        ("attributes.csv", "Smiling", "Smilling", "line 1 has no attribute Smiling"),
        ("attributes.txt", "Smiling", "Young", "line 2: the attribute Young occurs twice"),
        ("attributes.txt", "6\n", "7\n", "has 6 rows, but its line 1 says 7"),
        ("attributes.txt", "6\n", "6.0\n", "line 1 is '6.0', where the number of rows is expected"),
        ("attributes.txt", "6\n", "", "has 6 rows"),
        ("chexpert.csv", "Edema", "Oedema", "line 1 has no column edema"),
        ("chexpert.csv", "Fracture", "Edema", "line 1: the column 'Edema' occurs twice"),
        ("chexpert.csv", "Frontal,AP", "Front,AP", "line 2: the view is 'Front'"),
        (
            "chexpert.csv",
            "train/patient00000",
            "valid/patient00000",
            "line 2: .* does not end like train/patient",
        ),
        ("chexpert.csv", ',"68"', ',"68', "line 2"),
    ],
)
def test_sentences(tmp_path: Path, name: str, old: str, new: str, sentence: str) -> None:
    text = LISTS[name][1].replace(",68", ',"68"')
    assert old in text
    if (old, new) == ("6\n", ""):
        assert same(read(tmp_path, name, text.replace(old, new, 1)), read(tmp_path, name, text))
        return
    with pytest.raises(RawDataError, match=sentence):
        read(tmp_path, name, text.replace(old, new, 1))


def test_a_list_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match=f"{tmp_path} cannot be read: Is a directory"):
        read_partition(tmp_path)


def test_an_endless_line_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    assert "line 3 is longer than 65536 characters" in refused(
        tmp_path, "partition.txt", LISTS["partition.txt"][1][:26] + "x" * 10_000_000
    )
