"""What a compiled model calls without compiling it.

Imported at the first use alone: ``torch.compiler.disable`` imports torch's whole compiler, a second for every process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from pipeline.data.dataset import DataSet, FurtherColumn


@torch.compiler.disable
def column_on(device: torch.device, data: DataSet, split: str, name: FurtherColumn) -> Tensor:
    """A copy of a further column of a split on a device."""
    return torch.from_numpy(np.array(data.column(split, name))).to(device)
