"""AffectNet's list of annotated faces, and a list of the user's own reference faces in the same format.

``training.csv``: ``subDirectory_filePath, face_x, face_y, face_width, face_height, facial_landmarks, expression, valence,
arousal``, with or without this header line. The landmarks are ``x;y;x;y;…`` of 68 points in pixels of the
picture. Expressions: 0 neutral, 1 to 7 as in ``EXPRESSIONS``, 8 none, 9 uncertain, 10 no face; rows of the last three
are skipped. A list of reference faces needs only the columns ``subDirectory_filePath`` and ``facial_landmarks``.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.faults import OnError, raising
from data_prep.sources.affectnet_npy import Annotations
from data_prep.sources.face_alignment import POINTS
from data_prep.sources.text_tables import Names, RowCollector, TextFile, quoted, read_table

EXPRESSIONS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")

LONGEST_NAME = 200
"""bytes of a picture's path below its folder"""

_HEADER = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression",
    "valence", "arousal",
)  # fmt: skip
_NAME, _LANDMARKS, _EXPRESSION = "subDirectory_filePath", "facial_landmarks", "expression"
_MOST_EXPRESSION = 10
_FARTHEST = 1e5  # pixels: no picture is that large


@dataclass(frozen=True)
class ListedFaces:
    """The usable faces of a list, by column, in the order of their names."""

    path: TextFile | Annotations
    names: Names
    """(n,): paths below the folder of the pictures, with slashes"""
    lines: NDArray[np.int64]
    """(n,): its line in the list"""
    expressions: NDArray[np.int8]
    """(n,): 0 to 7; 0 if the list has no such column"""
    landmarks: NDArray[np.float32]
    """(n, 68, 2)"""

    def __len__(self) -> int:
        return len(self.names)


def read_faces(
    path: TextFile | Annotations, *, with_expressions: bool, on_error: OnError = raising
) -> ListedFaces:
    """Read a list; each error names the file and the line of what is wrong."""
    wanted = (_NAME, _LANDMARKS, _EXPRESSION) if with_expressions else (_NAME, _LANDMARKS)
    columns: dict[str, int] = {}
    collected, landmarks, lines, width = RowCollector(path, 1), array("f"), array("q"), 0
    for line, fields in _table(path, on_error):
        if not columns:
            is_header = _NAME.lower() in (field.lower() for field in fields)
            columns = _columns(path, line, fields if is_header else list(_HEADER), wanted)
            width = len(fields) if is_header else len(_HEADER)
            if is_header:
                continue
        try:
            if len(fields) != width:
                raise RawDataError(f"{path}, line {line} has {len(fields)} fields where {width} are expected")
            expression = _expression(path, line, fields[columns[_EXPRESSION]]) if with_expressions else 0
            if expression >= len(EXPRESSIONS):
                continue
            name = _picture_name(path, line, fields[columns[_NAME]])
            points = _points(path, line, fields[columns[_LANDMARKS]])
        except RawDataError as error:
            on_error(error)
            continue
        collected.add(line, name, [expression])
        landmarks.extend(points)
        lines.append(line)
    rows = collected.rows(on_error)
    order = np.searchsorted(np.frombuffer(lines, dtype=np.int64), rows.lines)
    all_points = np.frombuffer(landmarks, dtype=np.float32).reshape(-1, POINTS, 2)
    if len(order) != len(all_points) or not (order[1:] > order[:-1]).all():
        all_points = all_points[order]
    return ListedFaces(path, rows.names, rows.lines, rows.values[:, 0], all_points)


def _table(path: TextFile | Annotations, on_error: OnError) -> Iterator[tuple[int, list[str]]]:
    """The lines of a list; the pictures of annotations are counted from 1, and have a header of their own."""
    if not isinstance(path, Annotations):
        yield from read_table(path, commas=True)
        return
    yield 0, [_NAME, _EXPRESSION, _LANDMARKS]
    for number, row in enumerate(path.rows(on_error), 1):
        yield number, list(row)


def _columns(
    path: TextFile | Annotations, line: int, header: list[str], wanted: tuple[str, ...]
) -> dict[str, int]:
    lowered = [field.lower() for field in header]
    for name in wanted:
        if lowered.count(name.lower()) != 1:
            raise RawDataError(
                f"{path}, line {line} names {lowered.count(name.lower())} columns {name} where one is expected"
            )
    return {name: lowered.index(name.lower()) for name in wanted}


def _picture_name(path: TextFile | Annotations, line: int, text: str) -> str:
    name = PurePosixPath(text.replace("\\", "/"))
    if len(text.encode()) > LONGEST_NAME:
        raise RawDataError(f"{path}, line {line}: the name of a picture is longer than {LONGEST_NAME} bytes")
    if not text or name.is_absolute() or ".." in name.parts or not name.name:
        raise RawDataError(
            f"{path}, line {line}: {quoted(text)} is not a path below the folder of the pictures"
        )
    return str(name)


def _expression(path: TextFile | Annotations, line: int, text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 2 and int(text) <= _MOST_EXPRESSION:
        return int(text)
    raise RawDataError(
        f"{path}, line {line}: the expression is {quoted(text)}, but only 0 to {_MOST_EXPRESSION} are allowed"
    )


def _points(path: TextFile | Annotations, line: int, text: str) -> NDArray[np.float32]:
    """The 136 coordinates, finite and not all in one place."""
    try:
        points = np.array([float(number) for number in text.split(";")], dtype=np.float64)
    except ValueError:
        raise RawDataError(
            f"{path}, line {line}: the landmarks {quoted(text)} are not numbers separated by ;"
        ) from None
    if len(points) != 2 * POINTS:
        raise RawDataError(
            f"{path}, line {line} has {len(points)} coordinates where {POINTS} points are expected"
        )
    if not (np.abs(points) < _FARTHEST).all():  # also false for NaN
        raise RawDataError(
            f"{path}, line {line}: a landmark is at {points[~(np.abs(points) < _FARTHEST)][0]}"
        )
    if np.ptp(points.reshape(-1, 2), axis=0).min() < 1:
        raise RawDataError(f"{path}, line {line}: the landmarks span less than a pixel")
    return points.astype(np.float32)
