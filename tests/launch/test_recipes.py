"""Every recipe gives runs that can be built; the papers' ones have the papers' settings."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from data_prep.errors import LaunchError
from data_prep.sources import source_named
from data_prep.sources.options import parsed_options
from data_prep.supervision import PAPER_RATES
from launch.recipes import RECIPES
from launch.recipes.named import find_recipe
from launch.sweep import main
from pipeline.config import RunConfig, from_json, identity, readable_name, to_json
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.interface import DataSpec
from pipeline.reports.registry import reports_of
from tests.data_prep.sources.raw_pictures import write_celeba, write_chexpert

# Other tests register recipes of their own there.
OURS = {name: recipe for name, recipe in RECIPES.items() if recipe.runs.__module__.startswith("launch.")}
TABLE_1 = ("celeba-table1", "chexpert-table1", "drawn-faces", "drawn-radiographs")


def data_of(run: RunConfig) -> str:
    return " ".join([run.data.name, *run.data.options])


def shape_of(run: RunConfig) -> DataSpec:
    """The data specification of its model, with uniform label frequencies; no raw file is read."""
    source = source_named(run.data.name, None, parsed_options(run.data.options))
    cardinalities = tuple(label.cardinality for label in source.labels())
    return DataSpec(
        image_shape=source.image_shape(),
        cardinalities=cardinalities,
        label_frequencies=tuple((1 / values,) * values for values in cardinalities),
        training_rows=1000,
    )


@pytest.mark.parametrize("name", OURS)
def test_the_runs_of_a_recipe_are_different_cells_that_can_be_read_back(name: str) -> None:
    runs = OURS[name].runs()
    assert runs
    names = Counter(f"{readable_name(run)}-{identity(run, data_of(run))}" for run in runs)
    assert max(names.values()) == 1
    one_of_each = {run.model.system: run for run in runs}.values()
    assert all(from_json(to_json(run)) == run for run in one_of_each)


@pytest.mark.parametrize("name", [name for name in OURS if "mnist" not in name and "estimators" not in name])
def test_the_models_of_a_recipe_fit_its_data(name: str) -> None:
    # Their raw files say what they show, or how large they are.
    runs = [run for run in OURS[name].runs() if run.data.name not in ("tfd", "pictures")]
    kinds = {repr((run.data.name, run.data.options, run.model)): run for run in runs}
    for run in kinds.values():
        assert sum(weights.numel() for weights in run.model.build(shape_of(run)).parameters()) > 100


@pytest.mark.parametrize("name", TABLE_1)
def test_table_1_has_the_papers_systems_rates_epochs_and_learning_rate(name: str) -> None:
    runs = OURS[name].runs()
    assert {run.training.epochs for run in runs} == {100}
    assert {run.optimiser.learning_rate for run in runs} == {2e-4}
    cells = {(run.model.system, run.data.supervision_rate, run.seed) for run in runs}
    systems = ("ccvae", "m2", "diva", "mvae", "m3")
    assert cells == {(s, f, seed) for s in systems for f in PAPER_RATES for seed in range(3)}


@pytest.mark.parametrize("name", TABLE_1)
def test_ccvae_has_the_45_latents_of_the_paper(name: str) -> None:
    run = OURS[name].runs()[0]
    assert isinstance(run.model, CCVAEConfig)
    assert len(shape_of(run).cardinalities) + run.model.style_size == 45


@pytest.mark.parametrize("name", [name for name in OURS if name.endswith("-quick")])
def test_a_quick_recipe_is_quick(name: str) -> None:
    runs = OURS[name].runs()
    assert max(run.training.epochs for run in runs) <= 20
    assert {run.seed for run in runs} == {0}


@pytest.mark.parametrize(
    ("name", "cells"), [("drawn-faces-quick", 20), ("hair-multiclass-quick", 2), ("csvae-table1-quick", 4)]
)
def test_drawn_data_are_planned_without_any_file(
    name: str, cells: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--data-root", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]
    with pytest.raises(SystemExit) as end:
        main(["--recipe", name, "--dry-run", *places])
    assert not end.value.code
    assert f"{cells} cells, {cells} to run" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "cells"), [("celeba-table1", 60), ("hair-multiclass", 6), ("chexpert-table1", 60)]
)
def test_the_papers_data_are_planned_from_their_raw_files(
    name: str, cells: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = (write_chexpert if "chexpert" in name else write_celeba)(tmp_path / "raw")
    places = ["--raw", str(raw), "--data-root", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]
    with pytest.raises(SystemExit) as end:
        main(["--recipe", name, "--dry-run", *places])
    assert not end.value.code
    assert f"{cells} cells, {cells} to run" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.mark.parametrize("name", OURS)
def test_the_seeds_of_a_recipe_vary_the_labelled_examples_too(name: str) -> None:
    assert all(run.label_seed in (run.seed, None) for run in RECIPES[name].runs())


def test_rb_vaes_table_has_the_papers_nine_systems_and_settings() -> None:
    paper = {
        "network": "pixel_norm",
        "likelihood": "laplace",
        "likelihood_scale": 0.005,
        "latent_size": 32,
    }
    for name, epochs in (("rb-vae-table1", 30), ("rb-vae-table1-affectnet", 20)):
        runs = OURS[name].runs()
        assert len({run.model.system for run in runs}) == 9
        assert len(runs) == 27
        for run in runs:
            assert (run.training.epochs, run.optimiser.learning_rate) == (epochs, 1e-4)
            assert run.optimiser.betas == (0.5, 0.99)
            assert run.training.batch_size == 36 * (1 + run.draws_references)  # 36 + 36
            assert asdict(run.model).items() >= paper.items()
            assert {"linear_probes", "conditional_synthesis"} <= set(run.measures.take)
    strengths: dict[str, list[Any]] = defaultdict(list)
    for run in OURS["rb-vae-strengths"].runs():
        model = asdict(run.model)
        strengths[model["system"]].append(model.get("beta", model.get("covariance_weight")))
    assert set(strengths) == {"beta_vae", "beta_tcvae", "dip_vae_i", "dip_vae_ii"}
    assert {tuple(each) for each in strengths.values()} == {(2, 5, 10, 20, 50)}


def test_a_table_without_a_recipe_of_its_own_has_that_of_its_runs() -> None:
    """The runs of CCVAE's tables 1, 2, 4 and 5 are the same, and a sweep ends with all tables of its runs."""
    for name, runs in (
        ("celeba-table2", "celeba-table1"),
        ("chexpert-table5", "chexpert-table1"),
        ("csvae-table3-quick", "csvae-table1-quick"),
        ("csvae-table4", "csvae-table1"),
    ):
        found = find_recipe(name)
        assert (found.name, found.sweep, found.make) == (runs, runs, RECIPES[runs].runs)
    assert "ccvae-table2" in [report.name for report in reports_of(find_recipe("celeba-table2").name)]
    for name in ("celeba-table3", "csvae-table9", "mnist-table2", "celeba-table"):
        with pytest.raises(LaunchError, match=f"there is no recipe '{name}'"):
            find_recipe(name)
