"""What the tests of pages do in a browser."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

LONGEST_S = 60.0
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # root, as in CI
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1200,900",
)
OWN = ("file:", "data:", "blob:")
"""What a page may load: itself, and what is in it."""


@dataclass(frozen=True)
class Browser:
    """A started browser."""

    driver: webdriver.Chrome

    @classmethod
    def started(cls) -> Browser:
        """A new one, which records requests and what is written to the console."""
        options = Options()
        options.binary_location = str(shutil.which("chromium"))
        for argument in ARGUMENTS:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        return cls(webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver")))))

    def open(self, page: Path, address: str = "") -> None:
        """Load a page anew, and wait for its first picture."""
        self.driver.get("about:blank")
        self.driver.get(f"{page.as_uri()}{address}")
        self.wait("return document.body.dataset.shown")

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: str, *arguments: Any) -> Any:
        """What a script returns, once that is true."""
        return until(lambda: self.run(condition, *arguments))

    def then_shown(self, script: str, *arguments: Any) -> Any:
        """What a script returns, once the page has drawn what follows from it."""
        before = self.run("return Number(document.body.dataset.shown)")
        found = self.run(script, *arguments)
        self.wait("return Number(document.body.dataset.shown) > arguments[0]", before)
        return found

    def forget(self) -> None:
        """Empty the records."""
        self.driver.get_log("performance")
        self.driver.get_log("browser")

    def requests(self) -> list[str]:
        """The addresses outside of the page that were requested since."""
        found = []
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                url = event["params"]["request"]["url"]
                found += [] if url.startswith((*OWN, "about:", "chrome:")) else [url]
        return found

    def complaints(self) -> list[str]:
        """What was written to the console since."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


def until(done: Callable[[], Any]) -> Any:
    """The first true result of a function that is called again and again."""
    end = time.monotonic() + LONGEST_S
    while not (found := done()):
        assert time.monotonic() < end, "the page does not get there"
        time.sleep(0.02)
    return found
