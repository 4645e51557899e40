"""Every report by name, and what a recipe's runs serve."""

from __future__ import annotations

import difflib
from functools import cache

from data_prep.errors import ConfigError
from pipeline.measures.papers import PAPERS
from pipeline.measures.registry import BY_DEFAULT, MEASURES
from pipeline.reports.figures_of_papers import FIGURES
from pipeline.reports.matcher_table import MatcherTable
from pipeline.reports.other_reports import CURVES, MATCHES, TERMS
from pipeline.reports.paper_curves import PaperCurves
from pipeline.reports.paper_figure import PaperFigure
from pipeline.reports.paper_table import PaperTable
from pipeline.reports.tables_of_papers import TABLES
from pipeline.reports.term_table import TermTable

Report = PaperTable | PaperFigure | PaperCurves | MatcherTable | TermTable

_FIGURES: tuple[PaperFigure | PaperCurves, ...] = (*FIGURES, *CURVES)
_IN_ORDER = sorted(_FIGURES, key=lambda figure: (list(PAPERS).index(figure.paper), int(figure.figure)))
_ALL: tuple[Report, ...] = (*TABLES, MATCHES, *_IN_ORDER, *TERMS)
REPORTS = {report.name: report for report in _ALL}
"""By name: tables, then figures, in the order of the papers; then terms of this project."""

ON_DEMAND = ("fid", "mutual_information", "feature_matching")
"""Measures that need weights or packages that may be missing, and would fail without: no recipe takes them."""


def report_named(name: str) -> Report:
    """The report; ConfigError with the likely name if there is none."""
    if name in REPORTS:
        return REPORTS[name]
    close = difflib.get_close_matches(name, REPORTS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(REPORTS)}"
    raise ConfigError(f"there is no report {name!r}; {hint}")


def reports_of(recipe: str) -> tuple[Report, ...]:
    """The reports that a recipe trains runs for."""
    return tuple(report for report in REPORTS.values() if _served(report, recipe))


@cache
def measures_of(recipe: str) -> tuple[str, ...]:
    """The measures of a recipe's runs: the default ones, and what else its reports need, unless it is on demand."""
    wanted = list(BY_DEFAULT)
    for report in reports_of(recipe):
        datasets = _served(report, recipe)
        if isinstance(report, PaperTable):
            metrics = {value.metric for value in report.values if value.dataset in datasets}
            wanted += [name for name, kind in MEASURES.items() if metrics & set(kind.metrics)]
        elif isinstance(report, PaperFigure):
            wanted += [each.measure for dataset in datasets for each in report.pictures_of(dataset)]
        elif isinstance(report, TermTable):
            wanted += report.measures
    return tuple(text for text in dict.fromkeys(wanted) if text not in ON_DEMAND)


def _served(report: Report, recipe: str) -> list[str]:
    """The data sets of a report that a recipe is of."""
    return [name for name in report.datasets if recipe in report.recipes[name].names]
