"""The recipes of rotated digits use existing data and matching models."""

from __future__ import annotations

import pytest

from data_prep.sources import source_named
from data_prep.sources.options import parsed_options
from launch.recipes import RECIPES
from pipeline.models.diva_original import DivaOriginalConfig
from pipeline.models.interface import DataSpec


@pytest.mark.parametrize(("name", "cells"), [("rotated-mnist", 18), ("rotated-mnist-quick", 1)])
def test_each_run_holds_a_rotation_out_and_trains_on_the_others(name: str, cells: int) -> None:
    runs = RECIPES[name].runs()
    held_out = set()
    for run in runs:
        source = source_named(run.data.name, options=parsed_options(run.data.options))
        digit, domain = source.labels()
        assert (digit.name, domain.name) == ("digit", "domain")
        assert f"{source.options['held_out']:g} degrees" not in domain.values
        assert source.options["seed"] == run.seed
        held_out.add((source.options["held_out"], run.seed))
    assert len(held_out) == len(runs) == cells
    assert isinstance(runs[0].model, DivaOriginalConfig)
    shape = DataSpec(
        image_shape=source.image_shape(),
        cardinalities=(digit.cardinality, domain.cardinality),
        label_frequencies=((0.1,) * 10, (0.2,) * 5),
    )
    model = runs[0].model.build(shape)
    assert model.domain == slice(64, 128)
