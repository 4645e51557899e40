"""A network of the user's own does what ours do, and each way not to keep the contract is one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from data_prep.errors import ConfigError
from pipeline.networks.own import OwnNetworks
from tests.pipeline.networks.own_networks import SMALL, write_package, write_small

IMAGE = (3, 28, 20)


@pytest.mark.parametrize("write", [write_small, write_package])
@torch.no_grad()
def test_it_takes_and_returns_flat_rows_like_ours(tmp_path: Path, write: object) -> None:
    assert callable(write)
    before = torch.random.get_rng_state()
    networks = OwnNetworks(write(tmp_path), IMAGE, 7)
    assert torch.equal(torch.random.get_rng_state(), before)
    pixels = torch.rand(4, networks.pixels)
    encoder, features = networks.encoder(9).eval(), networks.features()
    assert encoder(pixels).shape == (4, 9)
    assert (features.network(pixels).shape, features.size) == ((4, 7), 7)
    decoder, z = networks.decoder(5).eval(), torch.randn(2, 3, 5)
    found = decoder(z)
    assert found.shape == (2, 3, networks.pixels)
    torch.testing.assert_close(found[1, 2], decoder(z[1, 2:])[0])
    conditioned = networks.conditioned_decoder(5, 2).eval()
    assert conditioned(z[:, :1], torch.randn(6, 2)).shape == (2, 6, networks.pixels)
    assert conditioned(torch.randn(0, 1, 5), torch.randn(6, 2)).shape == (0, 6, networks.pixels)


@pytest.mark.parametrize(("write", "module"), [(write_small, "mine.py"), (write_package, "blocks/layers.py")])
def test_two_versions_of_a_source_live_next_to_each_other_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], str], module: str
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    choice = write(tmp_path)
    widths = []
    for width in ("20", "30"):
        path = tmp_path / module
        path.write_text(path.read_text().replace("20", width))
        os.utime(path, (1e9, 1e9))  # Python's kept bytecode knows a version by size and second
        widths.append(next(OwnNetworks(choice, IMAGE, 7).encoder(2).parameters()).shape[0])
    assert widths == [20, 30]


ENCODER = "nn.Sequential(nn.Flatten(), nn.LazyLinear(20), nn.ELU(), nn.Dropout(0.1), nn.Linear(20, outputs))"
KEEPS_ONE = "self.__dict__.setdefault('one', nn.Sequential(nn.Flatten(), nn.Linear(1680, 6)))"
NORMALISED = "torch.nn.utils.parametrizations.spectral_norm(nn.Linear(20, outputs))"
WITH_SPARE = "self.spare(nn.Linear(20, outputs))"
SPARE = """
    def spare(self, layer):
        layer.register_parameter("spare", nn.Parameter(torch.zeros(1)))
        return layer
"""


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("class Small", "class Other", r"mine\.py has no class Small"),
        ("import torch", "import torhc", r"importing it fails: ModuleNotFoundError: No module named 'torhc' \(.*:3\)"),
        ("image_shape):", "shape, width):", r"calling it with \(3, 28, 20\) fails: TypeError: .* 'width' \(.*\)"),
        ("def encoder", "def encode", "it has no method encoder"),
        ("nn.LazyLinear", "nn.Linear", r"encoder\(6\) fails: TypeError: .* 'out_features' \(.*mine\.py:11\)"),
        (ENCODER, "outputs", r"encoder\(6\) returns int, which is no torch\.nn\.Module"),
        ("(20, outputs)", "(20, 1)", r"encoder\(6\) returns \(3, 1\) for .* \(3, 3, 28, 20\); it must return \(3, 6\)"),
        (", nn.Unflatten(1, self.image_shape)", "", r"decoder\(5\) returns .*; it must return \(3, 3, 28, 20\)"),
        ("Linear(latents", "Linear(1 + latents", r"decoder\(5\) fails for inputs of shape \(3, 5\): RuntimeError: .*"),
        ("nn.ELU()", "nn.BatchNorm1d(20)", r"encoder\(6\) returns another output for a row if other rows change, .*"),
        ("nn.Linear(20, outputs)", NORMALISED, r"encoder\(6\) changes its buffer .* when called, .*"),
        ("nn.Unflatten(1", "nn.Threshold(9e9, float('nan')), nn.Unflatten(1", r"decoder\(5\) .* not finite"),
        (ENCODER, KEEPS_ONE, r"encoder\(6\) returns the same parameters again; each call must make a new network"),
        ("nn.ELU()", "nn.PReLU(init=__import__('random').random())", r"two of encoder\(6\) .* differ; .*"),
        ("nn.Linear(20, outputs)", WITH_SPARE, r"encoder\(6\) does not use its parameter 4\.spare"),
    ],
)  # fmt: skip
def test_what_does_not_keep_the_contract_is_refused_in_one_sentence(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    assert old in SMALL
    choice = write_small(tmp_path, text=SMALL.replace(old, new) + SPARE)
    with pytest.raises(ConfigError, match=f"^network {tmp_path}/mine.py:Small: (?:{sentence})$"):
        OwnNetworks(choice, IMAGE, 7)
