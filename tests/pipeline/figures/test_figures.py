"""Every figure shows what its names say, row by row and column by column."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from data_prep.manifest import LabelSpec
from pipeline.data.dataset import DataSet
from pipeline.figures import generations, grid, label_changes
from pipeline.figures.draw import draw_figures
from pipeline.figures.latents import draw_latent_histogram
from pipeline.measures.examples import MeasuredSplit
from tests.pipeline.data.colour_rows import prepare_colour_rows
from tests.pipeline.figures.all_able import DECODED, AllAble, painted

BINARY = [LabelSpec(name, 2, ("no", "yes")) for name in ("Bangs", "Smiling", "Young")]
MIXED = (*BINARY[:2], LabelSpec("Hair colour/kind", 3, ("Bald", "Black", "Grey")), BINARY[2])
IMAGES = (torch.arange(12)[:, None, None, None] * 20).expand(12, 3, 64, 64).to(torch.uint8).contiguous()


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


@dataclass
class Drawn:
    """What was to be drawn, instead of a picture: one number per image, which has no other."""

    shades: Tensor
    rows: list[str]
    columns: list[str]
    title: str


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Drawn]:
    """File name → what was drawn into it."""
    found: dict[str, Drawn] = {}

    def keep(images: Tensor, rows: Any, title: str, path: Path, columns: Any = ()) -> None:
        shades = images[:, :, 0, 0, 0]
        assert (images == shades[:, :, None, None, None]).all()
        assert len(columns) in (0, images.shape[1])
        found[path.name] = Drawn(shades, list(rows), list(columns), title)

    monkeypatch.setattr(label_changes, "save_grid", keep)
    monkeypatch.setattr(generations, "save_grid", keep)
    return found


def test_interventions_have_a_row_for_each_binary_label_and_each_image_with_it_off_and_on(drawn) -> None:
    paths = label_changes.draw_interventions(AllAble(), IMAGES, MIXED, Path("folder"))
    assert [path.name for path in paths] == ["interventions.png", "interventions_Hair_colour_kind.png"]
    sheet = drawn["interventions.png"]
    assert sheet.rows == ["Bangs", "Smiling", "Young"]
    assert sheet.columns == ["image", "decoded", "off", "on"] * 4
    for row, label in enumerate((0, 1, 3)):
        for image in range(4):
            expected = [image * 20 / 255, DECODED, painted(label, 0), painted(label, 1)]
            torch.testing.assert_close(sheet.shades[row, 4 * image : 4 * image + 4], torch.tensor(expected))


def test_a_label_of_several_values_has_interventions_of_its_own_with_a_column_for_each(drawn) -> None:
    label_changes.draw_interventions(AllAble(), IMAGES, MIXED, Path("folder"))
    sheet = drawn["interventions_Hair_colour_kind.png"]
    assert sheet.columns == ["image", "decoded", "Bald", "Black", "Grey"]
    assert len(sheet.rows) == 4
    torch.testing.assert_close(sheet.shades[1, 2:], torch.tensor([painted(2, value) for value in range(3)]))


def test_switches_have_the_layout_of_interventions(drawn) -> None:
    paths = label_changes.draw_switches(AllAble(), IMAGES, MIXED, Path("folder"))
    assert [path.name for path in paths] == [
        "attribute_switching.png",
        "attribute_switching_Hair_colour_kind.png",
    ]
    sheet = drawn["attribute_switching.png"]
    assert sheet.columns == ["image", "decoded", "off", "on"] * 4
    torch.testing.assert_close(sheet.shades[2, 2:4], torch.tensor([painted(3, 0), painted(3, 1)]) / 2)


class Handed(AllAble):
    """Needs labels, and keeps what it was handed with each image."""

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


def test_a_model_that_needs_labels_is_handed_those_of_each_image(examples, tmp_path) -> None:
    model = Handed()
    draw_figures(model, examples, tmp_path / "figures")
    images = torch.cat(list(examples.images()))
    assert len(model.calls) > 20
    for shown, labels in model.calls:
        rows = [int((images == image).flatten(1).all(1).nonzero()) for image in shown]
        assert labels.labels.tolist() == examples.labels[rows].tolist()
        assert labels.observed.tolist() == examples.observed[rows].tolist()


def test_draws_of_one_image_are_side_by_side_for_each_binary_label(drawn) -> None:
    label_changes.draw_intervention_draws(AllAble(), IMAGES, MIXED, Path("folder"))
    sheet = drawn["intervention_draws.png"]
    assert sheet.rows == ["Bangs", "Smiling", "Young"]
    assert sheet.columns == ["image", "decoded", *["off"] * 5, *["on"] * 5]
    expected = [painted(3, value, draw) for value in (0, 1) for draw in range(5)]
    torch.testing.assert_close(sheet.shades[2, 2:], torch.tensor(expected))


def test_traversals_lead_from_each_value_to_the_next(drawn) -> None:
    label_changes.draw_traversals(AllAble(), IMAGES, MIXED, Path("folder"))
    sheet = drawn["traversals.png"]
    assert sheet.columns[:2] == ["image", "0%"]
    assert sheet.columns[-1] == "100%"
    torch.testing.assert_close(sheet.shades[1, [1, -1]], torch.tensor([painted(1, 0), painted(1, 1)]))
    sheet = drawn["traversals_Hair_colour_kind.png"]
    assert sheet.rows == ["Bald to Black", "Black to Grey"]
    torch.testing.assert_close(sheet.shades[1, [1, -1]], torch.tensor([painted(2, 1), painted(2, 2)]))


def test_swaps_have_the_characteristics_of_the_left_and_the_style_of_the_upper_image(drawn) -> None:
    label_changes.draw_swaps(AllAble(), IMAGES[:5], Path("folder"))
    sheet = drawn["swaps.png"]
    given = torch.arange(5) * 20 / 255
    torch.testing.assert_close(sheet.shades[0, 1:], given)
    torch.testing.assert_close(sheet.shades[1:, 0], given)
    torch.testing.assert_close(sheet.shades[1:, 1:], (given[:, None] + 3 * given) / 4)


def test_generations_change_one_label_of_rows_that_occur(drawn) -> None:
    others = torch.tensor([[0, 1, 2, 1], [1, 0, 1, 0]], dtype=torch.uint8)
    generations.draw_generations(AllAble(), MIXED, others, Path("folder"))
    sheet = drawn["conditional_generations.png"]
    assert sheet.rows[2:7] == [
        "Smiling: no",
        "Smiling: yes",
        *(f"Hair colour/kind: {value}" for value in ("Bald", "Black", "Grey")),
    ]
    torch.testing.assert_close(sheet.shades[3], torch.tensor([0.02 + 0.006 + 0.0004, 0.1 + 0.02 + 0.003]))
    torch.testing.assert_close(sheet.shades[4], torch.tensor([0.02 + 0.0004, 0.1]))
    assert others.tolist() == [[0, 1, 2, 1], [1, 0, 1, 0]]


def test_generations_of_one_label_have_a_row_for_each_class(drawn) -> None:
    rows = torch.zeros(2, 1, dtype=torch.uint8)
    generations.draw_generations(AllAble(), MIXED[2:3], rows, Path("folder"))
    sheet = drawn["conditional_generations.png"]
    assert sheet.rows == ["Bald", "Black", "Grey"]
    torch.testing.assert_close(sheet.shades, torch.tensor([0.0, 0.1, 0.2])[:, None].expand(3, 12))


def test_the_rows_of_generations_have_the_same_draws_and_those_after_them_have_others(drawn) -> None:
    class Drawing(AllAble):
        def generate(self, labels: Tensor) -> Tensor:
            return torch.rand(len(labels), 1, 1, 1).expand(-1, 3, 64, 64)

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    generations.draw_generations(Drawing(), MIXED, torch.zeros(2, 4, dtype=torch.uint8), Path("folder"))
    shades = drawn["conditional_generations.png"].shades
    assert (shades == shades[:1]).all()
    torch.testing.assert_close(torch.rand(3), expected)


def test_a_grid_of_eighteen_labels_is_large_enough_to_be_read(tmp_path) -> None:
    names = [f"Label {number}" for number in range(18)]
    path = tmp_path / "figures" / "grid.png"
    grid.save_grid(torch.rand(18, 12, 3, 64, 64), names, "title", path, ["off", "on"] * 6)
    width, height = opened(path).size
    assert height >= 18 * 64
    assert width >= 12 * 64


def test_a_grid_shows_its_first_row_above_its_last(tmp_path) -> None:
    path = tmp_path / "grid.png"
    grid.save_grid(
        torch.tensor([0.0, 0.5])[:, None, None, None, None].expand(2, 2, 1, 8, 8), ["a", "b"], "", path
    )
    column = np.asarray(opened(path).convert("L"))[:, 80]
    dark, grey = (np.flatnonzero(np.abs(column.astype(int) - shade) < 5) for shade in (0, 127))
    assert dark.size > 40
    assert grey.size > 40
    assert dark.max() < grey.min()


@pytest.mark.parametrize(("rows", "columns"), [(["one"], []), (["one", "two"], ["a"])])
def test_names_that_do_not_fit_the_grid_are_an_error(tmp_path, rows, columns) -> None:
    with pytest.raises(ValueError, match="2 rows and 3 columns"):
        grid.save_grid(torch.rand(2, 3, 1, 4, 4), rows, "", tmp_path / "grid.png", columns)
    assert not list(tmp_path.iterdir())


def test_images_that_are_no_grid_are_an_error(tmp_path) -> None:
    with pytest.raises(Exception, match="images"):
        grid.save_grid(torch.rand(2, 3, 4, 4), ["one", "two"], "", tmp_path / "grid.png")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> MeasuredSplit:
    data = DataSet(prepare_colour_rows(tmp_path_factory.mktemp("colour"), "arrow"))
    return MeasuredSplit(data, "test", torch.device("cpu"), 16)


def test_a_model_that_can_do_everything_gets_every_figure(examples, tmp_path) -> None:
    paths = draw_figures(AllAble(), examples, tmp_path / "figures")
    assert sorted(path.stem for path in paths) == [
        "attribute_switching",
        "attribute_switching_hair",
        "conditional_generations",
        "intervention_draws",
        "interventions",
        "interventions_hair",
        "latent_histogram",
        "reconstructions",
        "swaps",
        "traversals",
        "traversals_hair",
    ]
    assert all(opened(path).width > 100 for path in paths)


def test_a_model_that_can_do_nothing_gets_none(examples, tmp_path) -> None:
    assert draw_figures(torch.nn.Identity(), examples, tmp_path / "figures") == []
    assert not list(tmp_path.iterdir())


def test_the_histogram_tells_known_values_of_each_label_apart(examples, tmp_path, monkeypatch) -> None:
    from matplotlib.axes import Axes

    counted: list[tuple[str, list[float]]] = []
    monkeypatch.setattr(
        Axes, "hist", lambda ax, values, **given: counted.append((given["label"], list(values)))
    )
    draw_latent_histogram(AllAble(), examples, tmp_path)
    labels, observed = examples.labels, examples.observed
    expected = [
        (name, int(((labels[:, label] == value) & observed[:, label]).sum()), sign * label)
        for label, names in enumerate((("no", "yes"), ("no", "yes"), ("no", "yes"), tuple("vwxyz")))
        for sign in (1, -1)
        for value, name in enumerate(names)
    ]
    assert [(name, len(values)) for name, values in counted] == [(name, count) for name, count, _ in expected]
    for (_, values), (_, _, latent) in zip(counted, expected, strict=True):
        assert set(values) <= {float(latent)}
