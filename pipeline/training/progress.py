"""The progress of a run between two steps: how far it is, and its sums since the last record."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


class Objectives:
    """This rank's objective at each step since the last record: kept on the device, read only if one is not finite."""

    STEPS_BEFORE_FOLDING = 1000

    def __init__(self, row: int) -> None:
        self._row = row
        """Of the objective among the terms."""
        self._folded: list[Tensor] = []
        self._terms: list[Tensor] = []

    def keep(self, terms: Tensor) -> None:
        """Keep a step's terms; costs the device nothing."""
        self._terms.append(terms)
        if len(self._terms) == self.STEPS_BEFORE_FOLDING:
            self._folded.append(self._in_a_row())
            self._terms.clear()

    def forget(self) -> None:
        """Start over after a record."""
        self._folded.clear()
        self._terms.clear()

    def finite_steps(self) -> int:
        """The number of steps before the first with a non-finite objective (or all of them)."""
        kept = [*self._folded, *([self._in_a_row()] if self._terms else [])]
        finite = torch.cat(kept).isfinite().tolist() if kept else []
        return finite.index(False) if False in finite else len(finite)

    def _in_a_row(self) -> Tensor:
        return torch.stack(self._terms)[:, self._row, 0]


@dataclass
class Progress:
    """The progress of a run; with model and optimiser, everything that is resumed."""

    step: int
    """Steps completed."""
    sums: Tensor
    """Sums and counts of the terms on this rank, (2, term, 2): since the last record, and since the epoch began."""

    @property
    def since_record(self) -> Tensor:
        return self.sums[0]

    @property
    def since_epoch(self) -> Tensor:
        return self.sums[1]
