"""A network of a user's own, as text, whole and with one thing wrong."""

from __future__ import annotations

from pathlib import Path

SMALL = """
from math import prod
import torch
from torch import nn

class Small:
    def __init__(self, image_shape):
        self.image_shape = image_shape

    def encoder(self, outputs):
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(20), nn.ELU(), nn.Dropout(0.1), nn.Linear(20, outputs))

    def decoder(self, latents):
        return nn.Sequential(nn.Linear(latents, prod(self.image_shape)), nn.Unflatten(1, self.image_shape))
"""


def write_small(folder: Path, file: str = "mine.py", text: str = SMALL) -> str:
    """The name of the network in a new file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text)
    return f"{folder / file}:Small"


def write_package(folder: Path, *, imports: str = "from .layers import width") -> str:
    """The name of the same network in a package of two modules, found from that folder."""
    package = folder / "blocks"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "layers.py").write_text("width = 20\n")
    (package / "small.py").write_text(imports + SMALL.replace("(20", "(width"))
    return f"{folder}/blocks.small:Small"
