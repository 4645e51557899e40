from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import pytest

from data_prep.errors import ConfigError
from pipeline.measures.intervention_grid import InterventionGrid
from pipeline.measures.likelihood import Likelihood
from pipeline.measures.measure import Measure, key_of
from pipeline.measures.reader_metrics import READER_ACCURACY
from pipeline.measures.registry import BY_DEFAULT, MEASURES, describe, measure_named
from pipeline.measures.settings import MeasuresConfig
from pipeline.models import capabilities


def test_a_measure_is_named_with_its_settings() -> None:
    assert measure_named("likelihood") == Likelihood()
    assert measure_named("intervention_grid:draws=3,images=2") == InterventionGrid(draws=3, images=2)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("clasification", "there is no measure 'clasification'; did you mean classification?"),
        ("xyz", "there is no measure 'xyz'; there are: attribute_styles, "),
        ("likelihood:samples=3", "measure likelihood has no setting 'samples'; it has none"),
        ("swap_grid:image=3", "measure swap_grid has no setting 'image'; did you mean images?"),
        ("swap_grid:images", "measure 'swap_grid:images': 'images' must be FIELD=VALUE"),
        ("swap_grid:images=1,images=2", "measure 'swap_grid:images=1,images=2' sets images twice"),
        ("classification:bins=0", "measure 'classification:bins=0': bins is 0; it must be at least 1"),
        ("fid:images=-1", "measure 'fid:images=-1': images is -1; it must not be negative"),
        ("swap_grid:images=many", "measure 'swap_grid:images=many': images: Input should be a valid integer"),
    ],
)
def test_a_name_that_does_not_fit_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        MeasuresConfig(take=(text,))
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value)


def test_a_measure_is_taken_once() -> None:
    with pytest.raises(ConfigError, match="measures name swap_grid:images=8 twice"):
        MeasuresConfig(take=("swap_grid", "likelihood", "swap_grid:images=8"))
    assert MeasuresConfig(take=()).take == ()


@pytest.mark.parametrize("kind", MEASURES.values(), ids=list(MEASURES))
def test_every_measure_keeps_the_contract(kind: type[Measure]) -> None:
    measure = kind()
    assert isinstance(measure, Measure)
    assert hash(measure) == hash(kind())
    assert measure.version >= 1
    assert kind.__doc__
    assert all(hasattr(capabilities, name) for name in measure.needs.capabilities)
    assert key_of(measure, "test").settings == {}
    assert {type(entry.default) for entry in fields(measure)} <= {int, float, str, bool}  # type: ignore[arg-type]


def test_names_of_metrics_are_unique_but_for_the_readers_own_quality() -> None:
    names = [name for kind in MEASURES.values() for name in kind.metrics if name != READER_ACCURACY]
    assert len(names) == len(set(names))
    assert set(BY_DEFAULT) <= MEASURES.keys()


def test_the_help_names_every_measure_with_its_settings() -> None:
    lines = describe().splitlines()
    assert len(lines) == len(MEASURES)
    assert any(line.startswith("intervention_grid:images=4,draws=5: ") for line in lines)


def test_measures_are_named_without_torch() -> None:
    code = "import sys, pipeline.measures.plan, pipeline.measures.settings; print('torch' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.strip() == "False"
