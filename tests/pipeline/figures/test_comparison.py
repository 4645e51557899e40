from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline.figures.comparison import MARKERS, MOST_LINES, draw_comparison
from pipeline.measures.paper_match import matches
from pipeline.measures.summary import Row, Statistic

METRIC = "classification_accuracy"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved meanwhile, for a closer look."""
    figures: list[Figure] = []
    save = Figure.savefig

    def kept(figure: Figure, path: Path) -> None:
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(Figure, "savefig", kept)
    return figures


def row(settings: tuple[tuple[str, str], ...] = (), rate: float = 0.06, mean: float = 0.5) -> Row:
    found = {METRIC: Statistic(mean, 0.1, 3)}
    params = {"data.name": "fashion_mnist", "training.epochs": "3"}
    params |= {"model.characteristic_size": "10", "model.style_size": "0"}
    papers = matches(params, "ccvae", {})
    return Row("fashion_mnist", "ccvae", settings, rate, "3", ("0",), ("a",), found, papers=papers)


def test_lines_with_long_names_leave_room_for_the_panel(drawn: list[Figure], tmp_path: Path) -> None:
    params = [f"model.a_parameter_with_a_long_name_{number}" for number in range(4)]
    rows = [
        row(tuple(zip(params, values, strict=True)))
        for values in product(("a_value", "another_value"), repeat=len(params))
    ]
    assert draw_comparison(rows, METRIC, tmp_path / "long.png")
    (figure,) = drawn
    (panel,), (legend,) = figure.axes, figure.legends
    assert panel.get_position().width * figure.get_figwidth() > 3  # inches
    assert panel.get_legend() is None
    names = [text.get_text() for text in legend.get_texts()]
    assert len(set(names)) == len(rows) + 1  # and the paper's
    assert max(len(line) for name in names for line in name.splitlines()) < 60
    frame = legend.get_window_extent()
    assert frame.y0 >= 0
    assert frame.y1 <= figure.bbox.y1
    looks = {(line.get_color(), line.get_marker()) for line in panel.lines if line.get_marker() in [*MARKERS]}
    assert len(looks) == len(rows)
    assert len(looks) == len(rows)


def test_few_short_names_are_in_the_panel(drawn: list[Figure], tmp_path: Path) -> None:
    assert draw_comparison([row(rate=0.06), row(rate=1.0)], METRIC, tmp_path / "short.png")
    (figure,) = drawn
    assert figure.legends == []
    assert figure.axes[0].get_legend() is not None


def test_the_papers_line_says_what_it_was_trained_with_otherwise(drawn: list[Figure], tmp_path: Path) -> None:
    draw_comparison([row()], METRIC, tmp_path / "paper.png")
    (line,) = [line for line in drawn[0].axes[0].lines if line.get_linestyle() == "--"]
    assert line.get_label() == "ccvae, Joy et al. 2021, epochs=100"
    assert list(np.asarray(line.get_ydata())) == [0.741, 0.865, 0.879, 0.901]


def test_variants_at_a_single_rate_stand_side_by_side(drawn: list[Figure], tmp_path: Path) -> None:
    rows = [row((("model.weight", weight),), mean=0.5) for weight in "123"]
    draw_comparison(rows, METRIC, tmp_path / "single.png")
    points = [
        np.asarray(line.get_xdata()) for line in drawn[0].axes[0].lines if line.get_marker() in [*MARKERS]
    ]
    assert len({float(place[0]) for place in points}) == 3


def test_without_the_metric_or_with_more_lines_than_can_be_told_apart_there_is_no_figure(
    tmp_path: Path,
) -> None:
    assert not draw_comparison([row()], "auroc", tmp_path / "none.png")
    many = [row((("optimiser.learning_rate", str(number)),)) for number in range(MOST_LINES + 1)]
    assert not draw_comparison(many, METRIC, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
