"""Figures are drawn from what measures left on disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.cells.measurements import MeasurementKey, Result
from pipeline.figures.draw import draw_arrays, draw_figures
from pipeline.figures.grid import save_grid
from pipeline.figures.latents import draw_latent_histogram
from pipeline.measures.image_grid import ImageGrid, as_arrays


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def grid(rows: int, columns: int, shade: int = 0, side: int = 64, channels: int = 3) -> ImageGrid:
    images = np.full((rows, columns, channels, side, side), shade, dtype=np.uint8)
    return ImageGrid(images=images, rows=[f"Label {number}" for number in range(rows)], title="title")


def key(measure: str = "swap_grid", version: int = 1, split: str = "test", **settings: int) -> MeasurementKey:
    return MeasurementKey(measure=measure, version=version, split=split, settings=settings)


def shade_in(path: Path) -> int:
    """The darkest value that is common in a picture of one shade."""
    values, counts = np.unique(np.asarray(opened(path).convert("L")), return_counts=True)
    return int(values[counts > 1000].min())


def test_a_grid_of_eighteen_labels_is_large_enough_to_be_read(tmp_path) -> None:
    path = tmp_path / "figures" / "grid.png"
    save_grid(grid(18, 12), path)
    width, height = opened(path).size
    assert height >= 18 * 64
    assert width >= 12 * 64


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_shows_its_first_row_above_its_last(tmp_path, channels) -> None:
    path = tmp_path / "grid.png"
    two = grid(2, 2, side=8, channels=channels)
    two.images[1] = 127
    save_grid(two, path)
    column = np.asarray(opened(path).convert("L"))[:, 80]
    dark, grey = (np.flatnonzero(np.abs(column.astype(int) - shade) < 5) for shade in (0, 127))
    assert dark.size > 40
    assert grey.size > 40
    assert dark.max() < grey.min()


def test_every_grid_of_a_result_is_drawn_again_from_disk_without_torch(tmp_path) -> None:
    Result(key=key()).write(tmp_path, as_arrays({"one": grid(1, 2), "two": grid(2, 1)}))
    Result(key=key("likelihood")).write(tmp_path)
    code = (
        "import sys; from pathlib import Path; from pipeline.figures.draw import draw_figures;"
        "print([path.name for path in draw_figures(Path(sys.argv[1]))], 'torch' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert ended.stdout.strip() == "['one.png', 'two.png'] False"
    assert opened(tmp_path / "figures" / "two.png").width > 100


def test_other_splits_and_settings_have_files_of_their_own(tmp_path) -> None:
    arrays = as_arrays({"swaps": grid(1, 1)})
    keys = [key(), key(split="valid"), key(images=3), key(split="valid", images=3)]
    drawn = [path for each in keys for path in draw_arrays(each, arrays, tmp_path)]
    names = [str(path.relative_to(tmp_path)) for path in drawn]
    assert names == ["swaps.png", "valid/swaps.png", "swaps-images_3.png", "valid/swaps-images_3.png"]
    assert all(path.is_file() for path in drawn)


def test_of_a_measure_that_was_taken_again_the_newest_result_is_shown(tmp_path) -> None:
    for version, shade in ((2, 180), (1, 60)):
        Result(key=key(version=version)).write(tmp_path, as_arrays({"swaps": grid(1, 1, shade)}))
    assert draw_figures(tmp_path) == [tmp_path / "figures" / "swaps.png"]
    assert shade_in(tmp_path / "figures" / "swaps.png") == 180


def test_the_histogram_draws_the_values_that_each_label_has(tmp_path, monkeypatch) -> None:
    from matplotlib.axes import Axes

    drawn: list[tuple[str, float]] = []
    draw = Axes.hist

    def keep(ax, values, **given):
        drawn.append((given["label"], given["weights"].sum()))
        return draw(ax, values, **given)

    monkeypatch.setattr(Axes, "hist", keep)
    arrays = {
        "edges": np.tile(np.linspace(0, 1, 4), (2, 1)),
        "counts": np.arange(18).reshape(2, 3, 3),
        "panels": np.array(["Smiling", "Hair"]),
        "values": np.array([["no", "yes", ""], ["v", "w", "x"]]),
        "title": np.array("Posterior means"),
    }
    draw_latent_histogram(arrays, tmp_path / "figures" / "histogram.png")
    assert drawn == [("no", 3), ("yes", 12), ("v", 30), ("w", 39), ("x", 48)]
    assert opened(tmp_path / "figures" / "histogram.png").width > 100


def test_the_separation_of_each_label_is_a_bar(tmp_path) -> None:
    arrays = {
        "labels": np.array(["Smiling", "Bald", "Male"]),
        "separation": np.array([1.5, np.nan, 3.0]),
    }
    (path,) = draw_arrays(key("latent_separation"), arrays, tmp_path)
    assert path == tmp_path / "latent_separation.png"
    blue = np.asarray(opened(path).convert("RGB")).astype(int)
    lengths = (np.abs(blue - [31, 119, 180]).sum(-1) < 10).sum(1)
    longest, shortest = np.unique(lengths[lengths > 0])[[-1, 0]]
    assert longest == pytest.approx(2 * shortest, rel=0.05)
