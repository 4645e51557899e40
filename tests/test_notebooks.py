"""The notebooks of ``docs/notebooks`` run from top to bottom, one after the other, in an empty folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import pytest

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"
IN_THIS_ORDER = ("own_pictures.ipynb", "own_figure.ipynb")
"""The second opens the runs of the first."""


def executed(notebook: Path) -> dict[str, Any]:
    """The names that its cells leave; none of them is run by a kernel, since none needs more than Python."""
    names: dict[str, Any] = {}
    for number, cell in enumerate(json.loads(notebook.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "outputs are not in git"
            exec(compile("".join(cell["source"]), f"{notebook.name}, cell {number}", "exec"), names)
    return names


@pytest.mark.slow(15)
def test_both_run_and_what_they_draw_shows_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {path.name for path in NOTEBOOKS.glob("*.ipynb")} == set(IN_THIS_ORDER)
    matplotlib.use("Agg")
    from matplotlib import pyplot

    monkeypatch.chdir(tmp_path)
    try:
        first, second = (executed(NOTEBOOKS / name) for name in IN_THIS_ORDER)
    finally:
        pyplot.close("all")
    assert all(each["classification_accuracy"].value > 0.7 for each in first["numbers"].values())
    assert float(abs(first["rows"]["dark = yes"] - first["rows"]["reconstruction"]).max()) > 0.2
    assert len(second["models"]) == 2
    assert all(
        len(axis.get_legend_handles_labels()[1]) == 2 for axis in second["axes"].flat
    )  # values of a label
