"""CheXpert (Irvin et al. 2019): 224,316 chest radiographs of 65,240 patients, with labels extracted from the reports."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.faults import OnError, raising
from data_prep.hash_order import hash64
from data_prep.manifest import LabelSpec
from data_prep.sources.chexpert_files import find_chexpert
from data_prep.sources.labelled_pictures import LabelledPictures
from data_prep.sources.picture_index import Pictures
from data_prep.sources.picture_listing import Damaged, Listing, WhichPictures, listed
from data_prep.sources.raw_files import cache_folder
from data_prep.sources.text_tables import NamedRows, Names, RowCollector, TextFile, quoted, read_table

LABELS = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
"""The five of Joy et al. 2021, C.2, in their order."""

Uncertain = Literal["unobserved", "ones", "zeros"]
Blank = Literal["zeros", "unobserved"]
Views = Literal["frontal", "all"]

_BLANK, _UNCERTAIN = -2, -1
_VALUES = {
    "": _BLANK,
    "-1": _UNCERTAIN,
    "-1.0": _UNCERTAIN,
    "0": 0,
    "0.0": 0,
    "1": 1,
    "1.0": 1,
} | dict.fromkeys(("nan", "NaN", "NAN", "NA", "N/A", "null", "NULL", "None", "none"), _BLANK)
"""What pandas and others write for a blank is one."""
_VIEWS = {"frontal": 1, "lateral": 0}
_PATH, _VIEW = "path", "frontal/lateral"
_NAME = re.compile(r"(patient\w+)/study\w+/[\w.\-]+\.(jpe?g|png)", re.ASCII | re.IGNORECASE)

_SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}
"""of the patients of ``train.csv``"""
OFFICIAL_VALID = "official_valid"
"""``valid.csv``: 200 studies that three radiologists labelled, so its labels are of another kind"""

_HOME = "https://stanfordmlgroup.github.io/competitions/chexpert/"
_LICENCE = "Stanford University Dataset Research Use Agreement (non-commercial research, no redistribution)"


def chexpert(
    raw: Path | None,
    *,
    uncertain: Uncertain = "unobserved",
    blank: Blank = "zeros",
    views: Views = "frontal",
    pictures: WhichPictures = "all",
    damaged: Damaged = "refuse",
) -> LabelledPictures:
    """CheXpert: five labels, grey radiographs of 64 x 64, split by patient (Joy et al. 2021, C.2).

    ``uncertain``: what -1 counts as. ``blank``: what an unmentioned finding counts as. The splits
    are by patient: a hash of the patient's name decides, so no patient is in two of them, and a subset of the data (the
    frontal views) has the same splits.
    """
    return LabelledPictures(
        name="chexpert",
        title="CheXpert",
        home=_HOME,
        licence=_LICENCE,
        label_specs=tuple(LabelSpec(name, 2, ("no", "yes")) for name in LABELS),
        mode="L",
        size=(64, 64),
        own_options={"uncertain": uncertain, "blank": blank, "views": views},
        pictures=pictures,
        damaged=damaged,
        raw=raw,
        find=partial(_find, uncertain=uncertain, blank=blank, views=views),
    )


def _find(raw: Path | None, on_error: OnError, uncertain: Uncertain, blank: Blank, views: Views) -> Listing:
    lists, files = find_chexpert(raw or cache_folder("chexpert"), _LICENCE, _HOME)
    train = read_labels(lists["train"], "train", on_error)
    split_of, names = _splits_of(train.names), [train.names]
    splits = {
        split: _chosen(train, split_of == number, uncertain, blank, views)
        for number, split in enumerate(_SHARES)
    }
    list_of = dict.fromkeys(splits, train.path)
    if "valid" in lists:
        valid = read_labels(lists["valid"], "valid", on_error)
        everybody = np.ones(len(valid), dtype=np.bool_)
        splits[OFFICIAL_VALID] = _chosen(valid, everybody, uncertain, blank, views)
        list_of[OFFICIAL_VALID] = valid.path
        names.append(valid.names)
    return Listing(files=files, splits=splits, lists=list_of, all_names=np.concatenate(names))


def read_labels(path: TextFile, part: str, on_error: OnError = raising) -> NamedRows:
    """Values (n, 6) of a CheXpert list: 1, 0, -1 (uncertain) or -2 (blank) per label, then whether it is frontal.

    Names are ``<part>/patient00001/study1/view1_frontal.jpg``, in any folder. Each error names the file and line that
    is wrong.
    """
    table = read_table(path, commas=True)
    first, header = next(table)
    columns = {field.lower(): number for number, field in enumerate(header)}
    wanted = (_PATH, _VIEW, *(label.lower() for label in LABELS))
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise RawDataError(f"{path}, line {first} has no column {', '.join(missing)}")
    if len(columns) < len(header):
        twice = next(f for i, f in enumerate(header) if f.lower() in (g.lower() for g in header[:i]))
        raise RawDataError(f"{path}, line {first}: the column {quoted(twice)} occurs twice")
    path_column, view_column = columns[_PATH], columns[_VIEW]
    label_columns = [columns[label.lower()] for label in LABELS]
    rows = RowCollector(path, len(LABELS) + 1)
    for line, fields in table:
        try:
            if len(fields) != len(header):
                raise RawDataError(
                    f"{path}, line {line} has {len(fields)} fields for the {len(header)} columns of line {first}"
                )
            view = _VIEWS.get(fields[view_column].lower())
            if view is None:
                raise RawDataError(
                    f"{path}, line {line}: the view is {quoted(fields[view_column])}, neither Frontal nor Lateral"
                )
            wrong = next((column for column in label_columns if fields[column] not in _VALUES), None)
            if wrong is not None:
                raise RawDataError(
                    f"{path}, line {line}: {header[wrong]} is {quoted(fields[wrong])}, but only "
                    "1, 0, -1 and blank are allowed"
                )
            values = [_VALUES[fields[column]] for column in label_columns]
            rows.add(line, _name(path, line, fields[path_column], part), (*values, view))
        except RawDataError as error:
            on_error(error)
    return rows.rows(on_error)


def _name(path: TextFile, line: int, text: str, part: str) -> str:
    *folders, patient, study, file = ["", "", "", *text.replace("\\", "/").split("/")]
    name = f"{patient}/{study}/{file}"
    inside = folders[-1] if folders else ""
    if _NAME.fullmatch(name) is None or inside not in ("", ".", part):
        raise RawDataError(
            f"{path}, line {line}: {quoted(text)} does not end like {part}/patient00001/study1/view1_frontal.jpg"
        )
    return f"{part}/{name}"


def _splits_of(names: Names) -> NDArray[np.int64]:
    """The split (n,) of each picture, as its index in ``_SHARES``: decided by the patient's hash as a fraction."""
    bounds = np.cumsum(list(_SHARES.values()))[:-1]
    parts = np.empty(len(names))
    patient_before, part = b"", 0.0
    for row, name in enumerate(names.tolist()):
        patient = name.split(b"/")[1]
        if patient != patient_before:
            patient_before, part = patient, hash64(patient) / 2**64
        parts[row] = part
    return np.searchsorted(bounds, parts, side="right")


def _chosen(
    rows: NamedRows, chosen: NDArray[np.bool_], uncertain: Uncertain, blank: Blank, views: Views
) -> Pictures:
    if views == "frontal":
        chosen = chosen & (rows.values[:, -1] == _VIEWS["frontal"])
    values = rows.values[chosen, : len(LABELS)]
    labels, observed = values == 1, np.ones(values.shape, dtype=np.bool_)
    if uncertain == "unobserved":
        observed &= values != _UNCERTAIN
    elif uncertain == "ones":
        labels |= values == _UNCERTAIN
    if blank == "unobserved":
        observed &= values != _BLANK
    return listed(rows.names[chosen], rows.lines[chosen], labels.astype(np.uint8), observed)
