from __future__ import annotations

from dataclasses import replace

import pytest

from data_prep.errors import ConfigError
from pipeline.config import RunConfig, flat, from_json, identity, readable_name, to_json
from pipeline.models.registry import PRESETS
from pipeline.tracking import TrackingSettings


@pytest.mark.parametrize("preset", PRESETS)
def test_json_gives_the_same_run_back(preset):
    run = RunConfig(model=PRESETS[preset].config(), seed=3)
    assert from_json(to_json(run)) == run


def test_what_decides_the_result_decides_the_identity():
    run = RunConfig()
    others = [
        replace(run, seed=1),
        replace(run, data=replace(run.data, supervision_rate=0.5)),
        replace(run, training=replace(run.training, ranks=2)),
        replace(run, model=PRESETS["revae"].config()),
        replace(run, optimiser=replace(run.optimiser, learning_rate=1e-3)),
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


def test_flat_names_every_field():
    names = flat(RunConfig())
    assert names["model.system"] == "ccvae"
    assert names["data.supervision_rate"] == 1.0
    assert names["seed"] == 0


@pytest.mark.parametrize(
    ("section", "field", "value", "sentence"),
    [
        ("data", "supervision_rate", 1.5, "supervision_rate is 1.5"),
        ("training", "batch_size", 0, "batch_size is 0"),
        ("training", "ranks", 500, "batch_size 200 is smaller than the number of ranks 500"),
        ("optimiser", "learning_rate", 0.0, "learning_rate is 0.0"),
    ],
)
def test_a_value_that_cannot_work_is_one_sentence(section, field, value, sentence):
    with pytest.raises(ConfigError, match=sentence):
        replace(getattr(RunConfig(), section), **{field: value})
