from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import ConfigError
from pipeline.config import RunConfig, flat, from_json, identity, readable_name, to_json
from pipeline.data.settings import DataConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.registry import PRESETS
from pipeline.tracking import TrackingSettings
from pipeline.training.settings import TrainingConfig


@pytest.mark.parametrize("preset", PRESETS)
def test_json_round_trips(preset):
    run = RunConfig(model=PRESETS[preset].config(), seed=3)
    assert from_json(to_json(run)) == run


def test_what_decides_the_result_decides_the_identity():
    run = RunConfig()
    others = [
        replace(run, seed=1),
        replace(run, data=replace(run.data, supervision_rate=0.5)),
        replace(run, data=replace(run.data, supervision_schedule=((40, 0.5),))),
        replace(run, data=replace(run.data, supervision_schedule=((40, 0.5), (80, 0.1)))),
        replace(run, data=replace(run.data, supervision_schedule=((41, 0.5), (80, 0.1)))),
        replace(run, data=replace(run.data, supervision_rate=0.5, one_per_class=True)),
        replace(run, data=replace(run.data, supervision_rate=0.5, label_seed=1)),
        replace(run, training=replace(run.training, ranks=2)),
        replace(run, model=PRESETS["revae"].config()),
        replace(run, optimiser=replace(run.optimiser, learning_rate=1e-3)),
        replace(run, optimiser=replace(run.optimiser, milestones=(1, 3))),
        replace(run, optimiser=replace(run.optimiser, milestones=(1, 3), decay=0.5)),
    ]
    identities = [identity(other, "digest") for other in (run, *others)] + [identity(run, "other digest")]
    assert len(set(identities)) == len(identities)


def test_where_a_run_happens_does_not_decide_its_identity():
    run = RunConfig()
    same = [
        replace(run, data=replace(run.data, folder="/elsewhere", loader="arrow")),
        replace(run, training=replace(run.training, log_every_steps=7, keep_checkpoints=9)),
        replace(run, tracking=TrackingSettings(uri="http://127.0.0.1:5000", sweep="other")),
    ]
    assert {identity(other, "digest") for other in same} == {identity(run, "digest")}
    assert readable_name(run) == "ccvae-fashion_mnist-f1-seed0"


def test_auto_is_another_run_than_before_only_on_data_where_it_used_to_be_an_mlp():
    former = {"celeba": "26ce114d", "tfd": "c807f205"}
    for name, of_auto in former.items():
        runs = [
            RunConfig(data=DataConfig(name=name), model=CCVAEConfig(network=network))
            for network in ("auto", "convolutional")
        ]
        auto, convolutional = (identity(run, "digest") for run in runs)
        assert (auto == of_auto, auto == convolutional) == (name == "celeba", name == "tfd")


def scheduled() -> RunConfig:
    return RunConfig(data=DataConfig(supervision_rate=0.9, supervision_schedule=((40, 0.5), (80, 0.1))))


def test_a_schedule_is_read_back_and_seen_in_the_name():
    run = scheduled()
    assert from_json(to_json(run)) == run
    assert readable_name(run) == "ccvae-fashion_mnist-f0.9-0.5-0.1-seed0"
    one = RunConfig(data=DataConfig(name="mnist", supervision_rate=0.0, one_per_class=True))
    assert from_json(to_json(one)) == one
    assert readable_name(one) == "ccvae-mnist-f0-one_per_class-seed0"


def test_a_rate_of_the_schedule_applies_after_its_epochs_until_the_next():
    rates = [scheduled().data.supervision_rate_in(epoch) for epoch in (0, 39, 40, 79, 80, 500)]
    assert rates == [0.9, 0.9, 0.5, 0.5, 0.1, 0.1]
    assert DataConfig(supervision_rate=0.2).supervision_rate_in(7) == 0.2


seeds = st.integers(0, 3)
label_seeds = st.none() | seeds
supervisions = st.sampled_from(
    [
        {"supervision_rate": 0.06},
        {"supervision_rate": 0.0, "one_per_class": True},
        {"supervision_schedule": ((1, 0.5),)},
        {},
        {"supervision_rate": 0.0},
        {"supervision_rate": 0.0, "supervision_schedule": ((1, 1.0),)},
    ]
)


