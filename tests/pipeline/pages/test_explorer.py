"""The explorer in a real browser: everything that can be pressed, moved, dropped and shared, and what it may not do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from torch import nn

from pipeline.models.parts.latent_algebra import straight_path, surface, swapped, with_latents
from tests.pipeline.models.every_system import DATA, Case
from tests.pipeline.pages.browser import Browser
from tests.pipeline.pages.explored import EVIL, model_of, pictures_of, write_page

CASE = Case("ccvae", "mixed")
"""Two binary labels and one of five values, of 28 x 28 pixels."""
CODE = "return [...explorer.state.code]"
PRESS = "document.querySelector(arguments[0]).click()"
MOVE = """const input = document.querySelector(arguments[0]);
input.value = arguments[1];
input.dispatchEvent(new Event("input", { bubbles: true }))"""
CHOOSE = """const select = document.querySelector(arguments[0]);
select.value = arguments[1];
select.dispatchEvent(new Event("change", { bubbles: true }))"""


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return model_of(CASE, style_size=3)


@pytest.fixture(scope="module")
def page(model: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(model, CASE.shape, tmp_path_factory.mktemp("page") / "explorer.html")


def code(browser: Browser) -> torch.Tensor:
    return torch.tensor(browser.run(CODE), dtype=torch.float32)


def named(name: str) -> str:
    """The selector of what screen readers call so."""
    escaped = name.replace('"', '\\"')
    return f'[aria-label="{escaped}"]'


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> bool:
    return torch.allclose(found, expected.flatten(), atol=tolerance)


@torch.no_grad()
def test_every_control_changes_the_code_as_the_algebra_does(browser: Browser, page: Path, model: Any) -> None:
    browser.open(page)
    thumbs = browser.driver.find_elements(By.CSS_SELECTOR, "#thumbs button")
    assert len(thumbs) == 6
    browser.then_shown("document.querySelectorAll('#thumbs button')[4].click()")
    start = code(browser)
    assert close(start, model.encode(torch.from_numpy(pictures_of(CASE.shape).images[4:5])), 5e-3)
    assert thumbs[4].get_attribute("aria-pressed") == "true"

    # A binary label: the slider, its number, a draw, and back.
    first, place = EVIL, model.latents_of(0)
    slider = named(f"{first}: from value 0 to value 1")
    off, on = model.centres(0)
    browser.then_shown(MOVE, slider, "1.5")
    assert close(code(browser), with_latents(start, place, off + 1.5 * (on - off)))
    browser.then_shown(MOVE, named(f"{first}: from value 0 to value 1, as a number"), "0.25")
    assert close(code(browser), with_latents(start, place, off + 0.25 * (on - off)))
    assert "0.25 of the way" in browser.run(
        "return document.querySelector(arguments[0]).getAttribute('aria-valuetext')", slider
    )
    browser.then_shown(PRESS, named(f"Draw {first}: value 1"))
    once = code(browser)
    browser.then_shown(PRESS, named(f"Draw {first}: value 1"))
    again = code(browser)
    assert once[place] != again[place]
    assert close(with_latents(again, place, start[place]), start, 1e-6)
    browser.then_shown(PRESS, named(f"Reset {first}"))
    assert close(code(browser), start, 1e-6)

    # A label of several values, another binary one at the same time, one latent, and all back.
    browser.then_shown(CHOOSE, named("label 1: from"), "2")
    browser.then_shown(CHOOSE, named("label 1: to"), "4")
    centres = model.centres(1)
    browser.then_shown(MOVE, named("label 1: from value 2 to value 4"), "0.5")
    expected = with_latents(start, model.latents_of(1), (centres[2] + centres[4]) / 2)
    assert close(code(browser), expected)
    off, on = model.centres(2)
    browser.then_shown(MOVE, named("label 2: from value 0 to value 1"), "-0.5")
    expected = with_latents(expected, model.latents_of(2), off - 0.5 * (on - off))
    assert close(code(browser), expected)
    browser.run("document.getElementById('latents').open = true")
    browser.then_shown(MOVE, named("Latent style 2"), "3")
    style = model.layout.latents + 1
    expected = with_latents(expected, slice(style, style + 1), torch.tensor([3.0]))
    assert close(code(browser), expected)
    shared = browser.run("return location.hash")
    assert browser.run("return document.querySelectorAll('.reads')[1].textContent").startswith(
        "read as value"
    )
    browser.then_shown(PRESS, "#reset")
    assert close(code(browser), start, 1e-6)

    # The address brings all of it back, in a page that was just opened and in one that is open.
    browser.open(page, shared)
    assert close(code(browser), expected, 1e-3)
    browser.then_shown("location.hash = '#p=1'")
    assert close(code(browser), model.encode(torch.from_numpy(pictures_of(CASE.shape).images[1:2])), 5e-3)
    browser.open(page, "#p=77&c=999:1,x:2,3:nothing&y=9&q=-1")
    assert browser.run("return [explorer.state.picture, explorer.state.other]") == [0, None]


@torch.no_grad()
def test_planes_walks_swaps_and_drawn_pictures(browser: Browser, page: Path, model: Any) -> None:
    browser.open(page)
    images = torch.from_numpy(pictures_of(CASE.shape).images)
    codes = model.encode(images)
    browser.run("document.querySelectorAll('details').forEach((each) => (each.open = true))")

    # Two labels across and down, by pointer and by slider; then the corners of one label.
    start = code(browser)
    browser.run(CHOOSE, named("Plane: label down"), "2")
    browser.then_shown(
        """const pad = document.querySelector(".pad"), box = pad.getBoundingClientRect();
        const at = { clientX: box.left + box.width * 0.75, clientY: box.top + box.height * 0.25, pointerId: 1 };
        pad.setPointerCapture = () => {};
        pad.dispatchEvent(new PointerEvent("pointerdown", at))"""
    )
    (off, on), (up, down) = model.centres(0), model.centres(2)
    expected = with_latents(start, model.latents_of(0), off + 1.0 * (on - off))
    expected = with_latents(expected, model.latents_of(2), up + 0.0 * (down - up))
    assert close(code(browser), expected, 2e-2)
    browser.then_shown(MOVE, named("Plane: down"), "1.5")
    expected = with_latents(expected, model.latents_of(2), up + 1.5 * (down - up))
    assert close(code(browser), expected, 2e-2)
    browser.run(CHOOSE, named("Plane of"), "1")
    for corner, value in (("above right", "3"), ("below left", "4")):
        browser.run(CHOOSE, named(f"Plane: corner {corner}"), value)
    browser.then_shown(MOVE, named("Plane: across"), "0.25")
    browser.then_shown(MOVE, named("Plane: down"), "1")
    corners = model.centres(1)[[0, 3, 4, 3]].unflatten(0, (2, 2))
    assert close(code(browser)[model.latents_of(1)], surface(corners, 2, 5)[1, 1])

    # From one picture to another.
    browser.then_shown("document.querySelectorAll('#thumbs button')[5].click()")
    browser.then_shown(PRESS, "#walk .values button")
    browser.then_shown("document.querySelectorAll('#thumbs button')[2].click()")
    browser.then_shown(MOVE, named("Share of the way to the other picture"), "0.25")
    assert close(code(browser), straight_path(codes[2], codes[5], 5)[1], 5e-3)
    browser.wait("return document.querySelector('#walk .strip').dataset.done")

    # The chosen picture gives its characteristics in the second column.
    browser.run(PRESS, named("Take the chosen picture here, for its characteristics: above 2"))
    browser.wait("return Number(document.querySelector('.swaps').dataset.done) >= 2")
    shown = browser.run(
        """const c = document.querySelectorAll(".swaps canvas[role=img]")[5];
        return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data].filter((_, i) => i % 4 === 0)"""
    )
    pictures = model.decode(swapped(codes[2:3], codes[5:6], model.characteristics))
    assert np.abs(np.array(shown) / 255 - pictures.flatten().numpy()).mean() < 3e-3

    # From labels alone.
    browser.run(CHOOSE, named("Generate with label 1"), "3")
    browser.run("[...document.querySelectorAll('#generate button')].find((b) => !b.className).click()")
    browser.wait("return document.querySelector('#generate .strip').dataset.done")
    browser.then_shown(PRESS, named("Explore drawn picture 3"))
    drawn = code(browser)
    mean, scale = (of[3] for of in model.conditional_prior.of_label(1))
    assert bool(((drawn[model.latents_of(1)] - mean).abs() < 6 * scale).all())
    assert browser.run("return document.getElementById('original').parentElement.hidden") is True
    address = browser.run("return location.hash")
    browser.open(page, address)
    assert close(code(browser), drawn, 1e-3)


@torch.no_grad()
def test_a_picture_of_ones_own_is_opened_dropped_and_saved(
    browser: Browser, page: Path, model: Any, tmp_path: Path
) -> None:
    browser.open(page)
    half = np.zeros((60, 90), dtype=np.uint8)
    half[:, 45:] = 200
    Image.fromarray(half).save(tmp_path / "mine.png")
    browser.driver.find_element(By.ID, "file").send_keys(str(tmp_path / "mine.png"))
    browser.wait("return explorer.state.picture === null && document.getElementById('told').textContent")
    pixels = torch.tensor(browser.run("return [...explorer.state.pixels]")).reshape(1, 1, 28, 28)
    assert float((pixels[0, 0, :, :13] - 0).abs().max()) < 0.02
    assert float((pixels[0, 0, :, 15:] - 200 / 255).abs().max()) < 0.02
    assert close(code(browser), model.encode((pixels * 255).round().to(torch.uint8)), 2e-2)

    browser.run(
        """const canvas = document.createElement("canvas");
        canvas.width = canvas.height = 40;
        canvas.toBlob((blob) => {
          const dropped = new DataTransfer();
          dropped.items.add(new File([blob], "dropped.png", { type: "image/png" }));
          document.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
        })"""
    )
    browser.wait("return document.getElementById('told').textContent.startsWith('dropped.png is cut')")
    browser.run(
        """const dropped = new DataTransfer();
        dropped.items.add(new File(["no picture"], "notes.txt", { type: "text/plain" }));
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }))"""
    )
    browser.wait("return document.getElementById('told').textContent.includes('no picture')")

    saved = """const links = [];
    HTMLAnchorElement.prototype.click = function () { links.push([this.download, this.href.split(":")[0]]); };
    window.saved = links;
    document.getElementById("save").click();
    document.getElementById("save-both").click()"""
    browser.run(saved)
    browser.wait("return window.saved.length === 2")
    assert browser.run("return window.saved") == [["changed.png", "blob"], ["pictures.png", "blob"]]


def test_names_stay_text_and_nothing_can_be_requested(chromium: Browser, page: Path) -> None:
    """Its own policy forbids what the test tries: the complaints of the browser are the proof."""
    chromium.forget()
    chromium.open(page)
    title, heading, legend = chromium.run(
        """return [document.title, document.querySelector("h1").textContent, document.querySelector("legend").textContent]"""
    )
    assert (title, heading, legend) == (f"{EVIL}: explorer", EVIL, EVIL)
    assert chromium.complaints() == []
    outcome = chromium.driver.execute_async_script(
        """const done = arguments[arguments.length - 1];
        const code = document.createElement("script");
        code.textContent = "window.injected = true";
        document.body.append(code);
        const picture = new Image();
        picture.src = "http://127.0.0.1:9/picture.png";
        fetch("http://127.0.0.1:9/data").then(() => done("fetched"), () => done(String(window.injected)))"""
    )
    assert outcome == "undefined"
    assert any("Content Security Policy" in complaint for complaint in chromium.complaints())
    chromium.forget()


def test_it_is_used_by_keyboard_on_a_narrow_dark_screen(browser: Browser, page: Path) -> None:
    driver: Any = browser.driver
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    try:
        browser.open(page)
        browser.run("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        assert browser.run("return document.documentElement.scrollWidth") <= 400
        assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(21, 22, 26)"
        nameless = browser.run(
            """return [...document.querySelectorAll("input, select, button, canvas[role=img]")]
            .filter((each) => !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length))
            .map((each) => each.outerHTML)"""
        )
        assert nameless == []
        slider = driver.find_element(By.CSS_SELECTOR, named("label 2: from value 0 to value 1"))
        before = browser.run(CODE)
        slider.send_keys(Keys.ARROW_RIGHT)
        browser.wait("return JSON.stringify([...explorer.state.code]) !== arguments[0]", str(before))
        assert browser.run("return document.activeElement.type") == "range"
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_model_that_needs_labels_takes_those_of_its_pictures_and_no_other_picture(
    browser: Browser, tmp_path: Path
) -> None:
    case = Case("csvae", "mixed")
    needy = model_of(case, network="mlp", hidden_labels=0.0)
    browser.open(write_page(needy, case.shape, tmp_path / "explorer.html"))
    assert browser.run("return explorer.known(0)") == pictures_of(DATA["mixed"]).labels[0].tolist()
    browser.run(
        """const dropped = new DataTransfer();
        dropped.items.add(new File(["x"], "x.png"));
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }))"""
    )
    browser.wait("return document.getElementById('told').textContent.includes('known labels only')")
