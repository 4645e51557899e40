"""A real browser, started once for the tests of pages: Debian's Chromium without a window, driven by selenium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.pipeline.pages.browser import Browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser; where there is none, its tests are skipped, or fail if TRAITVAE_REQUIRE_BROWSER is set."""
    missing = [program for program in ("chromium", "chromedriver") if shutil.which(program) is None]
    if missing:
        sentence = f"{' and '.join(missing)} not found (setup/debian-packages.txt)"
        if os.environ.get("TRAITVAE_REQUIRE_BROWSER"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    browser = Browser.started()
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser, of which nothing may have been requested from elsewhere, nor anything complained of, at the end."""
    chromium.forget()
    yield chromium
    assert chromium.requests() == []
    assert chromium.complaints() == []
