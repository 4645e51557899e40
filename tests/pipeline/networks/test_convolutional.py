"""Table 3's networks: at 64 × 64 the paper's, bit for bit as they always were, and the same rule at other sides."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from data_prep.errors import ConfigError
from pipeline.networks.convolutional import SIZES, Convolutional


def kernels(network: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for name, p in network.named_parameters() if name.endswith("weight")]


def he(layer: nn.Conv2d | nn.ConvTranspose2d, inputs: int) -> nn.Module:
    nn.init.normal_(layer.weight, std=math.sqrt(2 / inputs))
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def written_out(channels: int, outputs: int, latents: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Table 3 as the first version of this project had it, whose checkpoints must load."""
    encoder: list[nn.Module] = [nn.Unflatten(-1, (channels, 64, 64))]
    for width_in, width_out in pairwise([channels, 32, 32, 64, 128]):
        encoder += [he(nn.Conv2d(width_in, width_out, 4, stride=2, padding=1), 16 * width_in), nn.ReLU()]
    encoder += [he(nn.Conv2d(128, 256, 4), 2048), nn.ReLU(), nn.Flatten(1), nn.Linear(256, outputs)]
    decoder: list[nn.Module] = [he(nn.ConvTranspose2d(256, 128, 4), 256), nn.ReLU()]
    for width_in, width_out in pairwise([128, 64, 32, 32, channels]):
        doubling = nn.ConvTranspose2d(width_in, width_out, 4, stride=2, padding=1)
        decoder += [he(doubling, 4 * width_in), nn.ReLU()]
    before = nn.Linear(latents, 256), nn.Unflatten(1, (256, 1, 1))
    return nn.Sequential(*encoder), nn.Sequential(*before, *decoder[:-1], nn.Flatten(1))


def weights(network: nn.Module) -> list[tuple[str, Tensor]]:
    return list(network.state_dict().items())


@pytest.mark.parametrize("channels", [1, 3])
def test_at_64_pixels_they_are_those_of_table_3_bit_for_bit(channels: int) -> None:
    torch.manual_seed(0)
    expected = written_out(channels, 90, 45)
    torch.manual_seed(0)
    networks = Convolutional((channels, 64, 64))
    found = networks.encoder(90), networks.decoder(45)
    for one, other in zip(found, expected, strict=True):
        assert [name for name, _ in weights(one)] == [name for name, _ in weights(other)]
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(weights(one), weights(other), strict=True))
    pixels, z = torch.rand(2, channels * 64 * 64), torch.randn(2, 45)
    assert torch.equal(found[0](pixels), expected[0](pixels))
    assert torch.equal(found[1](z), expected[1](z))
    assert kernels(found[0]) == [
        *[(32, channels, 4, 4), (32, 32, 4, 4), (64, 32, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4)],
        (90, 256),
    ]
    assert kernels(found[1])[0] == (256, 45)


@pytest.mark.parametrize("side", SIZES)
@torch.no_grad()
def test_every_side_halves_down_to_a_few_pixels_and_depth_does_not_shrink_what_tells_rows_apart(
    side: int,
) -> None:
    """Torch's own initialisation leaves a thousandth of the differences at 64 pixels, and trainings without progress."""
    torch.manual_seed(0)
    for channels in (1, 3):
        networks = Convolutional((channels, side, side))
        assert networks.rest * 2**networks.halvings == side
        images, latents = torch.rand(6, channels * side * side), torch.randn(6, 45)
        encoder, features, decoder = networks.encoder(9), networks.features(), networks.decoder(45)
        assert encoder(images).shape == (6, 9)
        logits = decoder(latents)
        assert logits.shape == images.shape
        assert features.network(images).shape == (6, features.size)
        assert 0.1 < float(features.network(images).std(0).mean() / images.std(0).mean()) < 3
        assert 0.1 < float(logits.std(0).mean()) < 3


@torch.no_grad()
def test_latents_and_conditions_may_have_any_leading_axes_that_broadcast() -> None:
    networks = Convolutional((1, 28, 28))
    decoder, z = networks.decoder(3), torch.randn(2, 3, 3)
    found = decoder(z)
    assert found.shape == (2, 3, 28 * 28)
    torch.testing.assert_close(found[1, 2], decoder(z[1, 2:])[0])
    assert decoder(torch.randn(1, 0, 3)).shape == (1, 0, 28 * 28)
    conditioned, condition = networks.conditioned_decoder(3, 2), torch.randn(5, 2)
    both = conditioned(z[:, :1], condition)
    assert both.shape == (2, 5, 28 * 28)
    torch.testing.assert_close(both[1, 2], conditioned(torch.cat([z[1, 0], condition[2]])[None])[0])
    assert conditioned(torch.randn(0, 1, 3), condition).shape == (0, 5, 28 * 28)


@torch.no_grad()
def test_pixels_keep_their_positions() -> None:
    """Flat rows are (channel, height, width): a change in one corner of one channel stays near that corner."""
    encoder = Convolutional((3, 64, 64)).encoder(4)
    assert isinstance(encoder, nn.Sequential)
    pixels = torch.rand(1, 3, 64, 64)
    changed = pixels.clone()
    changed[0, 2, :4, :4] = 1 - changed[0, 2, :4, :4]
    first = encoder[0](pixels.flatten(1)), encoder[0](changed.flatten(1))
    moved = (encoder[1](first[0]) - encoder[1](first[1])).abs().sum((0, 1)) > 0
    assert moved[:3, :3].any()
    assert not moved[4:].any()
    assert not moved[:, 4:].any()


@pytest.mark.parametrize("size", [(64, 48), (30, 30), (8, 8), (176, 176)])
def test_other_shapes_are_refused_in_one_sentence(size: tuple[int, int]) -> None:
    height, width = size
    with pytest.raises(
        ConfigError, match=rf"^network=convolutional needs .*; these have {height} x {width} pixels$"
    ):
        Convolutional((1, height, width))
