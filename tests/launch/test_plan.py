"""What a run names is located: its data set with its options, and its networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_prep.errors import ConfigError
from data_prep.manifest import Manifest
from launch.plan import DataPlaces, located, needed_data, planned_cells, write_cells
from pipeline.cell import Cell
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.interface import DataSpec
from pipeline.tracking import TrackingSettings
from pipeline.training.settings import TrainingConfig
from tests.data_prep.sources.raw_pictures import write_chexpert
from tests.pipeline.networks.own_networks import SMALL, write_small

SHAPE: dict[str, Any] = {
    "image_shape": (1, 28, 28),
    "cardinalities": (10,),
    "label_frequencies": ((0.1,) * 10,),
}


def run_with(*options: str) -> RunConfig:
    return RunConfig(data=DataConfig(name="chexpert", options=options))


def test_each_data_set_is_prepared_once_with_the_options_of_its_runs(tmp_path: Path) -> None:
    places = DataPlaces(raw=write_chexpert(tmp_path / "raw"), data_root=tmp_path / "data")
    asked = [
        run_with(),
        run_with("uncertain=ones"),
        run_with("uncertain=ones"),
        run_with("uncertain=unobserved"),
    ]
    runs = located(asked, places)
    plain, ones, again, default = (run.data.folder for run in runs)
    assert ones == again != plain
    assert default == plain
    needed = needed_data(runs, places)
    for data in needed:
        data.prepare_here()
    assert Manifest.load(Path(ones)).options["uncertain"] == "ones"
    assert Manifest.load(Path(plain)).options["uncertain"] == "unobserved"
    assert {folder.name for folder in (tmp_path / "data").glob("chexpert-*")} == {
        Path(ones).name,
        Path(plain).name,
    }
    assert all(data.is_ready() for data in needed)


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("uncertian=ones", "no option 'uncertian': did you mean uncertain"),
        ("ones", "not of the form NAME=VALUE"),
    ],
)
def test_an_unknown_option_is_reported_in_one_sentence(tmp_path: Path, option: str, sentence: str) -> None:
    places = DataPlaces(raw=write_chexpert(tmp_path / "raw"), data_root=tmp_path / "data")
    with pytest.raises(ConfigError, match=sentence):
        located([run_with(option)], places)


def test_a_network_of_the_users_own_is_part_of_a_cell_by_its_source_and_the_sweep_keeps_a_copy(
    tiny_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = DataPlaces(raw=tiny_raw, data_root=tmp_path / "data")

    def cells(network: str) -> list[Cell]:
        model = CCVAEConfig(network=network)
        run = RunConfig(data=DataConfig(name="idx_folder"), model=model, training=TrainingConfig(epochs=1))
        return planned_cells(located([run], places), tmp_path / "runs" / "sweep")

    def width(cell: Cell) -> int:
        made: Any = Cell.open(cell.config_file).config.model.build(DataSpec(**SHAPE))
        return next(made.encoder.parameters()).shape[0]

    write_small(tmp_path / "nets")
    monkeypatch.chdir(tmp_path)
    first = cells("nets/mine.py:Small")
    assert not (tmp_path / "runs").exists()
    write_cells(first, TrackingSettings(enabled=False))
    assert [cell.name for cell in cells("nets/mine.py:Small")] == [cell.name for cell in first]

    wider = SMALL.replace("LazyLinear(20)", "LazyLinear(30)").replace("(20, outputs)", "(30, outputs)")
    write_small(tmp_path / "nets", text=wider)
    second = cells("nets/mine.py:Small")
    write_cells(second, TrackingSettings(enabled=False))
    assert first[0].name != second[0].name
    (tmp_path / "nets" / "mine.py").unlink()
    assert [width(cell) for cell in (*first, *second)] == [20, 30]

    with pytest.raises(ConfigError, match=r"^network nets/mine.py:Small: .* cannot be read: No such file"):
        cells("nets/mine.py:Small")
