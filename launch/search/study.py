"""The trials of a search: an Optuna study, kept as a journal in the sweep's folder, so that a search can be resumed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from data_prep.errors import LaunchError, MissingDependencyError
from launch.search.objective import Objective
from launch.search.space import Point, Space

if TYPE_CHECKING:
    import optuna

SEARCH_FOLDER = "search"
"""In a sweep's folder."""
JOURNAL_FILE = "journal.log"
_STUDY, _SETTINGS = "search", "settings"
DRAWN_AT_FIRST = 8
"""Number of trials, of all rounds, whose values are drawn evenly, before any is suggested by the others."""
CELL = "cell"
"""User attribute of a trial: the name of its cell."""
WHY = "why"
"""User attribute of a failed trial: the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSettings:
    """What stays the same over all launches of a search."""

    base: str
    """Identity of the run whose fields are varied."""
    space: Space
    objective: Objective
    prune_after: tuple[int, ...] = ()

    def as_text(self) -> dict[str, str]:
        """By the option that sets it, for the journal and to say what differs."""
        return {
            "--search": " ".join(map(str, self.space)),
            "--objective": str(self.objective),
            "--split": self.objective.split,
            "--prune-after": " ".join(map(str, self.prune_after)) or "nothing",
            "the recipe and its options": self.base,
        }


class Study:
    """The trials of a search that are done, and suggestions of new ones."""

    def __init__(self, settings: SearchSettings, study: optuna.Study, at_once: int) -> None:
        self.settings, self.study = settings, study
        optuna = _optuna()
        study.pruner = optuna.pruners.MedianPruner(n_startup_trials=at_once)

    @classmethod
    def opened(cls, sweep: Path, settings: SearchSettings, at_once: int) -> Study:
        """The search in a sweep's folder, begun unless it was.

        Raises:
            LaunchError: it was begun with other settings, or its journal is damaged.
        """
        optuna, file = _optuna(), sweep / SEARCH_FOLDER / JOURNAL_FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        with _readable(file):
            backend = optuna.storages.journal.JournalFileBackend(str(file))
            study = optuna.create_study(
                storage=optuna.storages.JournalStorage(backend),
                study_name=_STUDY,
                direction=settings.objective.direction,
                load_if_exists=True,
            )
            _refuse_others(study, settings)
        return cls(settings, study, at_once)

    @classmethod
    def previewed(cls, sweep: Path, settings: SearchSettings, at_once: int) -> Study:
        """A copy in memory, of which nothing is written."""
        optuna, file = _optuna(), sweep / SEARCH_FOLDER / JOURNAL_FILE
        copy = optuna.create_study(direction=settings.objective.direction)
        if file.is_file():
            with _readable(file):
                backend = optuna.storages.journal.JournalFileBackend(str(file))
                recorded = optuna.load_study(
                    storage=optuna.storages.JournalStorage(backend), study_name=_STUDY
                )
                _refuse_others(recorded, settings, write=False)
                copy.add_trials([trial for trial in recorded.trials if trial.state.is_finished()])
        return cls(settings, copy, at_once)

    @property
    def finished(self) -> list[optuna.trial.FrozenTrial]:
        """The trials that have ended, in whatever way, by number."""
        return [trial for trial in self.study.trials if trial.state.is_finished()]

    def best(self) -> optuna.trial.FrozenTrial | None:
        """The best trial that was neither pruned nor failed; None if there is none yet."""
        from optuna.trial import TrialState

        found = self.study.get_trials(states=(TrialState.COMPLETE,))
        sign = -1 if self.settings.objective.is_maximised else 1
        return min(found, key=lambda trial: sign * float(trial.value or 0), default=None)

    def next_round(self, count: int) -> list[tuple[optuna.Trial, Point]]:
        """Trials to run now: those that an interrupted launch left, else ``count`` new ones.

        What is suggested depends only on the trials that have ended, so that a resumed search suggests the same.
        """
        optuna = _optuna()
        running = self.study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # So that the trials of a round differ from each other, although none has a number yet.
            self.study.sampler = optuna.samplers.TPESampler(
                seed=len(self.finished),
                n_startup_trials=DRAWN_AT_FIRST,
                constant_liar=True,
                multivariate=True,
            )
        left = [optuna.trial.Trial(self.study, trial._trial_id) for trial in running]
        trials = left or [self.study.ask() for _ in range(count)]
        return [
            (trial, {entry.field: entry.suggest(trial) for entry in self.settings.space}) for trial in trials
        ]


def _refuse_others(study: optuna.Study, settings: SearchSettings, *, write: bool = True) -> None:
    now = settings.as_text()
    before: dict[str, str] = study.user_attrs.get(_SETTINGS, now)
    for option, text in now.items():
        if before.get(option) != text:
            what = (
                f"{option} was {before.get(option)}, and is now {text}"
                if option[0] == "-"
                else f"{option} differ"
            )
            raise LaunchError(
                f"this search was begun with other settings ({what}): give it the same ones, or another --name"
            )
    if write and _SETTINGS not in study.user_attrs:
        study.set_user_attr(_SETTINGS, now)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError) as error:
        raise LaunchError(
            f"{file} cannot be read ({type(error).__name__}: {error}); restore it, or give another --name"
        ) from None


def _optuna() -> ModuleType:
    try:
        import optuna
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "--search needs Optuna, which is not installed: pip install 'optuna>=4.0,<5' (or the extra: traitvae[search])"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def shown_point(point: Point) -> str:
    """A trial's values, without the sections of their fields: ``learning_rate=0.00123 style_size=20``."""
    return " ".join(f"{name.rpartition('.')[2]}={shown(value)}" for name, value in point.items())


def shown(value: object) -> str:
    """A value with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
