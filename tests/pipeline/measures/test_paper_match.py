"""Each row of the papers' tables stands next to the runs it belongs to, and next to no others."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields, replace
from functools import cache
from itertools import product
from typing import Any

import pytest

from data_prep.supervision import PAPER_RATES
from launch.recipes import RECIPES
from pipeline.config import RunConfig, flat
from pipeline.data.settings import DataConfig
from pipeline.measures.paper_match import Match, matches
from pipeline.measures.paper_settings import SETTINGS
from pipeline.measures.papers import MEASURED_BY, PaperValue, paper_values
from pipeline.measures.recorded import papers_of, preset_tags
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.m3 import M3Config
from pipeline.models.nearest_preset import nearest_preset
from pipeline.models.registry import PRESETS
from pipeline.training.settings import OptimiserConfig, TrainingConfig

ACCURACY = "classification_accuracy"
METRICS = sorted({number.metric for number in paper_values()})
DATASETS = sorted({number.dataset for number in paper_values()} | {"drawn_faces", "fashion_mnist_held_out"})
LEARNING_RATES = {"mnist": 5e-4, "fashion_mnist": 5e-4}


def params_of(config: RunConfig) -> dict[str, str]:
    return {name: str(value) for name, value in flat(config).items()}


def matches_of(config: RunConfig) -> tuple[Match, ...]:
    params = params_of(config)
    preset = nearest_preset(params)
    assert preset is not None
    return matches(params, preset.name, preset.deviations)


def numbers(config: RunConfig, metric: str) -> list[tuple[PaperValue, Match]]:
    data = config.data
    found = [(m.number(data.name, data.supervision_rate, metric), m) for m in matches_of(config)]
    return [(number, match) for number, match in found if number is not None]


def deviating(config: RunConfig) -> set[str]:
    return {deviation.name for match in matches_of(config) for deviation in match.deviations}


def run(preset: str, dataset: str, rate: float = 0.06, **model: Any) -> RunConfig:
    data = DataConfig(name=dataset, supervision_rate=rate)
    if PRESETS[preset].one_per_class:
        data = replace(data, supervision_rate=0.0, one_per_class=True)
    return RunConfig(
        data=data,
        model=replace(PRESETS[preset].config(), **model),
        optimiser=OptimiserConfig(learning_rate=LEARNING_RATES.get(dataset, 2e-4)),
    )


@cache
def next_to_recipes() -> dict[PaperValue, dict[str, bool]]:
    """By row the recipes with a run that it belongs to, and whether that run differs from the paper's."""
    found: dict[PaperValue, dict[str, bool]] = defaultdict(dict)
    for name, recipe in RECIPES.items():
        for config in recipe.runs():
            for match, metric in product(matches_of(config), METRICS):
                number = match.number(config.data.name, config.data.supervision_rate, metric)
                if number is not None:
                    found[number][name] = bool(match.deviations) or found[number].get(name, False)
    return found


CLAIMED = {
    ("ccvae", "celeba"): "celeba-table1",
    ("ccvae", "chexpert"): "chexpert-table1",
    ("ccvae", "fashion_mnist"): "fashion-mnist",
    ("ccvae", "mnist"): "mnist",
}
"""The recipe that reproduces a paper's table on a data set."""


@pytest.mark.parametrize("row", [row for row in paper_values() if row.paper == "ccvae"], ids=str)
def test_a_row_is_found_by_the_recipe_of_its_table_and_no_quick_run_passes_for_it(row: PaperValue) -> None:
    found = next_to_recipes()[row]
    assert found[CLAIMED[row.paper, row.dataset]] is False
    assert all(deviates for name, deviates in found.items() if name.endswith("-quick"))
    # The other papers' recipes train some of the same runs; these differ, by their gradients and by a term of our own.
    assert {name for name, deviates in found.items() if deviates and not name.endswith("-quick")} <= {
        "ccvae-figure8",
        "few-labels",
    }


@pytest.mark.parametrize(
    "row", [row for row in paper_values() if (row.paper, row.table) == ("csvae", "1")], ids=str
)
def test_the_rows_of_attribute_switching_are_found_by_their_recipe(row: PaperValue) -> None:
    assert next_to_recipes()[row] == {"csvae-table1": False}


@pytest.mark.parametrize(
    "row", [row for row in paper_values() if row.paper == "rb_vae" and row.setting == "average"], ids=str
)
def test_the_rows_of_reference_sets_are_found_by_their_recipes_and_any_strength_is_the_papers(
    row: PaperValue,
) -> None:
    suffix = "" if row.dataset == "transformed_mnist" else "-affectnet"
    recipes = {f"rb-vae-table1{suffix}"}
    if row.model.startswith(("beta_", "dip_")):
        recipes.add(f"rb-vae-strengths{suffix}")
    assert next_to_recipes()[row] == dict.fromkeys(recipes, False)


