"""What the explorer computes in a real browser, of every system: the same codes, pictures and readings as torch."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.models.capabilities import HasLabelLatents, KnownLabels
from pipeline.pages.label_controls import numbers
from pipeline.pages.networks_as_layers import NotInPages, add_network
from pipeline.pages.packed import Weights, packed
from pipeline.pages.program import LAYERS, Program
from pipeline.pages.systems_as_layers import programs_of
from tests.pipeline.models.every_system import CASES, DATA, Case
from tests.pipeline.pages.browser import Browser
from tests.pipeline.pages.explored import model_of, pictures_of, write_page

LARGEST_DIFFERENCE = 1e-3
"""Mean absolute difference of pixels in [0, 1], from weights in float16."""
LIKE_VAE = ("beta_tcvae", "dip_vae_i", "dip_vae_ii")
"""Systems that differ from ``beta_vae`` in nothing but their objective."""


DRAWS = """const [label, value, n] = arguments;
let state = 1;
Math.random = () => (state = (state * 16807) % 2147483647) / 2147483647;
return Array.from({ length: n }, () => [...explorer.model.draw(label, value)])"""
"""The same random numbers in every run of the test."""


def one_case_per_system() -> list[Case]:
    """Mixed labels where a system takes them; one in colour, with the convolutions of table 3."""
    found: dict[str, Case] = {}
    for case in CASES:
        if case.system not in ("label_reader", *LIKE_VAE) and (
            case.system not in found or found[case.system].data != case.data == "mixed"
        ):
            found[case.system] = case
    return [*found.values(), Case("ccvae-celeba", "faces")]


@cache
def explored(case: Case) -> nn.Module:
    options = {} if case.system == "mathieu" or case.data == "faces" else {"network": "mlp"}
    return model_of(case, style_size=3, **options)


@pytest.mark.parametrize("case", one_case_per_system(), ids=str)
@torch.no_grad()
def test_the_page_computes_what_torch_does(case: Case, browser: Browser, tmp_path: Path) -> None:
    model: Any = explored(case)
    browser.open(write_page(model, case.shape, tmp_path / "explorer.html"))
    code, pixels = browser.then_shown(
        """explorer.choose(2);
        return [[...explorer.state.code], [...explorer.model.decode(explorer.state.code)]]"""
    )
    image = torch.from_numpy(pictures_of(case.shape).images)[2:3]
    assert np.allclose(code, model.encode(image)[0], atol=5e-3)
    assert difference(pixels, model.decode(torch.tensor([code]))) < LARGEST_DIFFERENCE

    torch.manual_seed(0)
    changed = torch.tensor(code) + torch.randn(len(code))
    drawn, reads = browser.then_shown(
        """explorer.change(arguments[0]);
        return [[...explorer.model.decode(explorer.state.code)], explorer.reads()]""",
        changed.tolist(),
    )
    assert difference(drawn, model.decode(changed[None])) < LARGEST_DIFFERENCE
    canvas = browser.run(
        """const c = document.getElementById("now");
        return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data]"""
    )
    channels, height, width = case.shape.image_shape
    as_bytes = np.array(canvas).reshape(height, width, 4)[..., :channels].transpose(2, 0, 1)
    assert np.abs(as_bytes - 255 * np.array(drawn).reshape(channels, height, width)).max() <= 0.5 + 1e-3
    assert_reads_like_torch(model, case, reads, changed, drawn)
    assert_controls(model, case, browser)


def difference(found: list[float], expected: Tensor) -> float:
    """Mean absolute difference."""
    return float(np.abs(np.array(found) - expected.flatten().numpy()).mean())


def assert_reads_like_torch(
    model: Any, case: Case, reads: list[list[float]] | None, code: Tensor, pixels: list[float]
) -> None:
    """Probabilities of a classifier of codes or pictures."""
    if case.system == "m2":
        expected = [of[0].exp() for of in model.codes.by_label(model.log_q(torch.tensor([pixels])))]
    elif case.system == "mvae":
        expected = [of[0].exp() for of in model.codes.by_label(model.log_p(code[None]))]
    elif hasattr(model, "classifier"):
        log_q = [block[0] for block in model.classifier(model.split(code[None])[0])]
        flat = [one for block in log_q for one in block.unbind(0)]
        expected = [of.exp() for of in model.layout.in_data_order(flat)]
    else:
        assert reads is None
        return
    assert reads is not None
    for found, of_label in zip(reads, expected, strict=True):
        assert np.allclose(found, of_label, atol=2e-3)


def assert_controls(model: Any, case: Case, browser: Browser) -> None:
    """Positions, typical values and draws of labels, and what is left out, are those of the system."""
    data = browser.run("const { programs, ...data } = explorer.data; return data")
    cardinalities = case.shape.cardinalities
    for label, control in enumerate(data["labels"]):
        if not isinstance(model, HasLabelLatents):
            assert control["way"] in ("relabel", "shift", "none")
            continue
        place = model.latents_of(label)
        assert control["place"] == [place.start, place.stop]
        if hasattr(model, "centres"):
            assert control["centres"] == numbers(model.centres(label))
        for value in range(cardinalities[label]):
            draws = torch.tensor(browser.run(DRAWS, label, value, 60), dtype=torch.float32)
            torch.manual_seed(0)
            expected = model.draw(label, torch.full((1,), value, dtype=torch.uint8), 400)[:, 0]
            spread = expected.std(0) + 1e-6
            assert bool(((draws.mean(0) - expected.mean(0)).abs() < 5 * spread / 60**0.5 + 1e-4).all())
            assert bool((draws.std(0) <= 2 * spread + 1e-5).all())
    assert (data["swap"] is not None) == hasattr(model, "swap")
    assert (data["generate"] == "labels") == hasattr(model, "generate")
    limits = browser.run("return [...document.querySelectorAll('#limits li')].map((li) => li.textContent)")
    assert limits == data["limits"]
    assert bool(limits) == (case.system not in ("ccvae", "ccvae_one_per_class", "diva", "diva_original"))


@torch.no_grad()
def test_labels_are_set_swapped_and_generated_as_by_the_system(browser: Browser, tmp_path: Path) -> None:
    """MVAE, whose labels have no place in its code: known labels of the encoder change."""
    case = Case("mvae", "mixed")
    model: Any = explored(case)
    browser.open(write_page(model, case.shape, tmp_path / "explorer.html"))
    image = torch.from_numpy(pictures_of(case.shape).images)
    code, given = browser.then_shown(
        """explorer.choose(3); explorer.relabel(1, 4);
        return [[...explorer.state.code], explorer.state.given]"""
    )
    read = [int(of.argmax()) for of in model.codes.by_label(model.log_p(model.encode(image[3:4])))]
    assert given == [read[0], 4, read[2]]
    known = KnownLabels.all_of(torch.tensor([given], dtype=torch.uint8))
    assert np.allclose(code, model.encode(image[3:4], known)[0], atol=5e-3)
    drawn = torch.tensor(
        browser.run("return Array.from({ length: 200 }, () => [...explorer.model.generate([1, 2, 0])])")
    )
    of_labels = model.label_experts(model.codes.code(torch.tensor([[1, 2, 0]], dtype=torch.uint8)))
    mean, scale = of_labels.posterior()
    assert bool(((drawn.mean(0) - mean[0]).abs() < 5 * scale[0] / 200**0.5).all())
    address = browser.run("return location.hash")
    browser.open(tmp_path / "explorer.html", address)
    assert browser.run("return [...explorer.state.code]") == pytest.approx(code, abs=1e-4)


class Unusual(nn.Sequential):
    """Every further layer that a network of the user's may have."""

    def __init__(self) -> None:
        super().__init__(
            nn.Unflatten(-1, (2, 9, 8)),
            nn.Conv2d(2, 6, (3, 2), stride=(2, 1), padding=(1, 0), bias=False),
            nn.BatchNorm2d(6),
            nn.GELU(),
            nn.GroupNorm(3, 6),
            nn.SiLU(),
            nn.MaxPool2d(2, stride=1),
            nn.ConvTranspose2d(6, 4, 3, stride=(2, 3), padding=1, output_padding=(1, 2)),
            nn.ELU(),
            nn.Conv2d(4, 4, 3, padding="same"),
            nn.Softplus(),
            nn.Upsample(scale_factor=(2, 1)),
            nn.AvgPool2d(2),
            nn.LeakyReLU(0.1),
            nn.Dropout(),
            nn.Flatten(),
            nn.LayerNorm(288),
            nn.Linear(288, 12),
            nn.Tanh(),
            nn.Unflatten(1, (3, 2, -1)),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Sigmoid(),
        )


