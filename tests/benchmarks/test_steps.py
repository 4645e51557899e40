"""The benchmarks of training steps run, at a tiny size, for every system that takes 18 binary labels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data_prep.errors import ConfigError
from pipeline.models.registry import PRESETS
from tests.benchmarks.networks import NetworkSpeed, measure_networks
from tests.benchmarks.steps import Steps, Variant, measure_steps, random_batch, system_step, variants

SMALL = Steps(
    systems=("ccvae-celeba", "revae-one-per-class"),
    variants=True,
    profile=True,
    give_memory_back=True,
    batch_size=4,
    supervision_rate=0.5,
    steps=1,
    rounds=1,
)


def test_it_prints_each_system_each_variant_and_the_profile(capsys: pytest.CaptureFixture[str]) -> None:
    measure_steps(SMALL)
    said = capsys.readouterr().out
    assert "revae-one-per-class is left out: " in said
    for text in (
        "ccvae-celeba",
        "encoder + decoder + Adam",
        *map(str, variants(compiled=False)),
        "convolutions",
    ):
        assert text in said


def test_networks_of_one_family_are_next_to_their_own_bare_step(capsys: pytest.CaptureFixture[str]) -> None:
    measure_steps(replace(SMALL, systems=("rb_vae",), variants=False, profile=False, network="mlp"))
    assert "rb_vae" in capsys.readouterr().out


def test_every_system_makes_its_steps_except_those_for_other_labels() -> None:
    batch, refused = random_batch(SMALL), set()
    for preset in PRESETS:
        try:
            work = system_step(preset, batch, Variant(channels_last=True), steps=1)
        except ConfigError:
            refused.add(preset)
        else:
            assert work() == len(batch), preset
    assert refused == {"revae-one-per-class"}


def test_each_family_of_networks_is_measured_at_each_size(capsys: pytest.CaptureFixture[str]) -> None:
    measure_networks(NetworkSpeed(sides=(28, 48), batch_size=2, steps=1, rounds=1))
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if " x " in line]
    assert [(row[1], row[3]) for row in rows] == [
        ("mlp", "28"),
        ("convolutional", "28"),
        ("convolutional", "48"),
        ("pixel_norm", "28"),
        ("pixel_norm", "48"),
    ]