OWN = {
    **dict.fromkeys(("ccvae", "ccvae-celeba", "ccvae-constant", "ccvae-exact"), "ccvae"),
    **dict.fromkeys(("ccvae-consistent", "ccvae-few-labels"), "ccvae"),
    **dict.fromkeys(("m2", "m2-celeba", "mvae", "mvae-celeba", "diva"), "ccvae"),
    **dict.fromkeys(("revae", "revae-one-per-class", "m3"), "revae"),
    **dict.fromkeys(("vae", "cond_vae", "cond_vae_info", "csvae"), "csvae"),
    **dict.fromkeys(("rb_vae", "srb_vae", "svae", "mathieu"), "rb_vae"),
    **dict.fromkeys((name for name in PRESETS if name.startswith(("beta_", "dip_"))), "rb_vae"),
    "label_reader": None,
}


@pytest.mark.parametrize("preset", PRESETS)
def test_no_run_of_one_papers_preset_has_another_papers_number_in_the_table(preset: str) -> None:
    for dataset, rate in product(DATASETS, PAPER_RATES):
        found = matches_of(run(preset, dataset, rate))
        for metric in METRICS:
            papers = [m.setting.paper for m in found if m.number(dataset, rate, metric) is not None]
            own = "rb_vae" if dataset in ("transformed_mnist", "affectnet") else OWN.get(preset)
            assert papers[:1] in ([], ["revae" if metric in MEASURED_BY else own])
            if preset.startswith("revae"):
                assert set(papers) <= {"revae"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (run("revae", "fashion_mnist"), [(0.82, "revae")]),
        (run("ccvae", "fashion_mnist"), [(0.865, "ccvae"), (0.83, "revae_10")]),
        (
            run("revae", "fashion_mnist", characteristic_size=10, style_size=0),
            [(0.865, "ccvae"), (0.83, "revae_10")],
        ),
        (run("revae", "fashion_mnist", characteristic_size=20, style_size=0), [(0.83, "revae_20")]),
        (run("ccvae", "mnist", 0.004, characteristic_size=20), [(0.93, "revae_20")]),
        (run("revae", "celeba", style_size=27), [(0.88, "revae")]),
        (run("ccvae-celeba", "celeba"), [(0.862, "ccvae")]),
        (run("revae-one-per-class", "mnist"), [(0.767, "revae")]),
        (run("m2", "fashion_mnist"), [(0.848, "m2"), (0.83, "m2")]),
        (run("m2", "fashion_mnist", 1.0), [(0.892, "m2")]),
        (run("m3", "fashion_mnist", characteristic_size=4, style_size=10), [(0.34, "m3")]),
    ],
    ids=lambda value: "-".join(str(part) for part in value) if isinstance(value, list) else None,
)
def test_rows_are_distinguished_by_their_settings(
    config: RunConfig, expected: list[tuple[float, str]]
) -> None:
    found = numbers(config, ACCURACY)
    assert [(number.value, number.model) for number, _ in found] == expected
    assert deviating(config) == set()


@pytest.mark.parametrize(
    "config",
    [
        run("ccvae", "drawn_faces"),
        run("ccvae", "fashion_mnist_held_out"),
        run("ccvae", "fashion_mnist", 0.5),
        run("ccvae", "fashion_mnist", style_size=5),
        run("revae", "fashion_mnist", style_size=11),
        run("revae", "mnist"),
        run("revae-one-per-class", "fashion_mnist"),
        replace(run("ccvae", "celeba"), data=DataConfig(name="celeba", options=("count=6000",))),
        replace(
            run("ccvae", "fashion_mnist"),
            data=DataConfig(name="fashion_mnist", supervision_rate=0.06, supervision_schedule=((9, 0.004),)),
        ),
        replace(
            run("ccvae", "mnist"), data=DataConfig(name="mnist", supervision_rate=0.06, one_per_class=True)
        ),
    ],
    ids=lambda config: f"{config.model.system} {config.data}",
)
def test_what_is_no_run_of_the_papers_has_no_number(config: RunConfig) -> None:
    assert numbers(config, ACCURACY) == []


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (replace(run("revae", "fashion_mnist"), training=TrainingConfig(epochs=3)), {"epochs"}),
        (
            replace(run("revae", "fashion_mnist"), optimiser=OptimiserConfig(learning_rate=1e-3)),
            {"learning_rate"},
        ),
        (
            replace(run("m2", "mnist"), optimiser=OptimiserConfig(milestones=(50,))),
            {"milestones"},
        ),
        (run("m2", "mnist", latent_size=50), {"latent_size"}),
        (run("m3", "fashion_mnist"), {"characteristic_size", "style_size"}),
        (run("ccvae-constant", "celeba"), {"preset"}),
        (run("revae", "fashion_mnist", likelihood="laplace"), {"likelihood"}),
    ],
    ids=lambda value: "-".join(sorted(value)) if isinstance(value, set) else None,
)
def test_what_a_run_has_otherwise_is_named(config: RunConfig, names: set[str]) -> None:
    assert numbers(config, ACCURACY)
    assert deviating(config) == names


