"""A short task on a node: are the folders, the code and the tracking store visible there as they are here?"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from launch.clusters.resources import Resources
from launch.clusters.slurm import node_probe
from launch.clusters.slurm.findings import Finding
from launch.clusters.slurm.nodes import nodes_of
from launch.clusters.slurm.setup_lines import checked_lines
from pipeline.node_name import is_loopback, loopback_sentence
from pipeline.tracking.address import public_uri, sqlite_file
from pipeline.tracking.server import server_of

MINUTES = 2
SECONDS_TO_WRITE_BACK = 10.0
_WANTS_GPUS = re.compile(r"\b(gpus?|gres|tres)\b", re.I)
_SETUP_FAILED = "TRAITVAE-SETUP "
_PEERS = 16
"""How many nodes' names are looked up on a node."""
_WHERE = ("reservation", "exclude", "nodelist")
"""Further options that select the node; srun has them under the same names."""


def check_on_a_node(
    resources: Resources, *, folder: Path, data: Sequence[Path], tracking: str | None, code: Path, wait_s: int = 20,
    option: str = "--runs",
) -> list[Finding]:  # fmt: skip
    """Run one small task and evaluate what it sees; a warning if no node is free within ``wait_s`` seconds.

    Writes two small files in ``folder``, a sweep's or a data set's for its jobs, which is made if it is missing, and
    removes them. ``tracking`` is None if jobs need no store. ``option`` is the flag that sets the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(8)
    file = folder / f".probe-{token}"
    store_file = None if tracking is None else sqlite_file(tracking)
    request = {
        "file": str(file),
        "token": token,
        "folders": [str(needed) for needed in data if needed.is_dir()],
        "code": str(code),
        "store_file": str(store_file) if store_file and store_file.is_file() else None,
        "server": {} if tracking is None else server_of(tracking),
        "peers": [node.name for node in nodes_of(resources.partition)[:_PEERS]]
        if over_network(resources)
        else [],
    }
    back = file.with_name(f"{file.name}.back")
    try:
        file.write_text(token)
        seen, failed = _on_a_node(resources, request, wait_s)
        if seen is None:
            return [failed] if failed else []
        came_back = seen["shared"] and seen["write_error"] is None and _appears(back, token)
    finally:
        file.unlink(missing_ok=True)
        back.unlink(missing_ok=True)
    findings = judged(seen, request, tracking=tracking, came_back=came_back, option=option)
    return [*findings, *network_findings(seen, resources)]


def over_network(resources: Resources) -> bool:
    """Whether ranks of a run on several nodes meet over gloo: with GPUs, NCCL finds its way by itself."""
    return (resources.nodes or 1) > 1 and not resources.gpus_per_node


def network_findings(seen: dict[str, Any], resources: Resources) -> list[Finding]:
    """Whether ranks on other nodes can reach those on the node that was probed."""
    wanted, found = resources.network_interface, seen.get("interfaces", {})
    if wanted is not None:
        if wanted in found or "interfaces" not in seen:
            return []
        named = ", ".join(f"{name} ({where})" for name, where in found.items()) or "none with an address"
        return [
            Finding(
                "problem",
                f"node {seen['host']} has no network interface {wanted} (--network-interface); it has {named}",
            )
        ]
    address = seen.get("own_address")
    others = [where for name, where in seen.get("peers", {}).items() if name != seen["host"]]
    # Where all names mean this machine (nodes emulated on one), the ranks do meet.
    if not is_loopback(address) or not any(where and not is_loopback(where) for where in others):
        return []
    return [Finding("problem", loopback_sentence(seen["host"], str(address), found))]


def judged(
    seen: dict[str, Any],
    request: dict[str, Any],
    *,
    tracking: str | None,
    came_back: bool,
    option: str = "--runs",
) -> list[Finding]:
    """Findings from what a node saw (``node_probe.probe``)."""
    node, folder = f"node {seen['host']}", Path(request["file"]).parent
    findings = []
    if not seen["shared"]:
        findings.append(
            Finding(
                "problem",
                f"{node} does not see the folder {folder}: use a disk that all nodes share ({option})",
            )
        )
    elif not came_back:
        why = seen["write_error"] or "its file does not appear here"
        findings.append(
            Finding("problem", f"{node} cannot write to {folder} ({why}): use another disk ({option})")
        )
    else:
        findings.append(Finding("ok", f"{node} reads and writes {folder}"))
    findings += [
        Finding(
            "problem",
            f"{node} does not see the data in {missing}: use a disk that all nodes share (--data-root)",
        )
        for missing in seen["missing"]
    ]
    findings.append(_code_finding(seen, request["code"]))
    if tracking is not None and "store" in seen:
        findings.append(_store_finding(node, seen["store"], tracking))
    return findings


def _code_finding(seen: dict[str, Any], code: str) -> Finding:
    node = f"node {seen['host']}"
    if not seen["code"]:
        return Finding(
            "problem", f"{node} does not see the code in {code}: put it on a disk that all nodes share"
        )
    if seen["import_errors"]:
        return Finding(
            "problem",
            f"on {node} the code cannot run: {'; '.join(seen['import_errors'])}; install traitvae for {sys.executable},"
            " on a disk that all nodes share",
        )
    if not seen["torch"]:
        return Finding(
            "problem",
            f"{node} does not find torch with {sys.executable}: install traitvae for it, on a disk that all nodes share",
        )
    return Finding("ok", f"{node} imports the code with Python {seen['python']}, and finds torch")


def _store_finding(node: str, error: str | None, tracking: str) -> Finding:
    store = public_uri(tracking)
    if error is None:
        return Finding("ok", f"{node} reaches the tracking store {store}")
    if sqlite_file(tracking) is not None:
        return Finding(
            "problem",
            f"{node} does not see the tracking store {store}: start 'mlflow server' where all nodes reach it, and set"
            " MLFLOW_TRACKING_URI",
        )
    host = urlsplit(store).hostname
    what = (
        "that address means the node itself there: start the server with --host 0.0.0.0 and name this machine"
        if host in ("localhost", "127.0.0.1", "::1")
        else "make sure that it runs, and listens to the nodes (mlflow server --host and --allowed-hosts)"
    )
    return Finding("problem", f"{node} does not reach the tracking store {store} ({error}): {what}")


def _on_a_node(
    resources: Resources, request: dict[str, Any], wait_s: int
) -> tuple[dict[str, Any] | None, Finding | None]:
    """What the task saw, or why it could not run."""
    options = {name: getattr(resources, name) for name in ("partition", "account", "qos", "constraint")}
    options |= {name: resources.sbatch.get(name) for name in _WHERE}
    program = [sys.executable, "-c", Path(node_probe.__file__).read_text(), json.dumps(request)]
    if resources.setup:
        shell = checked_lines(resources.setup, f'echo "{_SETUP_FAILED}$setup_status $setup_line"; exit 1')
        program = ["bash", "-c", "\n".join([*shell, 'exec "$@"']), "setup", *program]

    def run(**more: object) -> tuple[str, str]:
        return _ended(
            [
                "srun",
                *("--nodes=1", "--ntasks=1", f"--time={MINUTES}", f"--immediate={wait_s}"),
                *("--job-name=traitvae-preflight", "--chdir=/", "--input=none"),
                *(f"--{name}={value}" for name, value in (options | more).items() if value),
                *program,
            ],
            wait_s + 60 * MINUTES + 30,
        )

    output, errors = run()
    gpus = resources.gpus.on_node(1)
    if gpus.count and _WANTS_GPUS.search(errors):  # a partition only for jobs with GPUs
        output, errors = run(**{"gpus-per-node": gpus.request})
    for line in output.splitlines():
        if line.startswith(node_probe.MARK):
            return json.loads(line.removeprefix(node_probe.MARK)), None
        if line.startswith(_SETUP_FAILED):
            status, _, failed = line.removeprefix(_SETUP_FAILED).partition(" ")
            printed = [text for text in errors.splitlines() if text and not text.startswith("srun: ")]
            last = re.sub(r"^\S+: line \d+: ", "", printed[-1]) if printed else "no message"
            return None, Finding(
                "problem", f"on a node the setup line '{failed}' fails with status {status} ({last})"
            )
    if "execve()" in errors or f"{sys.executable}: No such file" in errors:
        return None, Finding(
            "problem",
            f"a node does not have the Python that runs here, {sys.executable}: use an environment on a disk that all"
            " nodes share",
        )
    if "busy" in errors or "Immediate" in errors or "immediate" in errors:
        return None, Finding(
            "warning",
            f"no node was free within {wait_s} s, so folders, code and tracking store were not checked from a node",
        )
    words = (
        "; ".join(line.partition("error: ")[2] or line for line in errors.splitlines()[-3:]) or "no message"
    )
    return None, Finding(
        "warning",
        f"the check on a node did not run ({words}), so folders, code and tracking store were not checked from"
        " one",
    )


def _ended(command: list[str], timeout_s: float) -> tuple[str, str]:
    """What a command wrote to stdout and stderr; it is terminated after ``timeout_s``."""
    environment = dict(os.environ)
    if "SLURM_JOB_ID" in environment:
        # Inside a job, srun would create a step on that job's own nodes.
        environment = {
            name: value
            for name, value in environment.items()
            if not name.startswith("SLURM_") or name == "SLURM_CONF"
        }
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", env=environment
    ) as process:
        try:
            return process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.terminate()  # srun then ends its job
            try:
                output, errors = process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                output, errors = process.communicate()
            return output, f"{errors}\nnot finished within {timeout_s:.0f} s".strip()


def _appears(file: Path, token: str) -> bool:
    """Whether the node's file is visible here, which may take a while on a network disk."""
    deadline = time.monotonic() + SECONDS_TO_WRITE_BACK
    while True:
        try:
            os.listdir(file.parent)  # makes NFS refresh its cache
            if file.read_text() == token:
                return True
        except OSError:
            pass
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
