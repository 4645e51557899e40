"""Runs compared by clicking, in MLflow's own pages from a real ``mlflow server``."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.entities import Metric, Param

from pipeline.tracking import start_sweep
from pipeline.tracking.store import connect
from pipeline.tracking.sweep_run import PARENT
from tests.pipeline.pages.browser import Browser
from tests.pipeline.tracking.stores import Server, quiet_mlflow

LINK = "[...document.querySelectorAll('[row-id] a')].find((a) => a.textContent === arguments[0])"
OPEN = f"{LINK}.closest('[row-id]').querySelector('button').click()"
TICK = f"{LINK}.closest('[row-id]').querySelector('input[type=checkbox]').click()"
PRESS = """const found = [...document.querySelectorAll("button")].find((each) => each.textContent.trim() === arguments[0]);
if (found) found.click();
return Boolean(found)"""
SWITCH = """const found = document.querySelector('[aria-label="Parameters - Show diff only"]');
if (found) found.click();
return Boolean(found)"""
SETTINGS = """return [...document.querySelectorAll("tr")].map((row) => row.innerText.split("\\t"))
  .filter(([name]) => ["model.system", "seed"].includes(name))"""


@quiet_mlflow
@pytest.mark.slow(20)
def test_four_ticked_runs_show_what_differs_and_their_accuracies(chromium: Browser, tmp_path: Path) -> None:
    server = Server(tmp_path)
    sweep = start_sweep(server.database, "traitvae", "digits", {})
    client = connect(server.database)
    for seed in range(4):
        tags = {PARENT: sweep.parent_run_id, "mlflow.runName": f"ccvae-seed{seed}"}
        run = client.create_run(sweep.experiment_id, tags=tags).info.run_id
        accuracy = Metric("test/classification_accuracy", 0.81 + seed / 100, 0, 0)
        client.log_batch(
            run, metrics=[accuracy], params=[Param("seed", f"{seed}"), Param("model.system", "ccvae")]
        )
    try:
        server.start()
        # Wide enough for four columns: MLflow draws only those that are in sight.
        wide = {"width": 2400, "height": 1600, "deviceScaleFactor": 1, "mobile": False}
        chromium.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", wide)
        runs = f"{server.uri}/#/experiments/{sweep.experiment_id}?workflowType=machine_learning"
        chromium.driver.get(runs)
        chromium.wait(f"return {LINK}", "digits")
        chromium.run(OPEN, "digits")
        for seed in range(4):
            chromium.wait(f"return {LINK}", f"ccvae-seed{seed}")
            chromium.run(TICK, f"ccvae-seed{seed}")
        chromium.wait(PRESS, "Compare")
        chromium.wait(f"return ({SETTINGS.removeprefix('return ')}).length === 2")
        chromium.wait(SWITCH)
        chromium.wait(f"return ({SETTINGS.removeprefix('return ')}).length === 1")
        ((name, *seeds),) = chromium.run(SETTINGS)
        assert name == "seed"
        assert sorted(seeds) == ["0", "1", "2", "3"]
        for text in ("test/classification_accuracy", "0.81", "0.82", "0.83", "0.84"):
            chromium.wait("return document.body.innerText.includes(arguments[0])", text)
    finally:
        chromium.driver.get("about:blank")
        chromium.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        server.close()
