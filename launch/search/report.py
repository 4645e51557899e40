"""The table of a search's trials, on the terminal and as a file, and its figures."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from data_prep.counted import counted
from data_prep.files import atomic_write
from launch.search.study import CELL, SEARCH_FOLDER, WHY, Study, shown
from launch.terminal_table import wide_enough_console
from pipeline.figures.search import PlottedTrial, draw_history, draw_landscape

TABLE_FILE = "trials.csv"


def print_trials(study: Study) -> None:
    """The trials that have ended, the best first."""
    objective, fields = study.settings.objective, [entry.field for entry in study.settings.space]
    table = Table(
        "trial", *(name.rpartition(".")[2] for name in fields), f"{objective} ({objective.split})", ""
    )
    best = study.best()
    sign = -1 if objective.is_maximised else 1
    order = {"COMPLETE": 0, "PRUNED": 1, "FAIL": 2}
    ended = sorted(
        study.finished, key=lambda one: (order[one.state.name], sign * (one.value or 0.0), one.number)
    )
    for trial in ended:
        note = {
            "COMPLETE": "best" if best is not None and trial.number == best.number else "",
            "PRUNED": f"pruned after {counted(max(trial.intermediate_values, default=0), 'epoch')}",
            "FAIL": f"failed: {trial.user_attrs.get(WHY, '')}",
        }[trial.state.name]
        values = (shown(trial.params.get(name, "")) for name in fields)
        number = "" if trial.value is None else shown(trial.value)
        table.add_row(str(trial.number), *values, number, escape(note))
    wide_enough_console().print(table)


def write_trials(study: Study, sweep: Path) -> Path:
    """Write ``search/trials.csv``; returns its path."""
    folder, objective = sweep / SEARCH_FOLDER, study.settings.objective
    fields = [entry.field for entry in study.settings.space]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", str(objective), "split", *fields, "epochs", "cell", "why"])
    for trial in study.finished:
        attributes = trial.user_attrs
        epochs = max(trial.intermediate_values, default="") if trial.state.name == "PRUNED" else ""
        values = [trial.params.get(name, "") for name in fields]
        number = "" if trial.value is None else trial.value
        writer.writerow(
            [
                trial.number,
                trial.state.name.lower(),
                number,
                objective.split,
                *values,
                epochs,
                attributes.get(CELL, ""),
                attributes.get(WHY, ""),
            ]
        )
    with atomic_write(folder / TABLE_FILE) as file:
        file.write(text.getvalue().encode())
    return folder / TABLE_FILE


def draw_trials(study: Study, sweep: Path) -> list[Path]:
    """Draw the search's history and its landscape; returns their paths, none if no trial has a number."""
    folder, objective = sweep / SEARCH_FOLDER, study.settings.objective
    plotted = [
        PlottedTrial(trial.number, trial.value, trial.state.name == "PRUNED", trial.params)
        for trial in study.finished
        if trial.value is not None
    ]
    if not plotted:
        return []
    label = f"{objective.metric.replace('_', ' ')} ({objective.split})"
    logs = {entry.field for entry in study.settings.space if getattr(entry, "is_log", False)}
    files = [folder / "history.png", folder / "landscape.png"]
    draw_history(plotted, label, files[0], is_maximised=objective.is_maximised)
    draw_landscape(plotted, importances(study), label, files[1], logs)
    return files


def importances(study: Study) -> dict[str, float]:
    """Field → share of the objective's variance that it explains (fANOVA), the largest first; 0 where that is unknown."""
    import optuna

    fields = [entry.field for entry in study.settings.space]
    complete = study.study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    if len(fields) < 2 or len(complete) < 4 or len({trial.value for trial in complete}) < 2:
        return dict.fromkeys(fields, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        found = optuna.importance.get_param_importances(study.study, evaluator=evaluator)
    return {
        name: float(found.get(name, 0.0)) for name in sorted(fields, key=lambda name: -found.get(name, 0.0))
    }
