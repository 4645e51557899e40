"""Networks of the user's own: a class with ``encoder`` and ``decoder``, checked before it is used.

The class is called with the shape of an image, ``(channels, height, width)``, and has two methods, each of which makes a new
``torch.nn.Module``, with weights from torch's generator:

    encoder(outputs)   images (rows, channels, height, width) with values in [0, 1]   →   (rows, outputs)
    decoder(latents)   (rows, latents)   →   logits of an image, (rows, channels, height, width); their sigmoid is the image

Rows are any number, 0 included, and do not depend on each other (no batch normalisation): an example's objective would
depend on its batch, and on how many ranks share it. All parameters are used, and no call changes a buffer.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from data_prep.errors import ConfigError
from pipeline.networks.families import Features, ImageShape, Networks
from pipeline.networks.layers import concatenated
from pipeline.networks.own_source import COPIED_FILE, OwnSource
from pipeline.raised import in_one_sentence

ROWS, OUTPUTS, LATENTS = 3, 6, 5
"""Sizes of a check, all different."""


class OwnNetworks(Networks):
    """The encoders and decoders of a class of the user's."""

    def __init__(self, choice: str, image_shape: ImageShape, width: int) -> None:
        """``width``: that of the features, from which systems go on that take something in addition to the image.

        Raises:
            ConfigError: the class is not found, or does not keep the contract.
        """
        super().__init__(image_shape)
        source = OwnSource.read(choice)
        key = source.choice, source.digest, image_shape
        if key not in _MAKERS:
            _MAKERS[key] = Maker(source, image_shape)
        self.made = _MAKERS[key]
        self.width = width

    def encoder(self, outputs: int) -> nn.Module:
        return _FromFlatImages(self.made.encoder(outputs), self.image_shape)

    def decoder(self, latents: int) -> nn.Module:
        return _ToFlatLogits(self.made.decoder(latents))

    def features(self) -> Features:
        return Features(nn.Sequential(self.encoder(self.width), nn.ReLU()), self.width, (self.width,))


class _FromFlatImages(nn.Module):
    def __init__(self, network: nn.Module, image_shape: ImageShape) -> None:
        super().__init__()
        self.network, self.image_shape = network, image_shape

    def forward(self, pixels: Float[Tensor, "row pixel"]) -> Float[Tensor, "row output"]:
        found: Tensor = self.network(pixels.unflatten(-1, self.image_shape))
        return found


class _ToFlatLogits(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, z: Float[Tensor, "*rows latent"], condition: Float[Tensor, "*more_rows condition"] | None = None
    ) -> Float[Tensor, "*all_rows pixel"]:
        inputs = z if condition is None else concatenated(z, condition)
        logits: Tensor = self.network(inputs.flatten(0, -2))
        return logits.flatten(1).unflatten(0, inputs.shape[:-1])


class Maker:
    """An instance of the user's class, known to keep the contract."""

    def __init__(self, source: OwnSource, image_shape: ImageShape) -> None:
        self.choice, self.image_shape = source.choice, image_shape
        of_class = load(source)
        try:
            self.instance = of_class(image_shape)
        except Exception as error:
            raise self.refusal(f"calling it with {image_shape} fails: {in_one_sentence(error)}") from None
        _check(self)

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


_MAKERS: dict[tuple[str, str, ImageShape], Maker] = {}
"""Those of this process: each class is checked once for each shape, and again once its source has changed."""


def load(source: OwnSource) -> type[Any]:
    """The class of a source, imported under a name of its own: other versions in this process stay what they are.

    Raises:
        ConfigError: importing it fails, or there is no such class.
    """
    try:
        found = getattr(_imported(source), source.class_name, None)
    except Exception as error:
        raise ConfigError(f"network {source.choice}: importing it fails: {in_one_sentence(error)}") from None
    if not isinstance(found, type):
        raise ConfigError(f"network {source.choice}: {source.module} has no class {source.class_name}")
    return found


def _imported(source: OwnSource) -> ModuleType:
    above = sys.modules.setdefault(source.package, ModuleType(source.package))
    above.__path__ = [str(source.folder)]
    if not source.is_file:
        return importlib.import_module(f"{source.package}.{source.module}")
    name = f"{source.package}.{COPIED_FILE.removesuffix('.py')}"  # whatever the original is called
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, source.folder / source.module)
        assert spec is not None and spec.loader is not None  # noqa: PT018
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _is_lazy(parameter: nn.Parameter) -> bool:
    return isinstance(parameter, UninitializedParameter)


# the contract


def _check(maker: Maker) -> None:
    """ConfigError if the class does not keep the contract; torch's generator is as before."""
    shape = maker.image_shape
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        _seed(0)
        images = torch.rand(ROWS, *shape)
        _check_one(maker, "encoder", OUTPUTS, images, (OUTPUTS,))
        _check_one(maker, "decoder", LATENTS, torch.randn(ROWS, LATENTS), shape)


def _check_one(maker: Maker, kind: str, size: int, inputs: Tensor, output: tuple[int, ...]) -> None:
    call, example = f"{kind}({size})", inputs[:1]

    def made() -> nn.Module:
        _seed(1)
        return maker.make(kind, size, example)

    network, again = made(), made()
    weights, others = network.state_dict(), again.state_dict()
    if {each.data_ptr() for each in network.parameters()} & {each.data_ptr() for each in again.parameters()}:
        raise maker.refusal(f"{call} returns the same parameters again; each call must make a new network")
    if weights.keys() != others.keys() or not all(
        torch.equal(weights[name], others[name]) for name in weights
    ):
        raise maker.refusal(f"two of {call} after the same torch.manual_seed differ; draw weights with torch")
    buffers = {name: values.clone() for name, values in network.named_buffers()}

    def called(rows: Tensor) -> Tensor:
        _seed(2)  # dropout is allowed
        try:
            found = network(rows)
        except Exception as error:
            raise maker.refusal(
                f"{call} fails for inputs of shape {tuple(rows.shape)}: {in_one_sentence(error)}"
            ) from None
        expected = (len(rows), *output)
        if not isinstance(found, Tensor) or tuple(found.shape) != expected:
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise maker.refusal(
                f"{call} returns {got} for inputs of shape {tuple(rows.shape)}; it must return {expected}"
            )
        return found

    outputs = called(inputs)
    if not outputs.is_floating_point() or not bool(outputs.isfinite().all()):
        raise maker.refusal(f"{call} returns numbers that are not finite")
    changed = torch.cat([inputs[:1], inputs[1:].flip(0) + 1])
    if not torch.allclose(called(changed)[0], outputs[0], rtol=1e-3, atol=1e-4):
        raise maker.refusal(
            f"{call} returns another output for a row if other rows change, as with batch normalisation; rows must not"
            " depend on each other"
        )
    called(inputs[:0])
    for name, values in network.named_buffers():
        if not torch.equal(values, buffers[name]):
            raise maker.refusal(
                f"{call} changes its buffer {name} when called, which a resumed run would repeat"
            )
    if outputs.requires_grad:
        outputs.square().sum().backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and parameter.grad is None:
            raise maker.refusal(f"{call} does not use its parameter {name}")


def _seed(seed: int) -> None:
    """Not torch.manual_seed, which would also seed the GPUs' generators, and these are not set back."""
    torch.default_generator.manual_seed(seed)