def test_a_deviation_says_both_values() -> None:
    ((_, match), _) = numbers(replace(run("ccvae", "mnist"), training=TrainingConfig(epochs=3)), ACCURACY)
    assert [str(deviation) for deviation in match.deviations] == ["epochs: paper 100, here 3"]


OTHERWISE: dict[str, Any] = {
    "network": "convolutional",
    "likelihood": "laplace",
    "label_marginal": "exact",
    "posterior_predictive": "monte_carlo",
    "weight_gradient": "none",
    "weight_limit": 5.0,
    "consistency_change": "mixed",
    "consistency_blur": 0.5,
    "consistency_share": 0.5,
    "pseudo_label_threshold": 0.9,
}
_DECIDING = ("system", "characteristic_size", "style_size", "label_latents", "reparameterise_classifier")


@pytest.mark.parametrize("name", [entry.name for entry in fields(CCVAEConfig) if entry.name not in _DECIDING])
def test_no_setting_of_the_model_deviates_unnoticed(name: str) -> None:
    value = getattr(CCVAEConfig(), name)
    other = OTHERWISE[name] if name in OTHERWISE else not value if isinstance(value, bool) else value + 1
    changed: dict[str, Any] = {name: other}
    if name == "importance_samples":  # several are refused with the default gradient
        changed["weight_gradient"] = "as_printed"
    assert name in deviating(run("ccvae", "fashion_mnist", **changed))


def test_what_no_number_is_claimed_to_depend_on_is_no_deviation() -> None:
    config = replace(
        run("revae", "fashion_mnist"),
        data=DataConfig(name="fashion_mnist", supervision_rate=0.06, label_seed=4, loader="ffcv", folder="x"),
        training=TrainingConfig(
            ranks=2, precision="bfloat16", compile=True, device="cpu", batch_size=100, keep_checkpoints=9
        ),
        seed=7,
    )
    assert (numbers(config, ACCURACY)[0][0].value, deviating(config)) == (0.82, set())


def test_every_row_of_a_setting_is_in_the_tables() -> None:
    for setting in SETTINGS:
        for dataset in setting.datasets:
            assert any(any(setting.numbers(dataset, metric)) for metric in METRICS), (setting.model, dataset)
        for preset in (*setting.presets, *setting.related):
            assert preset in PRESETS


class Recorded:
    """A run as MLflow has it."""

    run_id = "a"

    def __init__(self, config: RunConfig, *, tagged: bool, without: tuple[str, ...] = ()) -> None:
        self.params = {name: text for name, text in params_of(config).items() if name not in without}
        preset = nearest_preset(self.params)
        assert preset is not None
        self.metrics: dict[str, float] = {}
        self.tags = preset_tags(preset.name, preset.deviations) if tagged else {}


@pytest.mark.parametrize(
    "config",
    [
        run("revae", "fashion_mnist"),
        run("m2-celeba", "celeba"),
        run("ccvae", "mnist", classifier_weight=30.0),
    ],
    ids=lambda config: config.model.system,
)
def test_a_run_recorded_before_presets_were_has_the_same_rows(config: RunConfig) -> None:
    expected = papers_of(Recorded(config, tagged=True))
    assert expected
    assert papers_of(Recorded(config, tagged=False)) == expected
    newer = ("data.one_per_class", "data.supervision_schedule", "optimiser.milestones", "model.label_latents")
    assert papers_of(Recorded(config, tagged=False, without=newer)) == expected


def test_the_nearest_preset_is_the_one_with_the_fewest_other_values() -> None:
    def nearest(model: Any) -> tuple[str, dict[str, str]]:
        found = nearest_preset(params_of(RunConfig(model=model)))
        assert found is not None
        return found.name, dict(found.deviations)

    for name, preset in PRESETS.items():
        assert nearest(preset.config()) == (name, {})
    assert nearest(replace(CCVAEConfig.revae(), style_size=11)) == ("revae", {"model.style_size": "10"})
    assert nearest(CCVAEConfig(style_size=40)) == ("ccvae", {"model.style_size": "0"})
    assert nearest(M3Config(confidence=0.8)) == ("m3", {"model.confidence": "0.9"})
    assert nearest_preset({"model.system": "no_such_system"}) is None
