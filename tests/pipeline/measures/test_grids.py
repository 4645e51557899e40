"""Every grid shows what its names say, row by row and column by column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from data_prep.manifest import LabelSpec
from pipeline.measures.attribute_switching_grid import AttributeSwitchingGrid
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.generation_grid import GenerationGrid
from pipeline.measures.image_grid import ImageGrid, as_arrays, grid_of, grids_in
from pipeline.measures.intervention_grid import InterventionGrid
from pipeline.measures.label_changes import figure_of
from pipeline.measures.latent_histogram import LatentHistogram
from pipeline.measures.measure import Measure
from pipeline.measures.reconstruction_grid import ReconstructionGrid
from pipeline.measures.swap_grid import SwapGrid
from pipeline.measures.traversal_grid import TraversalGrid
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import DECODED, AllAble, painted


class Flat(AllAble):
    """Shows each image as its first value, so that a grid can be told from one number per image."""

    def swap(
        self, characteristics: Tensor, style: Tensor, labels: Any = None, style_labels: Any = None
    ) -> Tensor:
        return super().swap(_flat(characteristics), _flat(style))


def _flat(image: Tensor) -> Tensor:
    return image[:, :1, :1, :1].expand_as(image)


def grids(measure: Measure, examples: MeasuredSplit, model: nn.Module | None = None) -> dict[str, ImageGrid]:
    return grids_in(measure(ModelView(model or Flat(), examples)).arrays)


def shades(grid: ImageGrid) -> np.ndarray:
    """One number per image: its first value, in [0, 1]."""
    return grid.images[:, :, 0, 0, 0] / 255


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, np.asarray(expected), atol=0.5 / 255 + 1e-6)


@pytest.fixture
def given(examples: MeasuredSplit) -> np.ndarray:
    """The first value of each image of the split, in [0, 1]."""
    return np.concatenate([image[:, 0, 0, 0].numpy() for image in examples.images()]) / 255


def test_reconstructions_stand_below_their_images(examples, given) -> None:
    sheet = grids(ReconstructionGrid(), examples)["reconstructions"]
    assert sheet.rows == ["image", "decoded"]
    assert sheet.title == "Test images and their reconstructions"
    close(shades(sheet)[0], given[:12])
    close(shades(sheet)[1], [DECODED] * 12)


def test_interventions_have_a_row_for_each_binary_label_and_each_image_with_it_off_and_on(
    examples, given
) -> None:
    found = grids(InterventionGrid(), examples)
    assert sorted(found) == ["intervention_draws", "interventions", "interventions_hair"]
    sheet = found["interventions"]
    assert sheet.rows == ["a", "b", "c"]
    assert sheet.columns == ["image", "decoded", "off", "on"] * 4
    for label in range(3):
        for image in range(4):
            expected = [given[image], DECODED, painted(label, 0), painted(label, 1)]
            close(shades(sheet)[label, 4 * image : 4 * image + 4], expected)


def test_a_label_of_several_values_has_interventions_of_its_own_with_a_column_for_each(examples) -> None:
    sheet = grids(InterventionGrid(), examples)["interventions_hair"]
    assert sheet.columns == ["image", "decoded", *"vwxyz"]
    assert sheet.rows == [f"test image {number}" for number in (1, 2, 3, 4)]
    close(shades(sheet)[1, 2:], [painted(3, value) for value in range(5)])


def test_draws_of_one_image_are_side_by_side_for_each_binary_label(examples) -> None:
    sheet = grids(InterventionGrid(draws=3), examples)["intervention_draws"]
    assert sheet.rows == ["a", "b", "c"]
    assert sheet.columns == ["image", "decoded", *["off"] * 3, *["on"] * 3]
    close(shades(sheet)[2, 2:], [painted(2, value, draw) for value in (0, 1) for draw in range(3)])


def test_traversals_lead_from_each_value_to_the_next(examples) -> None:
    found = grids(TraversalGrid(), examples)
    sheet = found["traversals"]
    assert (sheet.columns[:2], sheet.columns[-1]) == (["image", "0%"], "100%")
    close(shades(sheet)[1, [1, -1]], [painted(1, 0), painted(1, 1)])
    sheet = found["traversals_hair"]
    assert sheet.rows == ["v to w", "w to x", "x to y", "y to z"]
    close(shades(sheet)[1, [1, -1]], [painted(3, 1), painted(3, 2)])


def test_swaps_have_the_characteristics_of_the_left_and_the_style_of_the_upper_image(examples, given) -> None:
    sheet = grids(SwapGrid(images=5), examples)["swaps"]
    given = given[:5]
    close(shades(sheet)[0, 1:], given)
    close(shades(sheet)[1:, 0], given)
    close(shades(sheet)[1:, 1:], (given[:, None] + 3 * given) / 4)


def test_switches_have_the_layout_of_interventions(examples) -> None:
    found = grids(AttributeSwitchingGrid(), examples)
    assert sorted(found) == ["attribute_switching", "attribute_switching_hair"]
    sheet = found["attribute_switching"]
    assert sheet.columns == ["image", "decoded", "off", "on"] * 4
    close(shades(sheet)[2, 2:4], [painted(2, 0) / 2, painted(2, 1) / 2])


class Handed(AllAble):
    """Needs labels, and records those given with each image."""

    needs_labels = True

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Tensor, Any]] = []

    def reconstruct(self, image: Tensor, labels: Any = None) -> Tensor:
        self.calls.append((image, labels))
        return super().reconstruct(image)

    def characteristic_latents(self, image: Tensor, labels: Any = None) -> Tensor:
        self.calls.append((image, labels))
        return super().characteristic_latents(image)

    def intervene(
        self, image: Tensor, label: int, values: Tensor, draws: int = 1, labels: Any = None
    ) -> Tensor:
        self.calls.append((image, labels))
        return super().intervene(image, label, values, draws)

    def swap(
        self, characteristics: Tensor, style: Tensor, labels: Any = None, style_labels: Any = None
    ) -> Tensor:
        self.calls += [(characteristics, labels), (style, style_labels)]
        return super().swap(characteristics, style)

    def traverse(
        self, image: Tensor, label: int, steps: int, *, start: int = 0, end: int = 1, labels: Any = None
    ) -> Tensor:
        self.calls.append((image, labels))
        return super().traverse(image, label, steps, start=start, end=end)


def test_a_model_that_needs_labels_gets_those_of_each_image(examples) -> None:
    model = Handed()
    measures: list[Measure] = [
        LatentHistogram(),
        InterventionGrid(),
        AttributeSwitchingGrid(),
        ReconstructionGrid(),
        SwapGrid(),
        TraversalGrid(),
    ]
    for measure in measures:
        measure(ModelView(model, examples))
    images = torch.cat(list(examples.images()))
    assert len(model.calls) > 20
    for shown, labels in model.calls:
        rows = [int((images == image).flatten(1).all(1).nonzero()) for image in shown]
        assert labels.labels.tolist() == examples.labels[rows].tolist()
        assert labels.observed.tolist() == examples.observed[rows].tolist()


def test_generations_change_one_label_of_rows_that_occur(examples) -> None:
    sheet = grids(GenerationGrid(draws=2), examples)["conditional_generations"]
    assert sheet.rows[2:6] == ["b: no", "b: yes", "c: no", "c: yes"]
    assert sheet.rows[6:] == [f"hair: {value}" for value in "vwxyz"]
    weights = np.array([0.1, 0.02, 0.003, 0.0004])
    for row, (label, value) in enumerate(
        [*((label, value) for label in range(3) for value in (0, 1)), (3, 0)]
    ):
        labels = examples.labels[:2].copy()
        labels[:, label] = value
        close(shades(sheet)[row], labels @ weights)


def test_the_rows_of_generations_have_the_same_draws(examples) -> None:
    class Drawing(AllAble):
        def generate(self, labels: Tensor) -> Tensor:
            return torch.rand(len(labels), 1, 1, 1).expand(-1, 3, 64, 64)

    found = shades(grids(GenerationGrid(), examples, Drawing())["conditional_generations"])
    assert (found == found[:1]).all()
    assert len(np.unique(found[0])) > 6


def test_generations_of_one_label_have_a_row_for_each_class(examples, monkeypatch) -> None:
    manifest = examples.data.manifest
    monkeypatch.setattr(examples.data, "manifest", _with_labels(manifest, manifest.labels[3:]))
    sheet = grids(GenerationGrid(), examples)["conditional_generations"]
    assert sheet.rows == list("vwxyz")
    close(shades(sheet), np.broadcast_to(np.arange(5)[:, None] * 0.1, (5, 12)))


def _with_labels(manifest: Any, labels: tuple[LabelSpec, ...]) -> Any:
    from dataclasses import replace

    return replace(manifest, labels=labels)


def test_the_name_of_a_label_may_have_any_characters() -> None:
    assert (
        figure_of(LabelSpec("Hair colour/kind", 3, ("a", "b", "c")), "traversals")
        == "traversals_Hair_colour_kind"
    )


def test_a_grid_comes_back_from_its_arrays_without_pickling(tmp_path) -> None:
    grid = grid_of(torch.rand(2, 3, 1, 4, 5), ["one", "zwei"], "Title: ü", ["a", "b", "c"])
    with (tmp_path / "arrays.npz").open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **as_arrays({"x": grid, "y": grid}))
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as stored:
        found = grids_in(dict(stored))
    assert list(found) == ["x", "y"]
    assert (found["x"].rows, found["x"].columns, found["x"].title) == (
        ["one", "zwei"],
        ["a", "b", "c"],
        "Title: ü",
    )
    assert (found["x"].images == grid.images).all()


@pytest.mark.parametrize(("rows", "columns"), [(["one"], []), (["one", "two"], ["a"])])
def test_names_that_do_not_fit_the_grid_are_an_error(rows, columns) -> None:
    with pytest.raises(ValueError, match="2 rows and 3 columns"):
        grid_of(torch.rand(2, 3, 1, 4, 4), rows, "", columns)
