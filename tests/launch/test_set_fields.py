"""``--set``: values for any field, grids of them, and what is wrong with one."""

from __future__ import annotations

import pytest

from data_prep.errors import LaunchError, UserError
from launch.chosen_runs import chosen_runs
from launch.recipes.named import find_recipe
from launch.set_fields import parsed_grid, shown_fields, with_fields, with_values, without_the_field
from launch.sweep_options import Sweep
from pipeline.config import RunConfig, flat
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.m2 import M2Config
from pipeline.models.mvae import MVAEConfig
from pipeline.models.vae import VAEConfig

RUNS = [RunConfig(model=CCVAEConfig()), RunConfig(model=M2Config())]


def values(name: str, *texts: str) -> list[object]:
    return [flat(run).get(name) for run in with_fields(RUNS, parsed_grid(texts))]


def test_values_become_what_their_field_holds() -> None:
    assert values("optimiser.learning_rate", "optimiser.learning_rate=1e-3") == [1e-3, 1e-3]
    assert values("training.compile", "training.compile=true") == [True, True]
    assert values("data.label_seed", "data.supervision_rate=0.5", "data.label_seed=3,none")[:2] == [3, 0]
    assert values("optimiser.betas", "optimiser.betas=(0.5,0.9),[0.9,0.99]")[:2] == [(0.5, 0.9), (0.9, 0.99)]
    schedule = "data.supervision_schedule=[[2,0.5],[3,0.2]]"
    assert values("data.supervision_schedule", schedule)[0] == ((2, 0.5), (3, 0.2))
    assert values("optimiser.milestones", "optimiser.milestones=[]") == [(), ()]
    # Together, although neither would be valid without the other.
    assert (
        len(with_fields([RunConfig()], parsed_grid(["training.epochs=2000", "optimiser.milestones=[1500]"])))
        == 1
    )


def test_several_values_make_a_grid_and_runs_without_the_field_stay_once() -> None:
    grid = parsed_grid(["optimiser.learning_rate=1e-3,5e-4", "model.style_size=20,40"])
    runs = with_fields(RUNS, grid)
    assert [shown_fields(run, grid) for run in runs] == [
        *(
            f"optimiser.learning_rate={rate} model.style_size={size}"
            for rate in (0.001, 0.0005)
            for size in (20, 40)
        ),
        "optimiser.learning_rate=0.001",
        "optimiser.learning_rate=0.0005",
    ]
    assert without_the_field(runs, grid) == ["m2 has no field model.style_size, and is run without it"]
    others = [RunConfig(model=MVAEConfig()), RunConfig(model=VAEConfig())]
    assert without_the_field([*runs, *others], ["model.style_size"]) == [
        "m2, mvae and vae have no field model.style_size, and are run without it"
    ]


def test_another_system_has_its_own_defaults_and_fields() -> None:
    runs = with_fields(RUNS[:1], parsed_grid(["model.style_size=7", "model.system=ccvae,m3"]))
    assert [(run.model.system, flat(run)["model.style_size"]) for run in runs] == [("ccvae", 7), ("m3", 7)]
    made = with_values(RUNS[0], {"model.style_size": "7", "model.system": "m3"})
    assert (made.model.system, flat(made)["model.style_size"]) == ("m3", 7)  # in either order


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "model.style_sise=2",
            r"--set model.style_sise: no run .* such a field; did you mean model.style_size\?",
        ),
        ("learning_rate=2", r"did you mean optimiser.learning_rate\?"),
        ("optimiser=2", "is a section; name one of its fields, such as optimiser.learning_rate"),
        ("model.style_size=x", r"model.style_size: Input should be a valid integer, .* \(it is 'x'\)"),
        ("measures.take=likelihood", r"write a list in brackets: measures.take=\[likelihood\]"),
        (" seed =99999999999999999999", r"seed is 9+; it must be below 2\^63"),
        ("training.precision=bfloat", r"; did you mean bfloat16\?"),
        ("model.system=ccvea", r"; did you mean ccvae\?"),
        ("optimiser.learning_rate=-1", "learning_rate is -1.0; it must be above 0"),
        ("tracking.uri=x", "the launcher sets this field"),
        ("seed=1,,2", "a value is empty"),
        ("seed=[1", "a bracket is not closed"),
        ("seed", "write FIELD=VALUE"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_likely_name(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as error:
        with_fields(RUNS, parsed_grid([text]))
    assert "\n" not in str(error.value)


def test_a_field_is_not_given_twice() -> None:
    with pytest.raises(LaunchError, match="--set seed is given twice"):
        parsed_grid(["seed=1", "seed=2"])
    with pytest.raises(LaunchError, match=r"--epochs and --set training\.epochs are the same"):
        chosen_runs(Sweep(epochs=2, set=("training.epochs=3",)), find_recipe("mnist"))
