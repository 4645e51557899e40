"""Which preset a run's model is, or is nearest to, so that whoever reads its record needs no system's code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache

from pipeline.models.registry import PRESETS


@dataclass(frozen=True, slots=True)
class NearestPreset:
    """The preset of a model's system with the fewest other values; of several the one registered first."""

    name: str
    deviations: Mapping[str, str]
    """By dotted name (``model.style_size``) the preset's value of each field in which the model differs from it."""


def nearest_preset(params: Mapping[str, object]) -> NearestPreset | None:
    """Of a run's params, those of its model by dotted name; None for a system that there is not.

    A field that the params lack, being newer than they are, is at its default; one that the system lacks is passed over.
    """
    found = None
    for name in PRESETS:
        values = _values(name)
        if values["model.system"] != params.get("model.system"):
            continue
        deviations = {
            field: value for field, value in values.items() if str(params.get(field, value)) != value
        }
        if found is None or len(deviations) < len(found.deviations):
            found = NearestPreset(name, deviations)
    return found


@cache
def _values(preset: str) -> dict[str, str]:
    config = PRESETS[preset].config()
    return {f"model.{field}": str(value) for field, value in asdict(config).items()}
