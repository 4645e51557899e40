"""Learning curves for the page of a sweep, in groups of runs that differ in their seeds only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from launch.sweep_page.cells import CellRead
from pipeline.measures.short_numbers import short_numbers
from pipeline.measures.summary import INCIDENTAL, LABEL_SEED
from pipeline.pages.thinned import Curve

_SEEDS = {"seed", LABEL_SEED, "data.folder"}


def curves_of(cells: Sequence[CellRead]) -> tuple[list[str], list[Curve]]:
    """The learning curves, and the names of the groups of runs that differ in their seeds only."""
    keys = {cell.folder.name: _settings(cell) for cell in cells if cell.curve[0]}
    names = _names(list(dict.fromkeys(tuple(sorted(key.items())) for key in keys.values())))
    groups = list(names)
    curves = [
        Curve(
            cell=cell.folder.name,
            group=groups.index(tuple(sorted(keys[cell.folder.name].items()))),
            epochs=cell.curve[0],
            terms=cell.curve[1],
        )
        for cell in cells
        if cell.curve[0]
    ]
    return list(names.values()), curves


def _settings(cell: CellRead) -> dict[str, str]:
    """Everything that decides a run but its seeds, by dotted name."""
    if cell.record is None:
        return {"cell": cell.folder.name}
    every = dict(_leaves(asdict(cell.record)))
    return {name: value for name, value in every.items() if name not in INCIDENTAL | _SEEDS}


def _leaves(section: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


def _names(
    groups: Sequence[tuple[tuple[str, str], ...]],
) -> dict[tuple[tuple[str, str], ...], str]:
    """System, data and rate, and what distinguishes it from others of these."""
    alike: dict[str, list[dict[str, str]]] = defaultdict(list)
    for group in groups:
        alike[_base(dict(group))].append(dict(group))
    named = {}
    for group in groups:
        own = dict(group)
        others = alike[_base(own)]
        fields = sorted({name for other in others for name in other})
        differing = [name for name in fields if len({other.get(name) for other in others}) > 1]
        said = [f"{name.rpartition('.')[2]}={_shown(name, own, others)}" for name in differing if name in own]
        named[group] = " ".join([_base(own), *said])
    return named


def _shown(name: str, own: Mapping[str, str], others: Sequence[Mapping[str, str]]) -> str:
    return short_numbers(other[name] for other in others if name in other)[own[name]]


def _base(settings: Mapping[str, str]) -> str:
    if "cell" in settings:
        return settings["cell"]
    rate = float(settings.get("data.supervision_rate", "nan"))
    return f"{settings.get('model.system', '')} {settings.get('data.name', '')} f={rate:g}"
