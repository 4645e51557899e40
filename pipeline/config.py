"""What a run is: frozen dataclasses, one per concern, that command line, recipes and ``config.json`` share."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from data_prep.errors import ConfigError
from pipeline.data.order import steps_per_epoch
from pipeline.data.settings import DataConfig
from pipeline.field_checks import NOT_IDENTITY, check
from pipeline.measures.settings import MeasuresConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.registry import ModelConfig
from pipeline.tracking.settings import TrackingSettings
from pipeline.training.settings import OptimiserConfig, TrainingConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """One run, whole."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=CCVAEConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    measures: MeasuresConfig = field(default_factory=MeasuresConfig)
    tracking: TrackingSettings = field(default_factory=TrackingSettings, metadata=NOT_IDENTITY)
    seed: int = 0
    """Decides everything random in the run, and which examples keep their labels unless `--label-seed` does."""

    def __post_init__(self) -> None:
        check(self.seed >= 0, f"seed is {self.seed}; it must not be negative")
        changes = [begin for begin, _ in self.data.supervision_schedule]
        check(
            max(changes, default=0) < self.training.epochs,
            f"supervision_schedule changes f behind {max(changes, default=0)} epochs, and the run has"
            f" {self.training.epochs}",
        )

    @property
    def label_seed(self) -> int | None:
        """The seed that decides which examples keep their labels.

        None where any seed gives the same run, because all examples keep their labels, or none does.
        """
        if not self.data.one_per_class and all(rate in (0, 1) for rate in self.data.supervision_rates):
            return None
        return self.seed if self.data.label_seed is None else self.data.label_seed

    def last_step(self, rows: int) -> int:
        """Number of steps of the whole run on a training split of that many rows."""
        return steps_per_epoch(rows, self.training.batch_size, self.training.ranks) * self.training.epochs


def _identifying(section: Any) -> dict[str, Any]:
    """The fields that decide the result, nested."""
    kept = {}
    for entry in fields(section):
        if entry.metadata.get("identity", True):
            value = getattr(section, entry.name)
            kept[entry.name] = _identifying(value) if is_dataclass(value) else value
    return kept


def identity(config: RunConfig, data_digest: str) -> str:
    """Eight hex characters that name the run: a hash of all that decides its result."""
    config = replace(config, data=replace(config.data, label_seed=_label_seed_of_its_own(config)))
    text = json.dumps({"config": _identifying(config), "data": data_digest}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def readable_name(config: RunConfig) -> str:
    """What a person recognises a run by: ``ccvae-fashion_mnist-f0.06-seed0``, with a schedule ``…-f0.9-0.5-0.1-…``.

    A label seed that is not the run's own comes last: ``…-seed1-labels0``.
    """
    data = config.data
    rates = "-".join(f"{rate:g}" for rate in data.supervision_rates)
    rule = "-one_per_class" if data.one_per_class else ""
    label_seed = _label_seed_of_its_own(config)
    labels = "" if label_seed is None else f"-labels{label_seed}"
    return f"{config.model.system}-{data.name}-f{rates}{rule}-seed{config.seed}{labels}"


def _label_seed_of_its_own(config: RunConfig) -> int | None:
    """The label seed where it makes another run than the seed alone does."""
    return None if config.label_seed == config.seed else config.label_seed


def flat(config: RunConfig) -> dict[str, Any]:
    """Every field under its dotted name, ``{"data.name": ..., "model.system": ...}``; the label seed is the one used."""

    def walk(section: dict[str, Any], prefix: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in section.items():
            found |= (
                walk(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
            )
        return found

    return walk(asdict(config), "") | {"data.label_seed": config.label_seed}


def to_json(config: RunConfig) -> str:
    """The text of ``config.json``."""
    return json.dumps(asdict(config), indent=2) + "\n"


def from_json(text: str, origin: str = "config.json") -> RunConfig:
    """Read ``config.json`` back; ConfigError names the origin and the field that is unknown or unfit."""
    try:
        raw = json.loads(text)
        config = TypeAdapter(RunConfig).validate_python(raw)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{origin} is not JSON: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{origin}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    unknown = _leaves(raw) - _leaves(asdict(config))
    check(not unknown, f"{origin}: unknown field {sorted(unknown)[0] if unknown else ''}")
    return config


def _leaves(section: dict[str, Any], prefix: str = "") -> set[str]:
    return {
        name
        for key, value in section.items()
        for name in (_leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"})
    }
