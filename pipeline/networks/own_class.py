"""A class of the user's: imported from its source, and called for an encoder or a decoder; errors are one sentence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from data_prep.errors import ConfigError
from pipeline.networks.families import ImageShape
from pipeline.own_module import imported
from pipeline.own_source import OwnSource
from pipeline.raised import in_one_sentence


class Maker:
    """An instance of the user's class."""

    def __init__(self, source: OwnSource, image_shape: ImageShape) -> None:
        self.choice, self.image_shape = source.choice, image_shape
        of_class = load(source)
        try:
            self.instance = of_class(image_shape)
        except Exception as error:
            raise self.refusal(f"calling it with {image_shape} fails: {in_one_sentence(error)}") from None

    def encoder(self, outputs: int) -> nn.Module:
        """A new encoder."""
        return self.make("encoder", outputs, torch.zeros(1, *self.image_shape))

    def decoder(self, latents: int) -> nn.Module:
        """A new decoder."""
        return self.make("decoder", latents, torch.zeros(1, latents))

    def make(self, kind: str, size: int, example: Tensor) -> nn.Module:
        """What its method makes; layers that take their size from the first input get an example."""
        method = getattr(self.instance, kind, None)
        if not callable(method):
            raise self.refusal(f"it has no method {kind}")
        try:
            network = method(size)
            if isinstance(network, nn.Module) and any(map(_is_lazy, network.parameters())):
                with torch.no_grad():
                    network.eval()(example)
                network.train()
        except Exception as error:
            raise self.refusal(f"{kind}({size}) fails: {in_one_sentence(error)}") from None
        if not isinstance(network, nn.Module):
            raise self.refusal(
                f"{kind}({size}) returns {type(network).__name__}, which is no torch.nn.Module"
            )
        return network

    def refusal(self, why: str) -> ConfigError:
        """The error for a class that does not keep the contract."""
        return ConfigError(f"network {self.choice}: {why}")


def load(source: OwnSource) -> type[Any]:
    """The class of a source, imported under a name of its own: other versions in this process stay what they are.

    Raises:
        ConfigError: importing it fails, or there is no such class.
    """
    try:
        found = getattr(imported(source), source.class_name, None)
    except Exception as error:
        raise ConfigError(f"network {source.choice}: importing it fails: {in_one_sentence(error)}") from None
    if not isinstance(found, type):
        raise ConfigError(f"network {source.choice}: {source.module} has no class {source.class_name}")
    return found


def _is_lazy(parameter: nn.Parameter) -> bool:
    return isinstance(parameter, UninitializedParameter)
