"""Every system of the registry, trained and measured as a cell, on each kind of data that it supports."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from data_prep.manifest import Manifest
from data_prep.sources.options import Option
from jobs.evaluate import evaluate_cell
from jobs.train import train_cell
from pipeline.cell import Cell
from pipeline.cells.measurements import Result
from pipeline.cells.record import DRAW_REFERENCES
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.figures import draw
from pipeline.measures.plan import is_done, planned
from pipeline.models.registry import PRESETS
from pipeline.tracking import TrackingSettings
from pipeline.training.settings import TrainingConfig
from tests.data_prep.fixtures import prepared
from tests.pipeline.models.every_system import OF_OWN_READINGS, REFUSED, SEES_NO_LABELS, narrow
from tests.pipeline.models.test_every_capability import CAN
from tests.pipeline.runs import small_cell

RATES = {"digits": 0.0, "radiographs": 0.5, "mixed": 1.0}
"""Kind of data → the supervision rate of the run on it: none, some and all rows have labels."""
LIKE_VAE = ("beta_vae", "beta_tcvae", "dip_vae_i", "dip_vae_ii")
"""Systems that differ from ``vae`` in nothing but their objective: they are run on the fastest data only."""
REFERENCES = "mixed"
"""The kind of data that has a reference set."""


def draws_references(preset: str) -> bool:
    return PRESETS[preset].config().system in DRAW_REFERENCES


def sees_labels(preset: str) -> bool:
    """Whether it is the first preset of a system that sees labels, or ``vae``."""
    return preset == PRESETS[preset].config().system and preset not in (*LIKE_VAE, *SEES_NO_LABELS)


CASES = [
    (preset, data)
    for preset in PRESETS
    for data in RATES
    if (preset, data) not in REFUSED
    and not preset.endswith("-ruiz")
    and preset not in OF_OWN_READINGS
    and (data == REFERENCES if draws_references(preset) else data == "digits" or sees_labels(preset))
]
"""Presets of a system besides the first, and systems that see no labels, are run on the fastest data only; those of systems
that see no labels besides the first not at all, nor those with a term that would not begin in a run so short."""
FACES: dict[str, Option] = {"count": 40, "read_as": "celeba_hair", "reference": "neutral"}
FIGURES = {
    "reconstructions": {"Reconstructs"},
    "conditional_generations": {"GeneratesFromLabels"},
    "interventions": {"Intervenes"},
    "attribute_switching": {"SwitchesAttribute", "HasLabelLatents"},
    "swaps": {"SwapsCharacteristics"},
    "traversals": {"Traverses"},
    "latent_histogram": {"EncodesFactors"},
}
"""Figure → what a system must be able to do for it."""
DRAWING = {("ccvae", data) for data in RATES} | {("csvae", "mixed")}
"""Presets whose figures are drawn for real, and the kinds of data."""


@pytest.fixture(scope="module")
def data_sets(tiny_data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A class label; five labels, some unobserved; sixteen labels in colour, one with five values, and references."""
    root = tmp_path_factory.mktemp("every-system")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_CACHE_HOME", str(root / "cache"))
        return {
            "digits": tiny_data_set,
            "radiographs": prepared("drawn_radiographs", None, root, options={"count": 100}),
            "mixed": prepared("drawn_faces", None, root, options=FACES),
        }


@pytest.fixture
def drawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two systems, which have every figure between them, draw; the others leave an empty picture.

    Drawing takes more than half of the time, and depends on the arrays of a measure, not on the system.
    """
    case = request.node.callspec.params
    if (case["preset"], case.get("data")) not in DRAWING:
        monkeypatch.setattr(draw, "save_grid", empty_picture)
        monkeypatch.setattr(
            draw,
            "DRAWN",
            {measure: dict.fromkeys(figures, empty_picture) for measure, figures in draw.DRAWN.items()},
        )


def empty_picture(content: object, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG")


def test_every_figure_is_drawn_for_real():
    assert all(any(needed <= CAN[preset] for preset, _ in DRAWING) for needed in FIGURES.values())


@pytest.mark.parametrize(("preset", "data"), CASES)
@pytest.mark.usefixtures("drawn")
def test_a_system_is_trained_and_measured(
    data_sets: dict[str, Path], tmp_path: Path, preset: str, data: str
) -> None:
    config = run_of(data_sets, preset, data)
    cell, numbers = trained_and_measured(config, tmp_path)
    assert all(math.isfinite(value) for value in numbers.values())
    can = CAN[config.model.system]
    assert ("elbo" in numbers) == ("BoundsLikelihood" in can)
    assert ("classification_accuracy" in numbers) == ("Classifies" in can)
    assert_figures(cell, can)


@pytest.mark.parametrize("preset", ["cond_vae", "cond_vae_info", "csvae"])
@pytest.mark.usefixtures("drawn")
def test_a_system_that_needs_all_labels_gets_them_when_it_is_measured(
    data_sets: dict[str, Path], tmp_path: Path, preset: str
) -> None:
    """As in the paper (``hidden_labels=0``): it has no bound of images without labels, and all of its figures."""
    config = run_of(data_sets, preset, "mixed", hidden_labels=0.0)
    cell, numbers = trained_and_measured(config, tmp_path)
    assert numbers == {}
    (result,) = (
        Result.read(entry.key.folder(cell.folder))
        for entry in planned(config.measures)
        if entry.measure.name == "likelihood"
    )
    assert result is not None
    assert result.reason == "the system encodes images with known labels only"
    assert_figures(cell, CAN[config.model.system])


def run_of(data_sets: dict[str, Path], preset: str, data: str, **options: Any) -> RunConfig:
    return RunConfig(
        data=DataConfig(
            name=Manifest.load(data_sets[data]).name,
            folder=str(data_sets[data]),
            supervision_rate=RATES[data],
            one_per_class=PRESETS[preset].one_per_class,
        ),
        model=narrow(preset, **options),
        training=TrainingConfig(epochs=1, batch_size=10 if data == "mixed" else 20, log_every_steps=1),
        tracking=TrackingSettings(enabled=False),
    )


def trained_and_measured(config: RunConfig, folder: Path) -> tuple[Cell, dict[str, float]]:
    cell = small_cell(folder, config)
    train_cell(cell.config_file)
    numbers = evaluate_cell(cell.config_file)
    assert is_done(cell)
    return cell, numbers


def assert_figures(cell: Cell, can: set[str]) -> None:
    """Exactly those that the system supports."""
    drawn = [path.stem for path in cell.figures.glob("*") if path.read_bytes().startswith(b"\x89PNG")]
    for figure, needed in FIGURES.items():
        assert any(stem.startswith(figure) for stem in drawn) == (needed <= can), figure
