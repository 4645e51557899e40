"""A run keeps its identity while the code grows; and ``identity_defaults.json`` holds the values that stay out of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, make_dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from pipeline.config import RunConfig, identity
from pipeline.field_checks import NOT_IDENTITY
from pipeline.identity import ALWAYS_IN, identifying, plain, stays_out
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.m2 import M2Config
from pipeline.models.registry import SystemConfig

GOLDEN = Path(__file__).with_name("identity_defaults.json")
"""Dotted name of a field (``model.<system>.<field>`` for systems) → the value that is not part of a run's identity."""


def values_that_stay_out(section: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for entry in fields(section):
        value, name = getattr(section, entry.name), f"{prefix}{entry.name}"
        if not entry.metadata.get("identity", True) or entry.name in ALWAYS_IN or name == "model":
            continue
        if is_dataclass(value):
            yield from values_that_stay_out(value, f"{name}.")
        else:
            yield name, plain(stays_out(entry))


def of_today() -> dict[str, Any]:
    found = dict(values_that_stay_out(RunConfig(), ""))
    for kind in get_args(SystemConfig):
        system = kind()
        found |= values_that_stay_out(system, f"model.{system.system}.")
    return found


def test_no_default_changes_unnoticed() -> None:
    golden, today = json.loads(GOLDEN.read_text()), of_today()
    changed = {
        name: (golden[name], today[name])
        for name in golden.keys() & today.keys()
        if golden[name] != today[name]
    }
    assert not changed, (
        f"{changed}: a default was changed from the first to the second value, so a cell that was trained with the first"
        ' would pass for one of today; give the field metadata={"identity_default": <the first value>}'
    )
    new, gone = sorted(today.keys() - golden.keys()), sorted(golden.keys() - today.keys())
    assert not new, (
        f"{new}: new fields; where their defaults change nothing of how a run of before was trained, add them to {GOLDEN}:"
        f" {json.dumps({name: today[name] for name in new})}"
    )
    assert not gone, (
        f"{gone}: these fields are gone or renamed, or decide no result any more; take them out of {GOLDEN}"
    )


def test_every_field_has_a_value_that_stays_out() -> None:
    assert MISSING not in of_today().values()


def section(**defaults: Any) -> Any:
    """A frozen dataclass with these fields at their defaults; a pair is a default with metadata."""
    entries = []
    for name, default in defaults.items():
        value, metadata = default if isinstance(default, tuple) else (default, {})
        entries.append((name, Any, field(default=value, metadata=metadata)))
    return make_dataclass("Section", entries, frozen=True, kw_only=True)


def test_a_new_field_at_its_default_leaves_every_run_what_it_was() -> None:
    before, after = section(width=600), section(width=600, depth=2)
    assert identifying(before()) == identifying(after()) == {}
    assert identifying(before(width=50)) == identifying(after(width=50)) == {"width": 50}
    assert identifying(after(depth=3)) == {"depth": 3}


def test_a_new_section_at_its_defaults_leaves_every_run_what_it_was() -> None:
    inner = section(rate=0.1)
    outer = make_dataclass("Outer", [("inner", Any, field(default_factory=inner))], frozen=True)
    assert identifying(outer()) == {}
    assert identifying(outer(inner(rate=0.2))) == {"inner": {"rate": 0.2}}


def test_a_default_that_was_changed_does_not_make_a_run_of_before_pass_for_one_of_today() -> None:
    before, after = section(width=600), section(width=(512, {"identity_default": 600}))
    assert identifying(before()) == identifying(after(width=600)) == {}
    assert identifying(before(width=512)) == identifying(after()) == {"width": 512}
    careless = section(width=512)
    assert identifying(careless()) == identifying(before()), "the trap that the golden file is there for"


def test_what_decides_no_result_is_never_in() -> None:
    assert identifying(section(folder=("", NOT_IDENTITY))(folder="x")) == {}


def test_the_system_is_always_in() -> None:
    assert identifying(CCVAEConfig()) == {"system": "ccvae"}
    assert identifying(M2Config()) == {"system": "m2"}
    assert identifying(RunConfig()) == {"model": {"system": "ccvae"}}


def test_a_whole_number_is_one_number_however_it_is_written() -> None:
    @dataclass(frozen=True)
    class Section:
        weight: float = 1.0
        sizes: tuple[float, ...] = ()

    assert identifying(Section(weight=1)) == {}
    assert json.dumps(identifying(Section(2.0, (3.0, 0.5)))) == json.dumps(identifying(Section(2, (3, 0.5))))


def test_what_is_measured_and_where_it_is_recorded_is_no_part_of_a_run() -> None:
    run = RunConfig()
    other = replace(
        run,
        measures=replace(
            run.measures, take=("likelihood",), split="valid", measure_batch_size=7, hang_seconds=1.0
        ),
    )
    assert identity(other, "digest") == identity(run, "digest")


def test_identities_of_today_stay() -> None:
    """Where this fails, every cell of before would be trained again under a new name."""
    run = RunConfig()
    assert identity(run, "digest") == IDENTITY
    assert identity(replace(run, seed=1, model=M2Config(hidden_width=50)), "digest") == IDENTITY_OF_ANOTHER


IDENTITY = "c0d6147b"
IDENTITY_OF_ANOTHER = "6eba843d"


@pytest.mark.parametrize("kind", get_args(SystemConfig))
def test_each_field_of_a_system_that_decides_its_result_makes_another_run(kind: Any) -> None:
    system = kind()
    for entry in fields(system):
        if entry.name not in ALWAYS_IN and entry.metadata.get("identity", True):
            changed = kind()
            object.__setattr__(changed, entry.name, "another value")
            assert identifying(changed) == {"system": system.system} | identifying(system) | {
                entry.name: "another value"
            }