@torch.no_grad()
def test_every_layer_of_an_own_network_runs(browser: Browser, tmp_path: Path) -> None:
    case = Case("vae", "digits")
    torch.manual_seed(0)
    network = nn.Sequential(*Unusual()).eval()
    normalisation: Any = network[2]
    normalisation.running_mean.normal_()
    normalisation.running_var.uniform_(0.5, 2)
    pixels = torch.rand(1, 144)
    program, weights = Program(), Weights()
    add_network(program, network, program.takes("pixels", 144))
    browser.open(write_page(explored(case), case.shape, tmp_path / "explorer.html"))
    found = browser.run(
        "return [...network(arguments[0], bytesOf(arguments[1]))({ pixels: arguments[2] })]",
        packed(program, weights),
        weights.as_text(),
        pixels[0].tolist(),
    )
    assert np.allclose(found, network(pixels)[0], atol=1e-5)


def test_every_kind_of_layer_is_among_those_that_ran():
    programs = [Program()]
    add_network(programs[0], nn.Sequential(*Unusual()).eval(), programs[0].takes("pixels", 144))
    for case in one_case_per_system():
        of_system = programs_of(explored(case), case.shape.pixels, case.shape.cardinalities)
        programs += [
            each
            for each in (of_system.encode, of_system.decode, of_system.read, of_system.label_posterior)
            if each is not None
        ]
    assert {layer.kind for program in programs for layer in program.layers} == set(LAYERS)


class OfTheirOwn(nn.Module):
    """A network with a forward of its own."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels


def test_what_a_page_cannot_run_is_told_in_one_sentence():
    case = Case("vae", "digits")
    model = model_of(case)
    model.decoder = OfTheirOwn()
    with pytest.raises(NotInPages, match=r"^a page cannot run the layer OfTheirOwn$"):
        programs_of(model, case.shape.pixels, case.shape.cardinalities)
    reader = Case("label_reader", "digits").build()
    with pytest.raises(NotInPages, match=r"^a page cannot run the system LabelReader$"):
        programs_of(reader, DATA["digits"].pixels, DATA["digits"].cardinalities)
