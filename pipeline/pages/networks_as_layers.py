"""Our families' networks as lists of layers, read from the tree of their modules.

A module is translated by its class, exactly: a subclass may compute something else. What has no translation is reported by
name, so that a page says in one sentence what it cannot run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from data_prep.errors import ConfigError
from pipeline.networks.layers import ConditionedMLP, Decoder
from pipeline.networks.own import FromFlatImages, ToFlatLogits
from pipeline.networks.pixel_norm import Centred, LogitsOfTanh, PixelNorm
from pipeline.pages.program import Program, Value


class NotInPages(ConfigError):
    """A page cannot run a system or a layer; the sentence names it."""


def add_network(program: Program, network: nn.Module, inputs: Value) -> Value:
    """A network of one input, after the layers of a program; returns its output.

    Raises:
        NotInPages: one of its modules has no translation.
    """
    translate = TRANSLATED.get(type(network))
    if translate is None:
        raise NotInPages(f"a page cannot run the layer {type(network).__name__}")
    return translate(program, network, inputs)


def add_conditioned(program: Program, network: nn.Module, inputs: Value, condition: Value) -> Value:
    """A network of an input and a condition (``Networks.encoder_after``, ``Networks.conditioned_decoder``)."""
    both = program.concatenate(inputs, condition)
    if isinstance(network, ConditionedMLP):
        weights = weights_of(weight=network.weight, bias=network.bias)
        first = program.add("linear", [both], (len(network.bias),), weights)
        return add_network(program, network.rest, first)
    return add_network(program, network, both)


def weights_of(**tensors: Tensor | None) -> dict[str, np.ndarray]:
    """Parameters as arrays; those that are None are left out."""
    return {
        name: tensor.detach().float().cpu().numpy() for name, tensor in tensors.items() if tensor is not None
    }


def _sequence(program: Program, network: nn.Module, inputs: Value) -> Value:
    for layer in network.children():
        inputs = add_network(program, layer, inputs)
    return inputs


def _inside(program: Program, network: Any, inputs: Value) -> Value:
    return add_network(program, network.network, inputs)


def _same(program: Program, network: nn.Module, inputs: Value) -> Value:
    return inputs


def _linear(program: Program, layer: Any, inputs: Value) -> Value:
    weights = weights_of(weight=layer.weight, bias=layer.bias)
    return program.add("linear", [inputs], (layer.out_features,), weights)


def _pair(value: Any) -> list[int]:
    """A setting of two axes as (vertical, horizontal)."""
    return [value, value] if isinstance(value, int) else list(value)


def _convolution(program: Program, layer: Any, inputs: Value) -> Value:
    if layer.groups != 1 or _pair(layer.dilation) != [1, 1] or layer.padding_mode != "zeros":
        raise NotInPages("a page cannot run a convolution with groups, dilation or padding other than zeros")
    transposed = isinstance(layer, nn.ConvTranspose2d)
    kernel, stride = _pair(layer.kernel_size), _pair(layer.stride)
    if layer.padding == "same":
        if any(size % 2 == 0 for size in kernel):
            raise NotInPages("a page cannot run a convolution with padding=same and an even kernel")
        padding = [size // 2 for size in kernel]
    else:
        padding = [0, 0] if layer.padding == "valid" else _pair(layer.padding)
    extra = _pair(layer.output_padding) if transposed else [0, 0]
    sides = [
        (side - 1) * step - 2 * pad + size + more if transposed else (side + 2 * pad - size) // step + 1
        for side, size, step, pad, more in zip(inputs.shape[1:], kernel, stride, padding, extra, strict=True)
    ]
    return program.add(
        "transposed_convolution" if transposed else "convolution",
        [inputs],
        (layer.out_channels, *sides),
        weights_of(weight=layer.weight, bias=layer.bias),
        stride=stride,
        padding=padding,
    )


def _pool(program: Program, layer: Any, inputs: Value) -> Value:
    kernel, stride = _pair(layer.kernel_size), _pair(layer.stride)
    if _pair(layer.padding) != [0, 0] or layer.ceil_mode or _pair(getattr(layer, "dilation", 1)) != [1, 1]:
        raise NotInPages("a page cannot run pooling with padding, dilation or ceil_mode")
    if getattr(layer, "divisor_override", None) is not None:
        raise NotInPages("a page cannot run pooling with a divisor of its own")
    sides = [
        (side - size) // step + 1 for side, size, step in zip(inputs.shape[1:], kernel, stride, strict=True)
    ]
    kind = "average_pool" if isinstance(layer, nn.AvgPool2d) else "max_pool"
    return program.add(kind, [inputs], (inputs.shape[0], *sides), kernel=kernel, stride=stride)


def _pool_to_one(program: Program, layer: Any, inputs: Value) -> Value:
    if _pair(layer.output_size) != [1, 1]:
        raise NotInPages("a page can run adaptive pooling to one pixel only")
    sides = list(inputs.shape[1:])
    return program.add("average_pool", [inputs], (inputs.shape[0], 1, 1), kernel=sides, stride=sides)


def _upsample(program: Program, layer: Any, inputs: Value) -> Value:
    factor = layer.scale_factor if layer.scale_factor is not None else ()
    factors = list(factor) if isinstance(factor, tuple) else [factor, factor]
    if layer.mode != "nearest" or not factors or any(each != int(each) for each in factors):
        raise NotInPages("a page can run up-sampling to the nearest pixel by whole factors only")
    whole = [int(each) for each in factors]
    channels, *sides = inputs.shape
    shape = (channels, *(side * each for side, each in zip(sides, whole, strict=True)))
    return program.add("upsample", [inputs], shape, factor=whole)


def _batch_norm(program: Program, layer: Any, inputs: Value) -> Value:
    """In evaluation it is one affine map for each channel."""
    if layer.running_mean is None:
        raise NotInPages("a page cannot run batch normalisation without running statistics")
    scale = (layer.running_var + layer.eps).rsqrt()
    scale = scale if layer.weight is None else scale * layer.weight
    shift = -layer.running_mean * scale
    shift = shift if layer.bias is None else shift + layer.bias
    weights = weights_of(weight=scale, bias=shift)
    return program.add("channel_affine", [inputs], inputs.shape, weights)


def _group_norm(program: Program, layer: Any, inputs: Value) -> Value:
    weights = weights_of(weight=layer.weight, bias=layer.bias)
    return program.add(
        "group_norm", [inputs], inputs.shape, weights, groups=layer.num_groups, epsilon=layer.eps
    )


def _layer_norm(program: Program, layer: Any, inputs: Value) -> Value:
    if tuple(layer.normalized_shape) != inputs.shape:
        raise NotInPages("a page can run layer normalisation over all axes only")
    weights = {name: of.reshape(-1) for name, of in weights_of(weight=layer.weight, bias=layer.bias).items()}
    flat = reshaped(program, inputs, (inputs.size,))
    normed = program.add("group_norm", [flat], flat.shape, weights, groups=1, epsilon=layer.eps)
    return reshaped(program, normed, inputs.shape)


def reshaped(program: Program, value: Value, shape: tuple[int, ...]) -> Value:
    """The value in another shape; itself if it has that one."""
    return value if value.shape == shape else program.add("reshape", [value], shape)


def _flatten(program: Program, layer: Any, inputs: Value) -> Value:
    if layer.start_dim != 1 or layer.end_dim not in (-1, len(inputs.shape)):
        raise NotInPages("a page can run the flattening of all axes only")
    return reshaped(program, inputs, (inputs.size,))


def _unflatten(program: Program, layer: Any, inputs: Value) -> Value:
    shape = tuple(layer.unflattened_size)
    if len(inputs.shape) != 1 or layer.dim not in (1, -1):
        raise NotInPages("a page can run the unflattening of flat values only")
    if -1 in shape:
        known = -math.prod(shape)
        shape = tuple(inputs.size // known if each == -1 else each for each in shape)
    return reshaped(program, inputs, shape)


def _centred(program: Program, layer: Any, inputs: Value) -> Value:
    images = reshaped(program, inputs, tuple(layer.image_shape))
    return program.add("affine", [images], images.shape, scale=2.0, shift=-1.0)


def _logits_of_tanh(program: Program, layer: Any, inputs: Value) -> Value:
    doubled = program.add("affine", [inputs], inputs.shape, scale=2.0, shift=0.0)
    return reshaped(program, doubled, (inputs.size,))


def _from_flat_images(program: Program, layer: Any, inputs: Value) -> Value:
    return _inside(program, layer, reshaped(program, inputs, tuple(layer.image_shape)))


def _to_flat_logits(program: Program, layer: Any, inputs: Value) -> Value:
    found = _inside(program, layer, inputs)
    return reshaped(program, found, (found.size,))


def _each(kind: str, **settings: str) -> Callable[[Program, Any, Value], Value]:
    """A layer that changes each number by itself; ``settings``: ours → the attribute of the module."""

    def translate(program: Program, layer: Any, inputs: Value) -> Value:
        own = {name: getattr(layer, attribute) for name, attribute in settings.items()}
        return program.add(kind, [inputs], inputs.shape, **own)

    return translate


def _softplus(program: Program, layer: Any, inputs: Value) -> Value:
    if layer.beta != 1:
        raise NotInPages("a page can run softplus with beta=1 only")
    return program.add("softplus", [inputs], inputs.shape, least=0.0)


def _gelu(program: Program, layer: Any, inputs: Value) -> Value:
    if layer.approximate != "none":
        raise NotInPages("a page can run GELU without approximation only")
    return program.add("gelu", [inputs], inputs.shape)


def _pixel_norm(program: Program, layer: Any, inputs: Value) -> Value:
    return program.add("pixel_norm", [inputs], inputs.shape, epsilon=1e-8)


TRANSLATED: dict[type[nn.Module], Callable[[Program, Any, Value], Value]] = {
    nn.Sequential: _sequence,
    Decoder: _sequence,
    FromFlatImages: _from_flat_images,
    ToFlatLogits: _to_flat_logits,
    nn.Identity: _same,
    nn.Dropout: _same,
    nn.Dropout2d: _same,
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.ConvTranspose2d: _convolution,
    nn.AvgPool2d: _pool,
    nn.MaxPool2d: _pool,
    nn.AdaptiveAvgPool2d: _pool_to_one,
    nn.Upsample: _upsample,
    nn.UpsamplingNearest2d: _upsample,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
    PixelNorm: _pixel_norm,
    Centred: _centred,
    LogitsOfTanh: _logits_of_tanh,
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
    nn.ReLU: _each("relu"),
    nn.LeakyReLU: _each("leaky_relu", slope="negative_slope"),
    nn.ELU: _each("elu", alpha="alpha"),
    nn.SiLU: _each("silu"),
    nn.GELU: _gelu,
    nn.Tanh: _each("tanh"),
    nn.Sigmoid: _each("sigmoid"),
    nn.Softplus: _softplus,
}
"""Every module that pages can run, and how."""
