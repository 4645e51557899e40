"""A run may set options of its data set: they decide which data set it is, and how it is prepared."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.errors import ConfigError
from data_prep.manifest import Manifest
from launch.plan import DataPlaces, located, needed_data
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from tests.data_prep.sources.raw_pictures import write_chexpert


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
