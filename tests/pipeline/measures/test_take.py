"""Each measure leaves a result or a failure of its own, independent of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from data_prep.errors import ConfigError, Interrupted, LeaseLost
from pipeline.cells.folder import CellFolder
from pipeline.cells.lease import no_guard
from pipeline.cells.measurements import BEGUN_FILE, Result, failures, results
from pipeline.figures.draw import draw_arrays
from pipeline.measures import registry
from pipeline.measures.measure import DoesNotApply, Measured, Metric
from pipeline.measures.needs import Needs
from pipeline.measures.plan import Planned, planned, unsettled
from pipeline.measures.settings import MeasuresConfig
from pipeline.measures.take import take_all
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import AllAble

DEFAULT = registry.BY_DEFAULT


class OfATest:
    """What measures of these tests have in common."""

    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs()
    metrics: ClassVar[Mapping[str, Metric]] = {"draw": Metric(unit="share", better="none")}


@dataclass(frozen=True, kw_only=True)
class Draws(OfATest):
    """One random number of each generator."""

    shift: float = 0.0
    name: ClassVar[str] = "draws"

    def __call__(self, view: ModelView) -> Measured:
        assert not torch.is_grad_enabled()
        number = float(torch.rand(())) + float(np.random.rand()) + self.shift  # noqa: NPY002
        return Measured(numbers={"draw": number}, counts={"draw": 1})


@dataclass(frozen=True, kw_only=True)
class Raises(OfATest):
    """Raises a given exception."""

    error: ClassVar[BaseException] = RuntimeError("first line\nCUDA out of memory")
    name: ClassVar[str] = "raises"

    def __call__(self, view: ModelView) -> Measured:
        raise self.error


@pytest.fixture(autouse=True)
def more_measures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for kind in (Draws, Raises):
            patch.setitem(registry.MEASURES, kind.name, kind)
        yield
    registry.measure_named.cache_clear()


def take(
    cell: Path, examples: Any, *names: str, model: Any = None, identity: str = "cell", **options: Any
) -> list[tuple[str, str]]:
    measures = MeasuresConfig(take=names)
    view = ModelView(model or AllAble(), examples, identity)
    wanted = unsettled(CellFolder(cell), measures)
    draw = partial(draw_arrays, figures=cell / "figures")
    given: dict[str, Any] = {"guard": no_guard, "draw": draw} | options
    return take_all(view, CellFolder(cell), wanted, **given)


def numbers_in(cell: Path) -> dict[str, float]:
    return {name: number.value for result in results(cell) for name, number in result.numbers.items()}


def test_a_result_says_all_there_is_to_know_of_its_numbers(examples, tmp_path) -> None:
    assert take(tmp_path, examples, "draws:shift=5") == []
    (result,) = results(tmp_path)
    number = result.numbers["draw"]
    assert 5 < number.value < 7
    assert (number.unit, number.better, number.count) == ("share", "none", 1)
    assert (result.key.measure, result.key.split, result.key.settings) == ("draws", "test", {"shift": 5.0})
    assert result.seconds > 0
    assert result.time


def test_the_default_measures_leave_their_figures_too(examples, tmp_path) -> None:
    assert take(tmp_path, examples, *DEFAULT) == []
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {
        "attribute_switching",
        "attribute_switching_hair",
        "conditional_generations",
        "intervention_draws",
        "interventions",
        "interventions_hair",
        "latent_histogram",
        "reconstructions",
        "swaps",
        "traversals",
        "traversals_hair",
    }
    assert {result.status for result in results(tmp_path)} == {"measured"}


def test_a_measure_that_finds_nothing_to_measure_is_a_result_with_its_reason(
    examples, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(Raises, "error", DoesNotApply("the split has no dogs"))
    assert take(tmp_path, examples, "raises") == []
    (result,) = results(tmp_path)
    assert (result.status, result.reason) == ("not_applicable", "the split has no dogs")


def test_what_does_not_apply_is_a_result_with_its_reason(examples, tmp_path) -> None:
    assert take(tmp_path, examples, *DEFAULT, model=torch.nn.Identity()) == []
    found = {result.key.measure: result for result in results(tmp_path)}
    assert found.keys() == set(DEFAULT)
    assert {result.status for result in found.values()} == {"not_applicable"}
    assert found["likelihood"].reason == "the system lacks the capability BoundsLikelihood"
    assert not found["likelihood"].numbers
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize(
    "names", [["draws", "likelihood"], ["likelihood", "draws"], ["classification", "draws"]]
)
def test_numbers_depend_neither_on_other_measures_nor_on_their_order(examples, tmp_path, names) -> None:
    take(tmp_path / "alone", examples, "draws")
    take(tmp_path / "all", examples, *DEFAULT, "draws:shift=1")
    take(tmp_path / "some", examples, *names)
    alone, every, some = (numbers_in(tmp_path / folder) for folder in ("alone", "all", "some"))
    assert some["draw"] == alone["draw"]
    for name in some.keys() & every.keys() - {"draw"}:
        assert some[name] == every[name], name


def test_another_cell_another_split_and_another_setting_have_other_random_numbers(examples, tmp_path) -> None:
    take(tmp_path / "a", examples, "draws")
    take(tmp_path / "b", examples, "draws", identity="another")
    take(tmp_path / "c", examples, "draws:shift=1e-9")
    found = [numbers_in(tmp_path / cell)["draw"] for cell in "abc"]
    assert len({round(number, 6) for number in found}) == 3


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ConfigError("digits have no names"), "digits have no names"),
        (
            RuntimeError("first line\nCUDA out of memory"),
            r"RuntimeError: CUDA out of memory (measures/test_take.py:",
        ),
        (KeyError(), "KeyError (measures/test_take.py:"),
    ],
)
def test_a_measure_that_raises_costs_only_itself(
    examples, tmp_path, monkeypatch, caplog, error, sentence
) -> None:
    monkeypatch.setattr(Raises, "error", error)
    taken: list[None] = []
    (failed,) = take(tmp_path, examples, "raises", "draws", taken=lambda: taken.append(None))
    assert failed[0] == "raises"
    assert failed[1].startswith(sentence)
    (failure,) = failures(tmp_path)
    assert failure.reason == failed[1]
    assert numbers_in(tmp_path).keys() == {"draw"}
    assert "Traceback" in caplog.text
    assert len(taken) == 2
    assert not list(tmp_path.rglob(BEGUN_FILE))


def test_only_failed_measures_are_repeated(examples, tmp_path, monkeypatch) -> None:
    take(tmp_path, examples, "raises", "draws")
    before = numbers_in(tmp_path)
    monkeypatch.setattr(Draws, "__call__", lambda self, view: Measured(numbers={"draw": -1.0}))
    monkeypatch.setattr(Raises, "__call__", lambda self, view: Measured(numbers={"draw": 7.0}))
    assert take(tmp_path, examples, "raises", "draws") == []
    assert not failures(tmp_path)
    assert sorted(result.key.measure for result in results(tmp_path)) == ["draws", "raises"]
    (kept,) = (result for result in results(tmp_path) if result.key.measure == "draws")
    assert kept.numbers["draw"].value == before["draw"]


@pytest.mark.parametrize("error", [Interrupted("stopped"), LeaseLost("another has it"), KeyboardInterrupt()])
def test_whoever_is_stopped_or_has_lost_the_cell_leaves_no_failure(
    examples, tmp_path, monkeypatch, error
) -> None:
    monkeypatch.setattr(Raises, "error", error)
    with pytest.raises(type(error)):
        take(tmp_path, examples, "raises", "draws")
    assert not failures(tmp_path)
    assert not results(tmp_path)


def test_nothing_is_written_without_the_lease(examples, tmp_path) -> None:
    def lost() -> None:
        raise LeaseLost("another has it")

    with pytest.raises(LeaseLost):
        take(tmp_path, examples, "draws", guard=lost)
    assert not list(tmp_path.iterdir())


def test_what_a_process_was_killed_in_comes_last_and_shares_no_pass(examples, tmp_path) -> None:
    entries = planned(MeasuresConfig(take=("likelihood", "draws", "classification")))
    entries[0].key.note_begin(tmp_path)
    asked: list[str] = []

    class Watched(AllAble):
        def log_likelihood_bound(self, batch: Any) -> torch.Tensor:
            asked.append("bound")
            return super().log_likelihood_bound(batch)

        def classify(self, image: torch.Tensor) -> list[torch.Tensor]:
            asked.append("classify")
            return super().classify(image)

    take(tmp_path, examples, "likelihood", "draws", "classification", model=Watched())
    assert asked == ["classify"] * 3 + ["bound"] * 3
    assert len(results(tmp_path)) == 3


def test_a_figure_that_cannot_be_drawn_costs_no_number(examples, tmp_path, caplog) -> None:
    def fails(*_: Any) -> None:
        raise ValueError("no font")

    assert take(tmp_path, examples, "draws", "swap_grid", draw=fails) == []
    assert len(results(tmp_path)) == 2
    assert "python -m jobs.draw --config" in caplog.text


def test_a_corrected_measure_is_taken_again_next_to_its_former_result(
    examples, tmp_path, monkeypatch
) -> None:
    take(tmp_path, examples, "draws")
    monkeypatch.setattr(Draws, "version", 2)
    take(tmp_path, examples, "draws")
    assert sorted(result.key.version for result in results(tmp_path)) == [1, 2]


def test_a_plan_names_where_each_result_belongs() -> None:
    one, other = planned(MeasuresConfig(take=("draws", "draws:shift=2"), split="valid"))
    assert isinstance(one, Planned)
    assert one.key == replace(other.key, settings={})
    assert (other.measure, other.key.split, dict(other.key.settings)) == (
        Draws(shift=2.0),
        "valid",
        {"shift": 2.0},
    )


def test_results_survive_a_reread(examples, tmp_path) -> None:
    take(tmp_path, examples, "draws")
    (result,) = results(tmp_path)
    assert Result.read(result.key.folder(tmp_path)) == result
