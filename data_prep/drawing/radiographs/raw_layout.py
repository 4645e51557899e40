"""Drawn radiographs as CheXpert's raw files: ``train.csv``, ``valid.csv``, patient, study and view folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from data_prep.drawing.drawing import Box, Drawn, Known
from data_prep.drawing.radiographs.factors import FACTORS
from data_prep.drawing.radiographs.findings import LABELS, OBSERVATIONS, completed
from data_prep.drawing.radiographs.picture import Radiograph, draw, factors_of, radiograph
from data_prep.drawing.radiographs.regions import regions

_ROOT = "CheXpert-v1.0-small"
_BLOCK = (  # patient, study, lateral: six patients, eight studies, ten pictures, two of them lateral
    (0, 1, False), (0, 1, True), (0, 2, False), (1, 1, False), (2, 1, False), (2, 1, True), (3, 1, False),
    (4, 1, False), (4, 2, False), (5, 1, False),
)  # fmt: skip
_PATIENTS = 1 + max(patient for patient, _, _ in _BLOCK)
_VALID_BLOCKS_PER = 1000


class Radiographs:
    """Chest radiographs of 390 x 320 pixels (lateral: 320 x 390) with CheXpert's observations."""

    name = "radiographs"
    version = 1
    labels = LABELS
    factors = FACTORS
    notes = (
        "Drawn chest radiographs in CheXpert's layout, of patients who do not exist. Cardiomegaly, Edema, Consolidation, "
        "Atelectasis and Pleural Effusion, Lung Lesion and Support Devices (frontal views) can be seen; Pneumothorax, "
        "Fracture, Pleural Other, Pneumonia and Enlarged Cardiomediastinum are plausible values only. train.csv says what "
        "a report would (1, 0, -1, blank); valid.csv, and factors.csv for all, say the truth."
    )

    def file(self, index: int, count: int) -> str:
        patient, study, lateral = _view(index)
        part = "train" if index < _train(count) else "valid"
        return f"{_ROOT}/{part}/{_folder(patient, study)}/{_file_name(lateral)}"

    def index_of(self, file: str, count: int) -> int:
        patient, study, name = file.split("/")[-3:]
        block, within = divmod(int(patient.removeprefix("patient")) - 1, _PATIENTS)
        view = (within, int(study.removeprefix("study")), name == _file_name(True))
        return block * len(_BLOCK) + _BLOCK.index(view)

    def factors_of(self, seed: int, index: int) -> list[float]:
        return list(_factors(radiograph(seed, *_view(index))).values())

    def regions_of(self, seed: int, index: int) -> tuple[tuple[int, int], Mapping[str, Box]]:
        frame = radiograph(seed, *_view(index)).frame
        return (frame.width, frame.height), regions(frame)

    def draw(self, seed: int, index: int) -> Drawn:
        shot = radiograph(seed, *_view(index))
        shown = tuple(name for name in OBSERVATIONS if shot.found[name] and name in (*LABELS, "Lung Lesion"))
        known = Known({**shot.report}, _factors(shot), regions(shot.frame))
        return Drawn(draw(shot), int(shot.frame.exposure.jpeg_quality), shown, known)

    def switched(self, seed: int, index: int, label: str, value: bool) -> NDArray[np.uint8]:
        found = radiograph(seed, *_view(index)).found
        return draw(radiograph(seed, *_view(index), completed({**found, label: value})))

    def lists(
        self, seed: int, count: int, known: Callable[[], Iterator[Known]]
    ) -> Mapping[str, Iterable[str]]:
        train = _train(count)

        def table(start: int, stop: int) -> Iterator[str]:
            yield ",".join(["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *OBSERVATIONS])
            for index, each in enumerate(islice(known(), start, stop), start):
                yield self._row(seed, index, count, each)

        tables = {f"{_ROOT}/train.csv": table(0, train)}
        return tables | ({f"{_ROOT}/valid.csv": table(train, count)} if train < count else {})

    def _row(self, seed: int, index: int, count: int, known: Known) -> str:
        _, _, lateral = _view(index)
        factors = known.factors
        said: Mapping[str, int | None] = known.labels
        if index >= _train(count):
            said = radiograph(seed, *_view(index)).found
        values = ("" if said[name] is None else f"{said[name]:.1f}" for name in OBSERVATIONS)
        direction = "" if lateral else "AP" if factors["anterior"] else "PA"
        person = ("Male" if factors["male"] else "Female", f"{factors['age']:.0f}")
        return ",".join(
            [self.file(index, count), *person, "Lateral" if lateral else "Frontal", direction, *values]
        )


def _view(index: int) -> tuple[int, int, bool]:
    """Patient, study and whether it is the lateral view, of picture ``index``."""
    block, within = divmod(index, len(_BLOCK))
    patient, study, lateral = _BLOCK[within]
    return block * _PATIENTS + patient, study, lateral


def _train(count: int) -> int:
    """How many of ``count`` pictures are in ``train.csv``; whole patients, and all where there are few."""
    blocks = count // len(_BLOCK)
    return count if blocks < 2 else (blocks - max(1, count // _VALID_BLOCKS_PER)) * len(_BLOCK)


def _folder(patient: int, study: int) -> str:
    return f"patient{patient + 1:05d}/study{study}"


def _file_name(lateral: bool) -> str:
    return "view2_lateral.jpg" if lateral else "view1_frontal.jpg"


def _factors(shot: Radiograph) -> dict[str, float]:
    values = (value for part in factors_of(shot) for value in astuple(part))
    return dict(zip(FACTORS, values, strict=True))
