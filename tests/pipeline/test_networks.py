"""The papers' networks have the papers' shapes, and take what the models give them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.networks import (
    ConditionedConvolutionalDecoder,
    ConvolutionalDecoder,
    convolutional_encoder,
    convolutional_features,
)


def kernels(network: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for name, p in network.named_parameters() if name.endswith("weight")]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_convolutional_encoder_is_that_of_table_3(channels: int) -> None:
    encoder = convolutional_encoder(channels, 90)
    assert kernels(encoder) == [
        *[(32, channels, 4, 4), (32, 32, 4, 4), (64, 32, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4)],
        (90, 256),
    ]
    strides = [layer.stride[0] for layer in encoder if isinstance(layer, nn.Conv2d)]
    assert strides == [2, 2, 2, 2, 1]
    assert sum(isinstance(layer, nn.ReLU) for layer in encoder) == 5
    assert encoder(torch.rand(2, channels * 64 * 64)).shape == (2, 90)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_convolutional_decoder_is_that_of_table_3(channels: int) -> None:
    decoder = ConvolutionalDecoder(45, channels)
    assert kernels(decoder) == [
        (256, 45),
        *[(256, 128, 4, 4), (128, 64, 4, 4), (64, 32, 4, 4), (32, 32, 4, 4), (32, channels, 4, 4)],
    ]
    strides = [layer.stride[0] for layer in decoder if isinstance(layer, nn.ConvTranspose2d)]
    assert strides == [1, 2, 2, 2, 2]
    assert sum(isinstance(layer, nn.ReLU) for layer in decoder) == 4
    assert decoder(torch.rand(2, 45)).shape == (2, channels * 64 * 64)


@torch.no_grad()
def test_latents_may_have_any_leading_axes() -> None:
    decoder, z = ConvolutionalDecoder(3, 1), torch.randn(2, 3, 3)
    found = decoder(z)
    assert found.shape == (2, 3, 64 * 64)
    torch.testing.assert_close(found[1, 2], decoder(z[1, 2:])[0])
    assert decoder(torch.randn(1, 0, 3)).shape == (1, 0, 64 * 64)


@torch.no_grad()
def test_pixels_keep_their_positions() -> None:
    """Flat rows are (channel, height, width): a change in one corner of one channel stays near that corner."""
    encoder = convolutional_encoder(3, 4)
    pixels = torch.rand(1, 3, 64, 64)
    changed = pixels.clone()
    changed[0, 2, :4, :4] = 1 - changed[0, 2, :4, :4]
    first = encoder[0](pixels.flatten(1)), encoder[0](changed.flatten(1))
    moved = (encoder[1](first[0]) - encoder[1](first[1])).abs().sum((0, 1)) > 0
    assert moved[:3, :3].any()
    assert not moved[4:].any()
    assert not moved[:, 4:].any()


@torch.no_grad()
def test_a_conditioned_decoder_takes_latents_and_conditions_whose_leading_axes_broadcast() -> None:
    decoder, z, condition = ConditionedConvolutionalDecoder(3, 2, 1), torch.randn(4, 1, 3), torch.randn(5, 2)
    found = decoder(z, condition)
    assert found.shape == (4, 5, 64 * 64)
    side_by_side = torch.cat([z[1, 0], condition[2]])
    torch.testing.assert_close(found[1, 2], ConvolutionalDecoder.forward(decoder, side_by_side[None])[0])
    assert decoder(torch.randn(0, 1, 3), condition).shape == (0, 5, 64 * 64)
    assert kernels(decoder)[0] == (256, 5)


@torch.no_grad()
def test_depth_does_not_shrink_what_tells_images_or_latents_apart() -> None:
    """Torch's own initialisation leaves a thousandth of it, and long trainings without progress."""
    torch.manual_seed(0)
    images = torch.rand(64, 3 * 64 * 64)
    features = convolutional_features(3)(images)
    assert 0.1 < float(features.std(0).mean() / images.std(0).mean()) < 3
    latents = torch.randn(64, 45)
    logits = ConvolutionalDecoder(45, 3)(latents)
    assert 0.1 < float(logits.std(0).mean()) < 3
