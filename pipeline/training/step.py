"""One training step: forward under autocast, backward, all-reduce, Adam.

A system and its adversaries share one of each: all are updated at the same time.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data_prep.errors import ConfigError
from pipeline.config import RunConfig
from pipeline.data.batch import Batch
from pipeline.models.interface import (
    Adversary,
    CouplesBatch,
    DataSpec,
    HasAdversaries,
    HasLaterTerms,
    HasSchedule,
    Losses,
)
from pipeline.training.adam import Adam, AdamW
from pipeline.training.data_parallel import DistributedDataParallel
from pipeline.training.graphs import CapturedSteps, recorder, uses_graphs
from pipeline.training.players import GradientNorms
from pipeline.world import World

# Buffers are constants: no broadcast per step is needed. Newer versions of torch warn of the option's former name.
_OPTIONS = inspect.signature(nn.parallel.DistributedDataParallel).parameters
_WITHOUT_BUFFERS: dict[str, Any] = {
    "forward_sync_buffers" if "forward_sync_buffers" in _OPTIONS else "broadcast_buffers": False
}
_AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_precision(wanted: str, device: torch.device) -> str:
    """The autocast type that ``auto`` stands for on this device; ConfigError for float16 on a CPU."""
    if wanted == "auto":
        if device.type == "cpu":
            return "float32"
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if wanted == "float16" and device.type == "cpu":
        raise ConfigError("precision float16 needs a GPU; use bfloat16 or float32 on a CPU")
    return wanted


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make the random numbers of a step a function of (seed, step, rank) only, so that a resumed run repeats them."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0]))


def parameter_groups(
    model: nn.Module, adversaries: tuple[Adversary, ...], weight_decay: float = 0.0
) -> list[dict[str, Any]]:
    """The optimiser's parameter groups: the model's own parameters, then those of each adversary.

    With a weight decay each is two, since parameters of one axis do not decay.
    """
    taken = {parameter for adversary in adversaries for parameter in adversary.parameters}
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in model.parameters() if parameter not in taken]}
    ]
    for adversary in adversaries:
        own_rate = {} if adversary.learning_rate is None else {"lr": adversary.learning_rate}
        groups.append({"params": list(adversary.parameters), **own_rate})
    if not weight_decay:
        return groups
    return [
        group
        | {"params": [each for each in group["params"] if (each.ndim > 1) == decays]}
        | {"weight_decay": weight_decay if decays else 0.0}
        for group in groups
        for decays in (True, False)
    ]


def _check_batch_size(model: nn.Module, config: RunConfig) -> None:
    """ConfigError if the model compares the examples of a batch, and a batch has too few."""
    size = config.training.batch_size
    if isinstance(model, CouplesBatch) and size < model.smallest_batch:
        raise ConfigError(
            f"{config.model.system} compares the examples of a batch: batch_size is {size}; it must be at least"
            f" {model.smallest_batch}"
        )


def use_repeatable_kernels() -> None:
    """Have cuDNN choose, without trying which is fastest, among kernels that give the same bits each time."""
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


class Step:
    """Model and optimiser of one rank, and how one batch changes them."""

    def __init__(self, config: RunConfig, data: DataSpec, world: World) -> None:
        self.config, self.world = config, world
        use_repeatable_kernels()
        self.precision = choose_precision(config.training.precision, world.device)
        torch.manual_seed(config.seed)
        self.model: nn.Module = config.model.build(data).to(world.device)
        _check_batch_size(self.model, config)
        self.adversaries = self.model.adversaries() if isinstance(self.model, HasAdversaries) else ()
        self._norms = GradientNorms(self.model, self.adversaries)
        decay = config.optimiser.weight_decay
        self.optimiser = (AdamW if decay else Adam)(
            parameter_groups(self.model, self.adversaries, decay),
            lr=config.optimiser.learning_rate,
            betas=config.optimiser.betas,
            fused=True,
        )
        self._learning_rates = [group["lr"] for group in self.optimiser.param_groups]
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=self.precision == "float16")
        self.term_names: tuple[str, ...] = ()
        self._epoch = 0
        if config.training.compile:
            self.model.compile()
        self._forward: nn.Module = self.model
        if world.is_joined:
            compiled = nn.parallel.DistributedDataParallel
            wrap = compiled if config.training.compile else DistributedDataParallel
            self._forward = wrap(self.model, **_WITHOUT_BUFFERS)
        self._captured: CapturedSteps | None = None
        if uses_graphs(config.training, world):
            self._captured = CapturedSteps(self._update, self._rehearse, recorder())

    def warm_up(self, batch: Batch) -> None:
        """One forward and backward pass without an update.

        It determines the names of the terms, and lets DistributedDataParallel settle its buckets, which it rebuilds after
        its first pass: a resumed run would otherwise sum gradients in a different order than an uninterrupted one.
        """
        losses = self._losses(batch)
        self.term_names = (*losses.terms, *self._norms.names)
        names = tuple(adversary.name for adversary in self.adversaries)
        if set(names) != set(losses.adversaries):
            raise ValueError(f"adversaries {names}, objectives of {sorted(losses.adversaries)}")
        losses.total_objective.sum().backward()
        self._losses(batch).total_objective.sum().backward()
        self.optimiser.zero_grad(set_to_none=True)
        if self._captured is not None:
            self._create_state()

    def _create_state(self) -> None:
        """Create Adam's moments, of no step, and the loss scale: if a recording created them, each replay would."""
        for parameter in self.model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self.optimiser.step()
        for moments in self.optimiser.state.values():
            moments["step"].zero_()
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(torch.zeros((), device=self.world.device))

    def begin_epoch(self, epoch: int, steps: int = 1) -> None:
        """Set the epoch of the next steps, counted from 0; also called if a run resumes within one.

        ``steps``: number of steps of each epoch, which a one-cycle schedule needs.
        """
        self._epoch, self._last_step = epoch, steps * self.config.training.epochs
        if isinstance(self.model, HasSchedule):
            self.model.begin_epoch(epoch)
        self._multiply_learning_rates(self.config.optimiser.decay_in(epoch))

    def _multiply_learning_rates(self, factor: float) -> None:
        for group, learning_rate in zip(self.optimiser.param_groups, self._learning_rates, strict=True):
            if self._captured is not None and group["lr"] != factor * learning_rate:
                self._captured.forget()
            group["lr"] = factor * learning_rate

    def __call__(self, batch: Batch, step: int, batch_size: int) -> Tensor:
        """Update on this rank's share of a batch of ``batch_size``; returns its terms, (term, sum and count)."""
        begins = isinstance(self.model, HasLaterTerms) and self.model.begin_step(step, self._epoch)
        if begins and self._captured is not None:
            self._captured.forget()
        captured = None if self._captured is None else self._captured.of(batch, batch_size)
        seed_step(self.config.seed, step, self.world.rank)
        if self.config.optimiser.schedule != "constant":
            self._multiply_learning_rates(self.config.optimiser.share_at(step, self._last_step))
        return self._update(batch, batch_size) if captured is None else captured(batch)

    def _update(self, batch: Batch, batch_size: int) -> Tensor:
        losses = self._losses(batch)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(self._loss(losses, batch_size)).backward()
        if self._norms:
            self.scaler.unscale_(self.optimiser)
        norms = self._norms.terms()
        self._let_adam_be_captured(self._captured is not None)
        self.scaler.step(self.optimiser)
        self._let_adam_be_captured(False)
        self.scaler.update()
        return torch.stack([*losses.terms.values(), *norms])

    def _rehearse(self, batch: Batch, batch_size: int) -> None:
        """All of an update but the optimiser's part."""
        self.scaler.scale(self._loss(self._losses(batch), batch_size)).backward()
        self.optimiser.zero_grad(set_to_none=True)

    def _loss(self, losses: Losses, batch_size: int) -> Tensor:
        # DistributedDataParallel averages over ranks: this makes it the mean over the full batch, however it is split.
        return -losses.total_objective.sum() * (self.world.size / batch_size)

    def _let_adam_be_captured(self, capturable: bool) -> None:
        """Only while it is: torch warns of a step outside of a capture, and a checkpoint is to be the same either way."""
        for group in self.optimiser.param_groups:
            group["capturable"] = capturable

    def _losses(self, batch: Batch) -> Losses:
        dtype = _AUTOCAST[self.precision]
        with torch.autocast(self.world.device.type, dtype=dtype, enabled=dtype is not None):
            return self._forward(batch)

    def state(self) -> dict[str, Any]:
        """What resumes: parameters, moments, loss scale."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def is_finite(self) -> bool:
        """Whether all parameters and moments are finite numbers. Waits for the device."""
        tensors: list[Tensor] = list(self.model.parameters())
        for moments in self.optimiser.state.values():
            tensors += [value for value in moments.values() if isinstance(value, Tensor)]
        return bool(
            torch.stack([value.isfinite().all().to(self.world.device) for value in tensors]).all().item()
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state that ``state`` returned."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self._captured is not None:
            self._captured.forget()
