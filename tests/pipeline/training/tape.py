"""What a CUDA graph does, on the CPU: operations recorded with the memory that they used, and repeated there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tape(TorchDispatchMode):
    """Records every operation, those of a backward pass too; nothing of Python is repeated."""

    def __init__(self) -> None:
        super().__init__()
        self._recorded: list[tuple[Any, Any, Any, list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        given = {where(tensor) for tensor in tensors_in((args, kwargs))}
        results = tensors_in(found)
        changes = func._schema.is_mutable
        if changes or not all(where(tensor) in given for tensor in results):  # else it is a view
            self._recorded.append((func, args, kwargs, [] if changes else results))
        return found

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, results in self._recorded:
            found = func(*args, **kwargs)
            for old, new in zip(results, tensors_in(found) if results else [], strict=True):
                old.copy_(new)


def tensors_in(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def where(tensor: Tensor) -> int:
    """The memory of a tensor; of an empty one, itself."""
    return tensor.untyped_storage().data_ptr() or -id(tensor)


def record(rehearse: Callable[[], None], work: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """In place of ``pipeline.training.graphs.recorder``: unlike a capture, recording runs the work, so it is undone."""
    rehearse()
    before: dict[int, tuple[Tensor, Tensor]] = {}
    tape = Tape()
    with Undo(before), tape:
        result = work()
    for tensor, value in before.values():
        tensor.detach().copy_(value)

    def replay() -> Tensor:
        tape.replay()
        return result

    return replay


class Undo(TorchDispatchMode):
    """Keeps the values that a work's operations overwrite."""

    def __init__(self, before: dict[int, tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self._before = before

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.is_mutable:
            for tensor in tensors_in((args, kwargs or {})):
                self._before.setdefault(where(tensor), (tensor, tensor.detach().clone()))
        return func(*args, **(kwargs or {}))
