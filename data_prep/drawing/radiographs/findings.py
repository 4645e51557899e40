"""What a study shows, how findings go together, and what its report says of them.

The truth is drawn; the lists hold what a report would say: 1, 0, -1 (uncertain) or a blank. Frequencies follow those of
CheXpert's training set (Irvin et al. 2019, table 1), to about two percentage points.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

LABELS = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
"""The five of Joy et al. 2021, C.2: drawn, each with a region."""

OBSERVATIONS = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation",
    "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices",
)  # fmt: skip
"""CheXpert's columns in their order. Lung Lesion and Support Devices are drawn as well."""

_ALONE = {
    "Lung Lesion": 0.045,
    "Support Devices": 0.52,
    "Fracture": 0.04,
    "Pleural Other": 0.02,
    "Pneumothorax": 0.09,
}
_EDEMA = 0.265
_GIVEN_EDEMA = {"Cardiomegaly": (0.097, 0.26), "Pleural Effusion": (0.335, 0.62)}
_GIVEN_EFFUSION = {"Atelectasis": (0.167, 0.32), "Consolidation": (0.088, 0.19)}

_REPORTED = {  # with the finding: 1, -1 (else blank); without it: 0, -1 (else blank)
    "Cardiomegaly": (0.86, 0.12, 0.058, 0.022),
    "Edema": (0.88, 0.10, 0.127, 0.04),
    "Consolidation": (0.51, 0.47, 0.145, 0.07),
    "Atelectasis": (0.65, 0.33, 0.008, 0.095),
    "Pleural Effusion": (0.94, 0.05, 0.27, 0.055),
}
_OTHERS = (0.93, 0.05, 0.03, 0.01)


def sample_findings(chance: np.random.Generator) -> dict[str, bool]:
    """The truth of one study: all observations but ``No Finding``, which follows from them."""
    lots = iter(chance.random(12).tolist())
    found = {name: next(lots) < share for name, share in _ALONE.items()}
    found["Edema"] = next(lots) < _EDEMA
    found |= {name: next(lots) < shares[found["Edema"]] for name, shares in _GIVEN_EDEMA.items()}
    effusion = found["Pleural Effusion"]
    found |= {name: next(lots) < shares[effusion] for name, shares in _GIVEN_EFFUSION.items()}
    found["Pneumonia"] = next(lots) < (0.35 if found["Consolidation"] else 0.01)
    found["Enlarged Cardiomediastinum"] = next(lots) < (0.15 if found["Cardiomegaly"] else 0.04)
    return completed(found)


def completed(found: Mapping[str, bool]) -> dict[str, bool]:
    """The same with the two observations that sum up others."""
    opaque = any(found[name] for name in ("Edema", "Consolidation", "Atelectasis", "Lung Lesion"))
    anything = any(
        found[name] for name in found if name not in ("No Finding", "Support Devices", "Lung Opacity")
    )
    return dict(found) | {"Lung Opacity": opaque, "No Finding": not anything}


def sample_report(found: Mapping[str, bool], chance: np.random.Generator) -> dict[str, int | None]:
    """What the report says of each observation: 1, 0, -1 (uncertain) or None (not mentioned)."""
    lots = chance.random(len(OBSERVATIONS)).tolist()
    said = {name: _reported(found[name], name, lot) for name, lot in zip(OBSERVATIONS, lots, strict=True)}
    nothing_found = found["No Finding"] and lots[0] < 0.5
    said["No Finding"] = 1 if nothing_found else None
    return said


def _reported(there: bool, name: str, lot: float) -> int | None:
    yes, unsure_yes, no, unsure_no = _REPORTED.get(name, _OTHERS)
    certain, unsure = (yes, unsure_yes) if there else (no, unsure_no)
    if lot < certain:
        return int(there)
    return -1 if lot < certain + unsure else None
