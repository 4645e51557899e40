"""Radiographs: findings correlated as in CheXpert, each changing its own region; reports with blanks and -1."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from data_prep.drawing.kinds import drawing_named
from data_prep.drawing.radiographs.findings import (
    LABELS,
    OBSERVATIONS,
    completed,
    sample_findings,
    sample_report,
)
from data_prep.drawing.radiographs.picture import Radiograph, densities, draw, expose, radiograph
from data_prep.drawing.radiographs.raw_layout import Radiographs
from data_prep.drawing.radiographs.regions import regions
from data_prep.drawing.raw_folder import draw_raw_folder
from data_prep.progress import Progress
from data_prep.sources.chexpert import LABELS as SOURCE_LABELS
from data_prep.sources.chexpert import read_labels

REPORTED = {  # share of 1 and of -1 in train.csv
    "Cardiomegaly": (0.121, 0.036), "Edema": (0.234, 0.058), "Consolidation": (0.066, 0.124), "Atelectasis": (0.149, 0.151),
    "Pleural Effusion": (0.386, 0.052),
}  # fmt: skip
STUDIES = 2000


@cache
def studies() -> tuple[dict[str, NDArray[np.bool_]], dict[str, NDArray[np.float64]]]:
    """The truth and the report (blank: nan) of many studies."""
    chance = np.random.default_rng(0)
    found = [sample_findings(chance) for _ in range(STUDIES)]
    message = [sample_report(each, chance) for each in found]
    truth = {name: np.array([each[name] for each in found]) for name in OBSERVATIONS}
    report = {
        name: np.array(
            [np.nan if (value := each[name]) is None else value for each in message], dtype=np.float64
        )
        for name in OBSERVATIONS
    }
    return truth, report


def off_and_on(patient: int, label: str, *, lateral: bool) -> tuple[Radiograph, Radiograph]:
    found = radiograph(1, patient, 1, lateral).found
    off, on = (
        radiograph(1, patient, 1, lateral, completed({**found, label: value})) for value in (False, True)
    )
    return off, on


def test_names_are_those_of_the_source_that_reads_them() -> None:
    assert LABELS == SOURCE_LABELS


@pytest.mark.parametrize("label", LABELS)
def test_reports_are_about_as_frequent_as_in_chexpert(label: str) -> None:
    _, report = studies()
    for value, share in zip((1, -1), REPORTED[label], strict=True):
        assert (report[label] == value).mean() == pytest.approx(share, abs=0.035)
    assert np.isnan(report[label]).mean() > 0.3


def test_findings_are_correlated() -> None:
    truth, _ = studies()
    edema, effusion = truth["Edema"], truth["Pleural Effusion"]
    assert truth["Cardiomegaly"][edema].mean() > 1.8 * truth["Cardiomegaly"][~edema].mean()
    assert effusion[edema].mean() > 1.5 * effusion[~edema].mean()
    assert truth["Atelectasis"][effusion].mean() > 1.4 * truth["Atelectasis"][~effusion].mean()
    assert not (truth["No Finding"] & (edema | effusion | truth["Consolidation"])).any()


@pytest.mark.parametrize("lateral", [False, True])
@pytest.mark.parametrize("label", LABELS)
def test_a_finding_changes_its_region_and_nothing_else(label: str, lateral: bool) -> None:
    off, on = off_and_on(int(lateral), label, lateral=lateral)
    without, with_it = densities(off), densities(on)
    change = np.abs(without - with_it)
    inside = np.zeros(change.shape, dtype=np.bool_)
    left, upper, right, lower = regions(on.frame)[label]
    inside[upper:lower, left:right] = True
    assert (change[~inside] > 0.02).sum() <= 10
    assert (change[inside] > 0.06).mean() > 0.008
    if not lateral:
        seen = [
            np.asarray(Image.fromarray(expose(*each)).resize((64, 64), 2))
            for each in ((without, off), (with_it, on))
        ]
        assert (np.abs(seen[0].astype(int) - seen[1]) > 12).sum() >= 15, "at the size that a model sees"


def test_a_heart_is_wider_than_half_the_chest_only_with_cardiomegaly() -> None:
    for patient in range(20):
        off, on = off_and_on(patient, "Cardiomegaly", lateral=False)
        assert off.frame.chest.heart_ratio < 0.5 < on.frame.chest.heart_ratio


def test_views_of_a_study_show_the_same_findings_and_studies_the_same_patient() -> None:
    frontal, lateral, later = (
        radiograph(2, 0, 1, False),
        radiograph(2, 0, 1, True),
        radiograph(2, 0, 2, False),
    )
    assert frontal.frame.chest == lateral.frame.chest
    assert frontal.frame.patient == later.frame.patient
    assert frontal.frame.chest != later.frame.chest
    assert draw(frontal).shape == (320, 390)
    assert draw(lateral).shape == (390, 320)


@pytest.mark.parametrize("count", [1, 9, 20, 47, 2040])
def test_files_are_numbered_both_ways_and_no_patient_is_in_both_lists(count: int) -> None:
    drawing = Radiographs()
    files = [drawing.file(index, count) for index in range(count)]
    assert len(set(files)) == count
    assert [drawing.index_of(file, count) for file in files] == list(range(count))
    patients = {
        part: {file.split("/")[2] for file in files if file.split("/")[1] == part}
        for part in ("train", "valid")
    }
    assert not patients["train"] & patients["valid"]
    assert bool(patients["valid"]) == (count >= 20)


def test_the_lists_are_read_by_the_chexpert_source(tmp_path: Path) -> None:
    folder = draw_raw_folder(
        "radiographs", tmp_path / "raw", count=40, seed=5, workers=1, progress=Progress(shown=False)
    )
    root = folder / "CheXpert-v1.0-small"
    train, valid = (
        read_labels(root / "train.csv", "train"),
        read_labels(root / "valid.csv", "valid"),
    )
    assert (len(train), len(valid)) == (30, 10)
    assert {-2, 0, 1} <= set(train.values[:, :-1].ravel().tolist())
    assert set(valid.values.ravel().tolist()) == {0, 1}, "radiologists left nothing uncertain"
    drawing = drawing_named("radiographs")
    for name, values in zip(valid.names.tolist(), valid.values, strict=True):
        factors = dict(
            zip(drawing.factors, drawing.factors_of(5, drawing.index_of(name.decode(), 40)), strict=True)
        )
        truth = [
            factors["heart_ratio"] > 0.5,
            *(factors[key] > 0 for key in ("edema", "consolidation", "atelectasis", "effusion")),
        ]
        assert values[:-1].tolist() == truth
