"""The training section of a run: optimiser, duration, number of processes, precision."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from pipeline.field_checks import NOT_IDENTITY, check, check_above_zero, check_at_least, check_choices

WARM_UP = 0.2
"""Share of a run's steps in which the learning rate of a one-cycle schedule rises."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimiserConfig:
    """Adam, as in all five papers; with a weight decay, AdamW."""

    learning_rate: float = 5e-4
    """Learning rate."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of Adam's two moment estimates."""
    milestones: tuple[int, ...] = ()
    """Epochs after each of which all learning rates (also the adversaries') are multiplied by ``decay``."""
    decay: float = 0.1
    """Factor of the learning rate after a milestone."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """`one_cycle`: learning rates rise from 0 during the first fifth of the run's steps, and then fall to 0 at its end."""
    weight_decay: float = 0.0
    """Decay of matrices and kernels by this share of the learning rate at each step; biases and norms have none."""

    def __post_init__(self) -> None:
        check_above_zero(self, "learning_rate")
        check(all(0 <= beta < 1 for beta in self.betas), f"betas are {self.betas}; each must be in [0, 1)")
        check(
            all(early < late for early, late in pairwise((0, *self.milestones))),
            f"milestones are {', '.join(map(str, self.milestones))}; each must be later than the previous one, the first at"
            " least 1",
        )
        check(0 < self.decay <= 1, f"decay is {self.decay}; it must be above 0 and at most 1")
        check_choices(self)
        check_at_least(0, self, "weight_decay")
        check(
            self.schedule == "constant" or not self.milestones,
            f"schedule {self.schedule} sets the learning rate at every step, so it takes no milestones",
        )

    def decay_in(self, epoch: int) -> float:
        """Factor of the learning rate in an epoch, counted from 0."""
        return self.decay ** sum(milestone <= epoch for milestone in self.milestones)

    def share_at(self, step: int, last_step: int) -> float:
        """Share of the learning rate at a step, counted from 0, of a run of ``last_step`` steps."""
        if self.schedule == "constant":
            return 1.0
        done = (step + 0.5) / last_step
        return min(done / WARM_UP, (1 - done) / (1 - WARM_UP))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """Duration, number of processes and precision."""

    epochs: int = 100
    """Number of passes over the training examples."""
    batch_size: int = 200
    """Examples per step over all ranks, so that the result does not depend on the number of ranks."""
    ranks: int = 1
    """Processes (one per GPU) that share each batch."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Autocast type; `auto`: float32 on a CPU; on a GPU bfloat16, or float16 with a loss scaler if unsupported."""
    compile: bool = False
    """Compile the model with torch.compile."""
    cuda_graphs: bool = False
    """Replay each step as one CUDA graph: for one rank on a GPU, elsewhere a warning says that it has no effect."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto`: a GPU if there is one."""
    checkpoint_every_epochs: int = field(default=1, metadata=NOT_IDENTITY)
    """Epochs between checkpoints (there is always one at the end and when a run is asked to stop)."""
    checkpoint_every_minutes: float = field(default=10.0, metadata=NOT_IDENTITY)
    """Maximum minutes between checkpoints, also within an epoch: the most that a lost node costs."""
    keep_checkpoints: int = field(default=2, metadata=NOT_IDENTITY)
    """How many of the newest checkpoints to keep."""
    log_every_steps: int = field(default=100, metadata=NOT_IDENTITY)
    """Steps between records of the objective's terms, when the device is synchronised."""
    hang_seconds: float = field(default=600.0, metadata=NOT_IDENTITY)
    """Seconds without a step after which a rank is ended, with its stacks in its log (at least 600 until its first step)."""

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
