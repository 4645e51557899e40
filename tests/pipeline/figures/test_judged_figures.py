"""Figures of what label readers see: matrices of single interventions, and differences of swaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from pipeline.cells.measurements import MeasurementKey
from pipeline.figures.draw import draw_arrays
from pipeline.figures.swap_bars import draw_swap_differences


def interventions(labels: int) -> dict[str, np.ndarray]:
    arrays = {"attributes": np.array([f"Label_{number}" for number in range(labels)])}
    for kind in ("log_prob", "probability"):
        for way, sign in (("on", 0.5), ("off", -0.5)):
            matrix = np.full((labels, labels), -0.001)
            matrix[np.diag_indices(labels)] = sign
            arrays[f"{kind}_change_{way}"] = matrix
            arrays[f"{kind}_condition_number_{way}"] = np.array(7.0)
    arrays["log_prob_change_off"][:, 1] = np.nan
    return arrays


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What is written in each panel of each figure that is saved."""
    found: dict[str, list[list[str]]] = {}
    save = Figure.savefig

    def note(figure: Figure, path: Path) -> None:
        found[path.name] = [[ax.get_title(), *(text.get_text() for text in ax.texts)] for ax in figure.axes]
        save(figure, path)

    monkeypatch.setattr(Figure, "savefig", note)
    return found


def test_matrices_of_interventions_show_every_number_and_their_condition(
    tmp_path: Path, texts: dict[str, list[list[str]]]
) -> None:
    key = MeasurementKey(measure="single_interventions", version=1, split="test")
    paths = draw_arrays(key, interventions(3), tmp_path)
    assert [path.name for path in paths] == ["log_probability_changes.png", "probability_changes.png"]
    on, off = texts["log_probability_changes.png"][:2]
    assert on[0] == "switched on, condition number 7.0"
    assert on[1:] == ["0.50", "0.00", "0.00", "0.00", "0.50", "0.00", "0.00", "0.00", "0.50"]
    assert len(off) == 1 + 6  # nothing had the second label
    assert texts["probability_changes.png"][1][1:].count("-0.50") == 3


def test_matrices_of_eighteen_labels_are_large_enough_to_be_read(tmp_path: Path) -> None:
    key = MeasurementKey(measure="single_interventions", version=1, split="test")
    path, _ = draw_arrays(key, interventions(18), tmp_path)
    with Image.open(path) as image:
        assert image.size[0] > 2 * 18 * 50
        assert image.size[1] > 18 * 50


def test_differences_of_swaps_have_a_bar_for_each_class_or_each_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[list[str]] = []
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda figure, path: ticks.append([tick.get_text() for tick in figure.axes[0].get_xticklabels()]),
    )
    one = {
        "labels": np.array(["class"]),
        "values": np.array([["coat", "shirt", "bag"]]),
        "label_swap_log_prob_difference": np.ones(1),
        "value_swap_log_prob_difference": np.ones((1, 3)),
    }
    several = {"labels": np.array(["Smiling", "Young"]), "label_swap_log_prob_difference": np.ones(2)}
    for arrays in (one, several):
        draw_swap_differences(arrays, tmp_path / "swap_differences.png")
    assert ticks == [["coat", "shirt", "bag"], ["Smiling", "Young"]]
