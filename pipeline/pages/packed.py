"""Programs as text for a page: their layers as JSON, their weights as one base64 string."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.pages.program import Program

SMALL = 4096
"""Numbers up to which an array keeps float32: it costs nothing, and tables of precisions exceed float16's range."""
LARGEST_HALF = 60_000.0


@dataclass(slots=True)
class Weights:
    """The weights of several programs; equal arrays are kept once."""

    content: bytearray = field(default_factory=bytearray)
    known: dict[bytes, dict[str, Any]] = field(default_factory=dict)

    def place_of(self, array: np.ndarray) -> dict[str, Any]:
        """Where the array is in the content: ``type`` (half or single), ``start`` in bytes, ``size`` in numbers."""
        exact = np.ascontiguousarray(array, dtype="<f4")
        key = hashlib.sha256(exact.tobytes()).digest()
        if key not in self.known:
            is_half = exact.size > SMALL and float(np.abs(exact).max()) < LARGEST_HALF
            stored = exact.astype("<f2") if is_half else exact
            self.content += bytes(-len(self.content) % 4)
            self.known[key] = {
                "type": "half" if is_half else "single",
                "start": len(self.content),
                "size": exact.size,
            }
            self.content += stored.tobytes()
        return self.known[key]

    def as_text(self) -> str:
        """All of them in base64."""
        return base64.b64encode(bytes(self.content)).decode()


def packed(program: Program, weights: Weights) -> dict[str, Any]:
    """A program as JSON's types, its arrays added to the weights."""
    return {
        "inputs": [[name, list(value.shape)] for name, value in program.inputs.items()],
        "layers": [
            {
                "kind": layer.kind,
                "inputs": list(layer.inputs),
                "shape": list(layer.shape),
                **layer.settings,
                "weights": {
                    name: weights.place_of(array) | {"shape": list(array.shape)}
                    for name, array in layer.weights.items()
                },
            }
            for layer in program.layers
        ],
        "output": None if program.output is None else program.output.number,
    }
