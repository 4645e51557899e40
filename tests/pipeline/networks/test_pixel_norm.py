"""The networks of Rb-VAE's appendix A.4."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn

from pipeline.networks.convolutional import SIZES
from pipeline.networks.pixel_norm import PixelNorm, PixelNormalised


def layers(network: nn.Module) -> Counter[str]:
    return Counter(type(layer).__name__ for layer in network.modules())


@pytest.mark.parametrize("side", SIZES)
@torch.no_grad()
def test_every_side_has_encoder_and_decoder_of_the_papers_blocks(side: int) -> None:
    torch.manual_seed(0)
    networks, rows = PixelNormalised((3, side, side)), 8
    encoder, decoder = networks.encoder(32), networks.decoder(64)
    images, latents = torch.rand(rows, 3 * side * side), torch.randn(rows, 64)
    assert encoder(images).shape == (rows, 32)
    logits = decoder(latents)
    assert logits.shape == images.shape
    assert 0.1 < float(logits.std(0).mean()) < 4
    blocks = networks.halvings
    for network, resampling in ((encoder, "AvgPool2d"), (decoder, "Upsample")):
        found = layers(network)
        assert {found[name] for name in ("Conv2d", "LeakyReLU", "PixelNorm", resampling)} == {blocks}
    slopes = {each.negative_slope for each in decoder.modules() if isinstance(each, nn.LeakyReLU)}
    assert slopes == {0.2}


@torch.no_grad()
def test_images_are_between_minus_1_and_1_inside_and_the_decoder_ends_in_a_hyperbolic_tangent() -> None:
    torch.manual_seed(0)
    networks = PixelNormalised((1, 64, 64))
    encoder, decoder = networks.encoder(2), networks.decoder(5)
    seen: list[torch.Tensor] = []
    first = next(each for each in encoder.modules() if isinstance(each, nn.Conv2d))
    first.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    *_, last = (each for each in decoder.modules() if isinstance(each, nn.Conv2d))
    last.register_forward_hook(lambda _, __, output: seen.append(output))
    pixels = torch.rand(2, 64 * 64)
    encoder(pixels)
    image = 2 * decoder(torch.randn(2, 5)).sigmoid() - 1
    torch.testing.assert_close(seen[0], (2 * pixels - 1).view(2, 1, 64, 64))
    torch.testing.assert_close(image, seen[1].tanh().flatten(1))


def test_pixel_norm_divides_by_the_root_mean_square_over_channels_in_full_precision_under_autocast() -> None:
    values = 300 * torch.randn(2, 5, 3, 3)
    expected = values / values.square().mean(1, keepdim=True).sqrt()
    torch.testing.assert_close(PixelNorm()(values), expected)
    narrow = PixelNorm()(values.to(torch.bfloat16))
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.float(), expected, rtol=0.02, atol=0.01)
