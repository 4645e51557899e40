"""The rows of a full batch, of which each rank has a share, for objectives that compare examples.

An objective of a rank's own rows, computed from the rows of all ranks, has gradients in all of them: those are summed over
ranks, and each rank passes on its own rows' part. ``DistributedDataParallel`` sums the rest, as for all objectives.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from pipeline.data.batch import Batch


def rows_of_all_ranks(
    values: Float[Tensor, "batch column"], batch: Batch
) -> tuple[Float[Tensor, "full_batch column"], int]:
    """A value of each row of the full batch, rank by rank, and where this rank's own rows begin.

    In a batch that is not a share of a larger one these are the values, and 0. All ranks must call it.
    """
    if len(batch.rows_of_ranks) < 2:
        return values, 0
    before = sum(batch.rows_of_ranks[: dist.get_rank()])
    return _Gather.apply(values, batch.rows_of_ranks, before), before


class _Gather(torch.autograd.Function):
    """Ranks with fewer rows send rows of zeros after their own, since all must send as many."""

    @staticmethod
    def forward(context: Any, values: Tensor, rows_of_ranks: tuple[int, ...], before: int) -> Tensor:
        context.own = slice(before, before + len(values))
        sent = values.new_zeros(max(rows_of_ranks), *values.shape[1:])
        sent[: len(values)] = values
        received = [torch.empty_like(sent) for _ in rows_of_ranks]
        dist.all_gather(received, sent)
        return torch.cat([each[:rows] for each, rows in zip(received, rows_of_ranks, strict=True)])

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        total = gradient.clone()
        dist.all_reduce(total)
        return total[context.own], None, None
