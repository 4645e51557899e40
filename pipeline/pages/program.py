"""A network as a list of layers, without torch: what ``explorer/network.js`` runs on one picture in a browser.

A *value* is an array of numbers with a shape, ``(size,)`` or ``(channels, height, width)``, named by an integer: the inputs
of a program come first, then the output of each layer in turn. ``LAYERS`` names every kind of layer and what it needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

Shape = tuple[int, ...]

LAYERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "linear": ((), ("weight", "bias")),
    "convolution": (("stride", "padding"), ("weight", "bias")),
    "transposed_convolution": (("stride", "padding"), ("weight", "bias")),
    "upsample": (("factor",), ()),
    "average_pool": (("kernel", "stride"), ()),
    "max_pool": (("kernel", "stride"), ()),
    "pixel_norm": (("epsilon",), ()),
    "group_norm": (("groups", "epsilon"), ("weight", "bias")),
    "channel_affine": ((), ("weight", "bias")),
    "affine": (("scale", "shift"), ()),
    "relu": ((), ()),
    "leaky_relu": (("slope",), ()),
    "elu": (("alpha",), ()),
    "silu": ((), ()),
    "gelu": ((), ()),
    "tanh": ((), ()),
    "sigmoid": ((), ()),
    "softplus": (("least",), ()),
    "power": (("exponent",), ()),
    "log_softmax": (("sizes",), ()),
    "most_probable": (("sizes",), ()),
    "reshape": ((), ()),
    "part": (("start", "stop"), ()),
    "concatenate": ((), ()),
    "add": ((), ()),
    "multiply": ((), ()),
}
"""Kind → its settings and its weights. A pair is (vertical, horizontal). ``least`` is a lower bound of the result.

``log_softmax`` and ``most_probable`` (one-hot) work on each of several parts of their input, of the given sizes; weights may
be absent where the layer has none. ``reshape`` gives an output of another shape, in the same order.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A layer and the values that it takes."""

    kind: str
    inputs: tuple[int, ...]
    shape: Shape
    """Of its output."""
    settings: Mapping[str, Any]
    weights: Mapping[str, Float[np.ndarray, "..."]]

    def __post_init__(self) -> None:
        settings, weights = LAYERS[self.kind]
        assert set(self.settings) == set(settings), (self.kind, set(self.settings))
        assert set(self.weights) <= set(weights), (self.kind, set(self.weights))


@dataclass(frozen=True, slots=True)
class Value:
    """The output of a layer, or an input of the program."""

    number: int
    shape: Shape

    @property
    def size(self) -> int:
        """Of all its axes together."""
        return math.prod(self.shape)


@dataclass(slots=True)
class Program:
    """Layers in the order in which they run; it is built by ``add``."""

    inputs: dict[str, Value] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    output: Value | None = None

    def takes(self, name: str, *shape: int) -> Value:
        """An input; all are named before the first layer."""
        assert not self.layers
        self.inputs[name] = Value(len(self.inputs), shape)
        return self.inputs[name]

    def add(
        self,
        kind: str,
        inputs: Sequence[Value],
        shape: Shape,
        weights: Mapping[str, Float[np.ndarray, "..."]] | None = None,
        **settings: Any,
    ) -> Value:
        """A layer after the others; returns its output, which is that of the program until another is added."""
        numbers = tuple(value.number for value in inputs)
        self.layers.append(
            Layer(kind=kind, inputs=numbers, shape=shape, settings=settings, weights=weights or {})
        )
        self.output = Value(len(self.inputs) + len(self.layers) - 1, shape)
        return self.output

    def part(self, value: Value, start: int, stop: int) -> Value:
        """Some of the numbers of a flat value."""
        return self.add("part", [value], (stop - start,), start=start, stop=stop)

    def concatenate(self, *values: Value) -> Value:
        """Flat values one after the other; the value itself if it is the only one."""
        if len(values) == 1:
            return values[0]
        return self.add("concatenate", values, (sum(value.size for value in values),))
