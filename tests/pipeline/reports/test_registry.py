"""Every report can be made: its recipes, measures, labels and systems exist, and recipes take what it needs."""

from __future__ import annotations

from functools import cache

import pytest

from data_prep.sources import source_named
from launch.chosen_runs import chosen_runs
from launch.recipes import RECIPES
from launch.recipes.named import find_recipe
from launch.sweep_options import Sweep
from pipeline.figures.draw import DRAWN
from pipeline.measures.measure import key_of
from pipeline.measures.papers import MEASURED_BY
from pipeline.measures.registry import MEASURES, measure_named
from pipeline.models.registry import PRESETS
from pipeline.reports.paper_figure import PaperFigure
from pipeline.reports.paper_table import PaperTable
from pipeline.reports.registry import ON_DEMAND, REPORTS, measures_of, reports_of
from pipeline.tracking.measured import _metric_name

FIGURES = [report for report in REPORTS.values() if isinstance(report, PaperFigure)]
TABLES = [report for report in REPORTS.values() if isinstance(report, PaperTable)]

OURS = [name for name, recipe in RECIPES.items() if recipe.runs.__module__.startswith("launch.")]
"""Without those that tests add."""


@cache
def measures_taken(recipe: str) -> set[str]:
    return {text for run in RECIPES[recipe].runs() for text in run.measures.take}


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_has_data_and_recipes_that_exist_and_take_its_measures(name: str) -> None:
    report = REPORTS[name]
    assert report.datasets
    for dataset in report.datasets:
        for recipe in report.recipes[dataset].names:
            assert report in reports_of(recipe)
            taken = measures_taken(recipe)
            if recipe.startswith("rb-vae"):  # which also measure what no report shows
                assert taken > set(measures_of(recipe))
            elif recipe != "fashion-mnist-quick":  # which stays as quick as it can be
                assert taken == set(measures_of(recipe))
            if isinstance(report, PaperFigure) and recipe != "fashion-mnist-quick":
                assert {each.measure for each in report.pictures_of(dataset)} <= taken


@pytest.mark.parametrize("recipe", [name for name in OURS if name.endswith("-quick")])
def test_a_quick_recipe_takes_quick_readers(recipe: str) -> None:
    assert all(run.measures.quick_readers for run in chosen_runs(Sweep(), find_recipe(recipe)))


def test_a_full_recipe_takes_the_ensemble() -> None:
    full = [name for name in OURS if not name.endswith("-quick")]
    assert not any(
        run.measures.quick_readers for name in full for run in chosen_runs(Sweep(), find_recipe(name))
    )


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_the_pictures_of_a_figure_are_drawn_by_systems_that_exist(figure: PaperFigure) -> None:
    systems = {preset.config().system for preset in PRESETS.values()}
    assert set(figure.systems) <= systems
    for pictures in figure.pictures:
        measure = measure_named(pictures.measure)
        grids = "subspace_grid" if measure.name in DRAWN else pictures.files
        assert pictures.files in {grids, *DRAWN.get(measure.name, {})}
        labels = getattr(measure, "labels", "")
        for dataset in pictures.datasets if labels else ():
            names = {label.name.replace(" ", "_") for label in source_named(dataset).labels()}
            assert set(labels.split("+")) <= names


def test_the_numbers_of_every_table_are_those_of_a_measure() -> None:
    metrics = {metric for kind in MEASURES.values() for metric in kind.metrics}
    for metric, named in MEASURED_BY.items():
        key = key_of(measure_named(named), "test")
        assert metric.partition("/")[0] in MEASURES[key.measure].metrics
        assert _metric_name(key, metric.partition("/")[0]) == f"test/{metric}"
    assert {value.metric for table in TABLES for value in table.values} <= metrics | MEASURED_BY.keys()


def test_the_recipes_of_this_paper_name_what_only_some_machines_have_nowhere() -> None:
    assert not {text for name in OURS for text in measures_of(name)} & set(ON_DEMAND)
