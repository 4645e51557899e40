"""What a run is: frozen dataclasses, one per concern, that command line, recipes and ``config.json`` share."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

import tyro
from pydantic import TypeAdapter, ValidationError

from data_prep.errors import ConfigError
from pipeline.data.order import steps_per_epoch
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.registry import ModelConfig
from pipeline.tracking.settings import TrackingSettings

_NOT_IDENTITY = {"identity": False}
"""Metadata of a field that does not decide a run's result, so that changing it does not make another run."""


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Which examples, and how many of their labels."""

    name: Annotated[str, tyro.conf.arg(name="data")] = "fashion_mnist"
    """Data set (`python launch/prepare.py --help` lists them)."""
    options: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")] = ()
    """Options of the data set's own, those that `prepare.py NAME --dry-run` lists: `--options count=6000 seed=1`."""
    folder: Annotated[str, tyro.conf.Suppress] = field(default="", metadata=_NOT_IDENTITY)
    """Prepared data set; found or prepared by the launcher where it is left empty."""
    supervision_rate: float = 1.0
    """Share f of the training examples whose labels are used."""
    supervision_schedule: tuple[tuple[int, float], ...] = ()
    """Other shares later on, each behind a number of epochs: with `40 0.5 80 0.1`, f is 0.5 behind 40 epochs and 0.1
    behind 80. The labelled examples at a smaller share are among those at a larger one."""
    one_per_class: bool = False
    """Use the label of one example of each class, whatever f is; with `--supervision-rate 0` nothing else is labelled."""
    loader: Literal["auto", "resident", "arrow", "ffcv"] = field(default="auto", metadata=_NOT_IDENTITY)
    """How images reach the device; all give the same examples. `auto`: resident where they fit, else arrow."""

    def __post_init__(self) -> None:
        _check(
            0 <= self.supervision_rate <= 1,
            f"supervision_rate is {self.supervision_rate}; it is a share, 0 to 1",
        )
        epoch = 0
        for begin, rate in self.supervision_schedule:
            shown = f"supervision_schedule has {rate} behind {begin} epochs"
            _check(0 <= rate <= 1, f"{shown}; it is a share, 0 to 1")
            _check(begin > epoch, f"{shown}; they must be more than {epoch}")
            epoch = begin
        _check(
            self.supervision_rate < 1 or not self.one_per_class,
            f"one_per_class adds no label to those of supervision_rate={self.supervision_rate:g}; set 0 for one label"
            " per class",
        )

    def supervision_rate_in(self, epoch: int) -> float:
        """Share f of an epoch, counted from 0."""
        rates = [
            self.supervision_rate,
            *(rate for begin, rate in self.supervision_schedule if begin <= epoch),
        ]
        return rates[-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimiserConfig:
    """Adam, as in all five papers."""

    learning_rate: float = 5e-4
    """Step size."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of Adam's two moment estimates."""
    milestones: tuple[int, ...] = ()
    """Epochs behind each of which every player's step size is multiplied by ``decay``."""
    decay: float = 0.1
    """Factor of the step size behind a milestone."""

    def __post_init__(self) -> None:
        _check(self.learning_rate > 0, f"learning_rate is {self.learning_rate}; it must be above 0")
        _check(all(0 <= beta < 1 for beta in self.betas), f"betas are {self.betas}; each must be in [0, 1)")
        _check(
            all(early < late for early, late in pairwise((0, *self.milestones))),
            f"milestones are {', '.join(map(str, self.milestones))}; each must be later than the one before, the first at"
            " least 1",
        )
        _check(0 < self.decay <= 1, f"decay is {self.decay}; it must be above 0 and at most 1")

    def decay_in(self, epoch: int) -> float:
        """Factor of the step size in an epoch, counted from 0."""
        return self.decay ** sum(milestone <= epoch for milestone in self.milestones)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """How long, on how many processes, in which precision."""

    epochs: int = 100
    """Times that every training example is seen."""
    batch_size: int = 200
    """Examples of a step over all ranks together, so that a result does not depend on how many there are."""
    ranks: int = 1
    """Processes (one per GPU) that share each batch."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Autocast type; `auto`: float32 on a CPU; on a GPU bfloat16, or float16 with a loss scaler where it lacks that."""
    compile: bool = False
    """Compile the model with torch.compile."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto`: a GPU where there is one."""
    checkpoint_every_epochs: int = field(default=1, metadata=_NOT_IDENTITY)
    """Epochs between two checkpoints (there is always one at the end and when a run is asked to stop)."""
    checkpoint_every_minutes: float = field(default=10.0, metadata=_NOT_IDENTITY)
    """Minutes after which there is a checkpoint within an epoch too: the most that a lost node costs."""
    keep_checkpoints: int = field(default=2, metadata=_NOT_IDENTITY)
    """How many of the newest checkpoints stay on disk."""
    log_every_steps: int = field(default=100, metadata=_NOT_IDENTITY)
    """Steps between two records of the objective's terms; the device is read only then."""
    hang_seconds: float = field(default=600.0, metadata=_NOT_IDENTITY)
    """A rank that makes no step for so long is ended, its stacks in its log (until its first step: at least 600)."""

    def __post_init__(self) -> None:
        for name in (
            "epochs",
            "batch_size",
            "ranks",
            "checkpoint_every_epochs",
            "keep_checkpoints",
            "log_every_steps",
        ):
            _check(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("checkpoint_every_minutes", "hang_seconds"):
            _check(getattr(self, name) > 0, f"{name} is {getattr(self, name)}; it must be above 0")
        _check(
            self.batch_size >= self.ranks,
            f"batch_size {self.batch_size} is smaller than the number of ranks {self.ranks}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuresConfig:
    """What is computed from the trained model."""

    split: str = "test"
    """Split that is measured."""
    measure_batch_size: int = field(default=500, metadata=_NOT_IDENTITY)
    """Examples per forward pass of a measure."""
    hang_seconds: Annotated[float, tyro.conf.arg(name="measure_hang_seconds")] = field(
        default=3600.0, metadata=_NOT_IDENTITY
    )
    """Measuring that reads no batch for so long is ended, its stacks in its log, and tried again."""

    def __post_init__(self) -> None:
        _check(
            self.measure_batch_size >= 1,
            f"measure_batch_size is {self.measure_batch_size}; it must be at least 1",
        )
        _check(self.hang_seconds > 0, f"hang_seconds is {self.hang_seconds}; it must be above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """One run, whole."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=CCVAEConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    measures: MeasuresConfig = field(default_factory=MeasuresConfig)
    tracking: TrackingSettings = field(default_factory=TrackingSettings, metadata=_NOT_IDENTITY)
    seed: int = 0
    """Decides everything random in the run; data masks have the data set's own seed."""

    def __post_init__(self) -> None:
        _check(self.seed >= 0, f"seed is {self.seed}; it must not be negative")
        changes = [begin for begin, _ in self.data.supervision_schedule]
        _check(
            max(changes, default=0) < self.training.epochs,
            f"supervision_schedule changes f behind {max(changes, default=0)} epochs, and the run has"
            f" {self.training.epochs}",
        )

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
    text = json.dumps({"config": _identifying(config), "data": data_digest}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def readable_name(config: RunConfig) -> str:
    """What a person recognises a run by: ``ccvae-fashion_mnist-f0.06-seed0``, with a schedule ``…-f0.9-0.5-0.1-…``."""
    data = config.data
    rates = "-".join(
        f"{rate:g}" for rate in (data.supervision_rate, *(f for _, f in data.supervision_schedule))
    )
    rule = "-one_per_class" if data.one_per_class else ""
    return f"{config.model.system}-{data.name}-f{rates}{rule}-seed{config.seed}"


def flat(config: RunConfig) -> dict[str, Any]:
    """Every field under its dotted name, ``{"data.name": ..., "model.system": ...}``."""

    def walk(section: dict[str, Any], prefix: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in section.items():
            found |= (
                walk(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
            )
        return found

    return walk(asdict(config), "")


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
    _check(not unknown, f"{origin}: unknown field {sorted(unknown)[0] if unknown else ''}")
    return config


def _leaves(section: dict[str, Any], prefix: str = "") -> set[str]:
    return {
        name
        for key, value in section.items()
        for name in (_leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"})
    }