def seeded(seed: int, label_seed: int | None, supervision: dict[str, Any]) -> RunConfig:
    return RunConfig(seed=seed, data=DataConfig(label_seed=label_seed, **supervision))


@given(one=st.tuples(seeds, label_seeds), other=st.tuples(seeds, label_seeds), supervision=supervisions)
def test_runs_are_the_same_where_their_seed_and_the_label_seed_they_use_are(one, other, supervision):
    runs = [seeded(seed, label_seed, supervision) for seed, label_seed in (one, other)]
    same = len({(run.seed, run.label_seed) for run in runs}) == 1
    assert (identity(runs[0], "digest") == identity(runs[1], "digest")) == same
    assert (readable_name(runs[0]) == readable_name(runs[1])) == same


@given(seed=seeds, label_seed=label_seeds, supervision=supervisions)
def test_the_label_seed_is_the_seed_where_none_is_given_and_none_where_every_example_fares_alike(
    seed, label_seed, supervision
):
    run = seeded(seed, label_seed, supervision)
    rates = {run.data.supervision_rate_in(epoch) for epoch in (0, 1)}
    if run.data.one_per_class or not rates <= {0.0, 1.0}:
        assert run.label_seed == (seed if label_seed is None else label_seed)
    else:
        assert run.label_seed is None
    assert flat(run)["data.label_seed"] == run.label_seed
    assert from_json(to_json(run)) == run


def test_a_label_seed_of_its_own_is_seen_in_the_name():
    assert (
        readable_name(seeded(1, 0, {"supervision_rate": 0.06})) == "ccvae-fashion_mnist-f0.06-seed1-labels0"
    )
    assert readable_name(seeded(1, 1, {"supervision_rate": 0.06})) == "ccvae-fashion_mnist-f0.06-seed1"
    assert readable_name(seeded(1, 0, {})) == "ccvae-fashion_mnist-f1-seed1"


@pytest.mark.parametrize(
    ("data", "epochs", "sentence"),
    [
        ({"supervision_schedule": ((40, 1.5),)}, 100, "has 1.5 after 40 epochs; it is a share, 0 to 1"),
        ({"supervision_schedule": ((40, math.nan),)}, 100, "has nan after 40 epochs; it is a share, 0 to 1"),
        ({"supervision_schedule": ((0, 0.5),)}, 100, "has 0.5 after 0 epochs; they must be more than 0"),
        (
            {"supervision_schedule": ((40, 0.5), (40, 0.1))},
            100,
            "has 0.1 after 40 epochs; they must be more than 40",
        ),
        (
            {"supervision_schedule": ((40, 0.5), (80, 0.1))},
            80,
            "supervision_schedule changes f after 80 epochs, but the run has 80",
        ),
        (
            {"one_per_class": True},
            100,
            "one_per_class adds no label to those of supervision_rate=1; set 0 for",
        ),
    ],
)
def test_a_supervision_that_cannot_be_is_one_sentence(data, epochs, sentence):
    with pytest.raises(ConfigError, match=sentence):
        RunConfig(data=DataConfig(**data), training=TrainingConfig(epochs=epochs))


def test_flat_names_every_field():
    names = flat(RunConfig())
    assert names["model.system"] == "ccvae"
    assert names["data.supervision_rate"] == 1.0
    assert names["seed"] == 0


@pytest.mark.parametrize(
    ("section", "field", "value", "sentence"),
    [
        ("data", "supervision_rate", 1.5, "supervision_rate is 1.5"),
        ("data", "label_seed", -1, "label_seed is -1; it must not be negative"),
        ("training", "batch_size", 0, "batch_size is 0"),
        ("training", "ranks", 500, "batch_size 200 is smaller than the number of ranks 500"),
        ("optimiser", "learning_rate", 0.0, "learning_rate is 0.0"),
    ],
)
def test_a_value_that_cannot_work_is_one_sentence(section, field, value, sentence):
    with pytest.raises(ConfigError, match=sentence):
        replace(getattr(RunConfig(), section), **{field: value})
