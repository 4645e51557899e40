"""The content of ``config.json`` read without torch: all sections but the model's, which needs its system's code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from pipeline.data.order import steps_per_epoch, steps_with_references
from pipeline.data.settings import DataConfig
from pipeline.field_checks import NOT_IDENTITY, check, check_at_least
from pipeline.measures.settings import MeasuresConfig
from pipeline.tracking.settings import TrackingSettings
from pipeline.training.settings import OptimiserConfig, TrainingConfig
from pipeline.validation import FORBID_UNKNOWN

DRAW_REFERENCES = frozenset({"rb_vae", "srb_vae", "mathieu"})
"""Systems whose batches have as many images of the reference set as others (``pipeline.data.order``)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """One run; :class:`pipeline.config.RunConfig` is the same with the model's section parsed."""

    __pydantic_config__ = FORBID_UNKNOWN

    data: DataConfig = field(default_factory=DataConfig)
    model: object = None
    """Plain values, with ``system`` among them."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    measures: MeasuresConfig = field(default_factory=MeasuresConfig, metadata=NOT_IDENTITY)
    tracking: TrackingSettings = field(default_factory=TrackingSettings, metadata=NOT_IDENTITY)
    seed: int = 0
    """Seed of all random numbers of the run, and of the labelled subset unless `--label-seed` is given."""

    def __post_init__(self) -> None:
        check_at_least(0, self, "seed")
        check(self.seed < 2**63, f"seed is {self.seed}; it must be below 2^63")
        changes = [begin for begin, _ in self.data.supervision_schedule]
        check(
            max(changes, default=0) < self.training.epochs,
            f"supervision_schedule changes f after {max(changes, default=0)} epochs, but the run has"
            f" {self.training.epochs}",
        )

        check(
            not self.training.cuda_graphs
            or (self.optimiser.schedule == "constant" and not self.optimiser.weight_decay),
            "cuda_graphs needs schedule constant and no weight_decay: a recorded step has a fixed learning rate",
        )

    @property
    def label_seed(self) -> int | None:
        """The seed of the labelled subset.

        None if any seed gives the same run, because all examples keep their labels, or none.
        """
        if not self.data.one_per_class and all(rate in (0, 1) for rate in self.data.supervision_rates):
            return None
        return self.seed if self.data.label_seed is None else self.data.label_seed

    @property
    def draws_references(self) -> bool:
        """Whether its batches have as many images of the reference set as others."""
        model = self.model
        system = model.get("system") if isinstance(model, dict) else getattr(model, "system", None)
        return system in DRAW_REFERENCES

    def last_step(self, rows: int, references: int | None = None) -> int:
        """Number of steps of the run on a training split of ``rows`` rows.

        ``references``: how many of them are of the reference set, if the system draws them.
        """
        batch_size, ranks = self.training.batch_size, self.training.ranks
        steps = (
            steps_per_epoch(rows, batch_size, ranks)
            if references is None
            else steps_with_references(rows - references, batch_size, ranks)
        )
        return steps * self.training.epochs


def incidental_fields(section: type[Any] = RunRecord, prefix: str = "") -> Iterator[str]:
    """Dotted names of the fields whose metadata says that they do not decide a run's result."""
    default = section()
    for entry in fields(section):
        name, value = f"{prefix}{entry.name}", getattr(default, entry.name)
        if not entry.metadata.get("identity", True):
            yield from leaves(name, value)
        elif is_dataclass(value):
            yield from incidental_fields(type(value), f"{name}.")


def leaves(name: str, value: Any) -> Iterator[str]:
    """Dotted names of all fields in a section, or the field's own."""
    if is_dataclass(value):
        for entry in fields(value):
            yield from leaves(f"{name}.{entry.name}", getattr(value, entry.name))
    else:
        yield name
