"""The report of a sweep in a real browser: sorted, filtered, copied, pointed at, opened; and one of a thousand cells."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from pipeline.pages.report_page import report_page
from tests.pipeline.pages.browser import Browser
from tests.pipeline.pages.explored import EVIL
from tests.pipeline.pages.reported import reported

NAMES = (
    "return [...document.querySelectorAll('#cells tbody th')].map((th) => th.textContent.split('-seed')[0])"
)
TYPE = """const input = document.querySelector(arguments[0]);
input.value = arguments[1];
input.dispatchEvent(new Event(arguments[2] || "input", { bubbles: true }))"""
PRESS = """[...document.querySelectorAll(arguments[0])].find((each) => each.textContent === arguments[1]).click()"""
CLIPBOARD = """window.clipboard = "";
Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => (window.clipboard = text) } })"""
TIP = "return document.querySelector(arguments[0] + ' .tip').textContent"
LINES = "return document.querySelectorAll('#curves .plot path').length"


def test_a_report_sorts_filters_copies_and_tells_values(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(report_page(reported(8)), encoding="utf-8")
    browser.open(page)
    assert browser.driver.title == EVIL
    assert browser.run("return document.getElementById('title').textContent") == EVIL
    assert browser.run("return document.querySelectorAll('script').length") == browser.run(
        "return document.documentElement.outerHTML.split('</script>').length - 1"
    )

    # Sorting: by number, what is missing last in both directions; by name.
    browser.run(PRESS, "#cells thead button", "metric 0")
    assert browser.run("return [...document.querySelectorAll('#cells tbody tr')].at(-1).textContent").count(
        "failed"
    )
    upwards = browser.run(NAMES)
    browser.run(PRESS, "#cells thead button", "metric 0")
    assert browser.run(NAMES)[:-1] == upwards[:-1][::-1]
    assert browser.run("return document.querySelectorAll('#cells [aria-sort=descending]').length") == 1

    # A filter is of the curves and figures too, and CSV has what is shown.
    assert browser.run(LINES) == 8
    browser.run(TYPE, "#cells input[type=search]", "done f0.06")
    assert len(browser.run(NAMES)) == browser.run(LINES) == 1
    assert browser.run("return document.querySelectorAll('#figures figure').length") == 2
    browser.run(TYPE, "#cells input[type=search]", "SCRIPT")
    browser.run(CLIPBOARD)
    browser.run(PRESS, "#cells button", "copy as CSV")
    browser.wait("return window.clipboard")
    header, row = csv.reader(io.StringIO(browser.run("return window.clipboard")))
    assert header == ["cell", "state", "why", "time", "explorer", "metric 0", "metric 1"]
    assert row[0].endswith(EVIL)
    assert row[3] == "7200"
    assert "is copied" in browser.run("return document.getElementById('told').textContent")
    browser.run(TYPE, "#cells input[type=search]", "")

    # Values under the pointer, and with the arrow keys.
    plot = browser.driver.find_element(By.CSS_SELECTOR, "#rates .plot svg")
    browser.driver.execute_script("arguments[0].scrollIntoView({ block: 'center' })", plot)
    marks = browser.driver.find_elements(By.CSS_SELECTOR, "#rates .plot svg circle:not(.spot)")
    ActionChains(browser.driver).move_to_element(marks[1]).perform()
    assert browser.run(TIP, "#rates").startswith(
        "system 0\nf = 0.06: 0.51 ± 0.01 (n = 3, 3 epochs)\npaper 0.9"
    )
    plot.send_keys(Keys.ARROW_RIGHT)
    assert "f = 0.2" in browser.run(TIP, "#rates")
    browser.run(PRESS, "#rates .legend button", "ccvae, Joy et al. 2021")
    assert browser.run("return document.querySelectorAll('#rates .plot .dashed').length") == 0
    browser.run(TYPE, "[aria-label=Term]", "1", "change")
    browser.run(TYPE, "[aria-label='From epoch']", "30")
    assert "NaN" not in browser.run("return document.querySelector('#curves svg').outerHTML")

    # A figure, the next one, and back.
    browser.run("document.querySelector('#figures button').click()")
    browser.wait("return document.getElementById('large').complete")
    assert browser.run("return document.getElementById('large').naturalWidth") == 40
    browser.run("document.getElementById('whole').click()")
    assert browser.run("return document.getElementById('large').width") == 40
    viewed = "return document.getElementById('viewed').textContent"
    assert "figure 0 (1 of 16)" in browser.run(viewed)
    browser.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert "figure 1 (2 of 16)" in browser.run(viewed)
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not browser.run("return document.getElementById('viewer').open")


def test_a_report_of_a_thousand_cells_opens(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    text = report_page(reported(1000, metrics=60, terms=12, points=300, figures=9))
    page.write_text(text, encoding="utf-8")
    size = page.stat().st_size
    assert 10e6 < size < 20e6
    browser.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    browser.open(page)
    paint = browser.run("return performance.getEntriesByType('paint')[0].startTime")
    metrics = {
        each["name"]: each["value"]
        for each in browser.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    }
    browser.driver.execute_cdp_cmd("Performance.disable", {})
    print(
        f"{size / 1e6:.1f} MB; first paint after {paint:.0f} ms; {metrics['TaskDuration']:.2f} s of CPU time"
    )
    assert browser.run(NAMES)[0] == "ccvae-digits-f0.004"
    assert "1,000 rows" in browser.run("return document.querySelector('#cells .count').textContent")
    browser.run(TYPE, "#cells input[type=search]", "seed7-")
    assert len(browser.run(NAMES)) == browser.run(LINES) == 8
