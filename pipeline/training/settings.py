"""What a run says about its training: the optimiser, how long, on how many processes, in which precision."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from pipeline.field_checks import NOT_IDENTITY, check, check_above_zero, check_at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimiserConfig:
    """Adam, as in all five papers."""

    learning_rate: float = 5e-4
    """Step size."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of Adam's two moment estimates."""
    milestones: tuple[int, ...] = ()
    """Epochs after each of which all learning rates (also the adversaries') are multiplied by ``decay``."""
    decay: float = 0.1
    """Factor of the step size behind a milestone."""

    def __post_init__(self) -> None:
        check_above_zero(self, "learning_rate")
        check(all(0 <= beta < 1 for beta in self.betas), f"betas are {self.betas}; each must be in [0, 1)")
        check(
            all(early < late for early, late in pairwise((0, *self.milestones))),
            f"milestones are {', '.join(map(str, self.milestones))}; each must be later than the one before, the first at"
            " least 1",
        )
        check(0 < self.decay <= 1, f"decay is {self.decay}; it must be above 0 and at most 1")

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
    checkpoint_every_epochs: int = field(default=1, metadata=NOT_IDENTITY)
    """Epochs between two checkpoints (there is always one at the end and when a run is asked to stop)."""
    checkpoint_every_minutes: float = field(default=10.0, metadata=NOT_IDENTITY)
    """Minutes after which there is a checkpoint within an epoch too: the most that a lost node costs."""
    keep_checkpoints: int = field(default=2, metadata=NOT_IDENTITY)
    """How many of the newest checkpoints stay on disk."""
    log_every_steps: int = field(default=100, metadata=NOT_IDENTITY)
    """Steps between two records of the objective's terms; the device is read only then."""
    hang_seconds: float = field(default=600.0, metadata=NOT_IDENTITY)
    """A rank that makes no step for so long is ended, its stacks in its log (until its first step: at least 600)."""

    def __post_init__(self) -> None:
        check_at_least(
            1,
            self,
            *(
                "epochs",
                "batch_size",
                "ranks",
                "checkpoint_every_epochs",
                "keep_checkpoints",
                "log_every_steps",
            ),
        )
        check_above_zero(self, "checkpoint_every_minutes", "hang_seconds")
        check(
            self.batch_size >= self.ranks,
            f"batch_size {self.batch_size} is smaller than the number of ranks {self.ranks}",
        )
