"""What only a GPU can show, within a given time: ``python -m tests.benchmarks gpu --minutes 8``.

In the order of importance: the tests marked ``gpu``, an epoch of CelebA's size, the variants of a step, where its time goes,
several processes on the GPU, each system, and what compiles. Each part is a process of its own, so that one that fails or
is not done in time costs nothing else; the file is written after each.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
import tyro

from data_prep.errors import report_user_errors
from pipeline.models.registry import PRESETS
from tests.benchmarks.gpu_report import show

ROOT = Path(__file__).parents[2]
SECONDS_TO_START = 20.0
"""Least time left with which a part is begun."""
PACKED_ROWS = 20_000
MPS = "nvidia-cuda-mps-control"


@dataclass(frozen=True, kw_only=True)
class OnGPU:
    """Prove and measure on a GPU what a CPU cannot; without one, say so."""

    minutes: float = 8.0
    """time for everything"""
    out: Path = Path("gpu.json")
    """file of all results, rewritten after each part"""
    skip: tuple[Literal["tests", "epochs", "variants", "profile", "packed", "systems", "compiled"], ...] = ()
    """parts to leave out"""
    aim: str = "ccvae-celeba"
    """preset of the epoch, the variants, the profile and the packing"""
    systems: tuple[str, ...] = tuple(PRESETS)
    """presets whose steps are measured"""
    packing: tuple[int, ...] = (1, 2, 4, 8)
    """numbers of processes at once"""
    rows: int = 162_770
    """pictures of an epoch"""
    batch_size: int = 200
    """rows of a batch"""
    seconds: float = 2.0
    """of each measurement"""
    device: Literal["cuda", "cpu"] = "cuda"
    """cpu: to try the command itself; its numbers mean nothing"""


@dataclass
class Results:
    """What was found so far, and the time left."""

    asked: OnGPU
    found: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float:
        return 60 * self.asked.minutes - (time.monotonic() - self.began)

    def add(self, name: str, value: Any) -> None:
        """Keep a part's result, in the file too."""
        self.found |= {name: value, "seconds": round(time.monotonic() - self.began, 1)}
        new = self.asked.out.with_name(f"{self.asked.out.name}.new")
        new.write_text(json.dumps(self.found, indent=1) + "\n")
        new.replace(self.asked.out)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all parts that the time allows, and print the tables."""
    with report_user_errors():
        asked = tyro.cli(OnGPU, args=arguments, prog="python -m tests.benchmarks gpu")
        results = measure(asked)
        if results is not None:
            show(results.found)


def measure(asked: OnGPU) -> Results | None:
    """The results; None without a GPU."""
    if asked.device == "cuda" and not torch.cuda.is_available():
        print("torch finds no GPU here, so nothing was run or measured.")
        return None
    results = Results(asked)
    results.add("machine", machine(asked.device))
    two = ["graphs", "eager"] if asked.device == "cuda" else ["eager"]
    for name, work in (
        ("tests", lambda: run_tests(results, "gpu and not slow", limit=200)),
        ("epochs", lambda: part(results, "epochs", [asked.aim], two, limit=100)),
        ("variants", lambda: part(results, "speed", [asked.aim], VARIANTS, limit=150)),
        ("profile", lambda: part(results, "profile", [asked.aim], two, limit=60)),
        ("packed", lambda: packing(results)),
        ("systems", lambda: part(results, "speed", asked.systems, two[::-1], limit=150)),
        ("compiled", lambda: part(results, "speed", asked.systems, ["compiled", "compiled+graphs"], limit=400)),
        ("tests", lambda: run_tests(results, "gpu and slow", limit=400, name="tests of compiling")),
    ):  # fmt: skip
        if name in asked.skip:
            continue
        if results.seconds_left < SECONDS_TO_START:
            results.add("not begun", [*results.found.get("not begun", []), name])
            continue
        print(f"{name}: {results.seconds_left:.0f} s left", flush=True)
        work()
    return results


VARIANTS = [
    "eager", "graphs", "graphs+channels-last", "graphs+any-kernels", "graphs+float32", "eager+float32",
    "compiled", "compiled+graphs", "compiled+graphs+channels-last",
]  # fmt: skip


def machine(device: str) -> dict[str, Any]:
    """What it was measured on."""
    found: dict[str, Any] = {
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
    }
    if device == "cuda":
        found |= {
            "gpu": torch.cuda.get_device_name(0),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return found


def options(asked: OnGPU, systems: Sequence[str], variants: Sequence[str], rows: int) -> list[str]:
    """The command line of a part."""
    return [
        *("--device", asked.device, "--systems", *systems, "--variants", *variants, "--rows", str(rows)),
        *("--batch-size", str(asked.batch_size), "--seconds", str(asked.seconds)),
    ]


def command(name: str) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.gpu_parts", name]


def lines_of(output: str) -> list[dict[str, Any]]:
    """The lines of JSON among what a part printed; the last may be cut."""
    found = []
    for line in output.splitlines():
        try:
            found.append(json.loads(line)) if line.startswith('{"part"') else None
        except json.JSONDecodeError:
            continue
    return found


def part(
    results: Results, name: str, systems: Sequence[str], variants: Sequence[str], *, limit: float
) -> None:
    """Run a part until it is done, fails, or its time is over; what it printed until then counts.

    A system that fails is left out, and the part continues after it.
    """
    asked, rest = results.asked, list(systems)
    key = {"speed": "speed" if len(variants) > 2 or len(systems) == 1 else f"speed {variants[0]}"}.get(
        name, name
    )
    found: list[dict[str, Any]] = []
    ends = time.monotonic() + min(limit, results.seconds_left)
    while rest and (seconds := ends - time.monotonic()) > 0:
        began = [*command(name), *options(asked, rest, variants, asked.rows)]
        output, failed = run(began, seconds)
        new = lines_of(output)
        found += new
        results.add(key, found)
        if failed is None:
            return
        reached = new[-1]["system"] if new else rest[0]
        done = [line["variant"] for line in new if line["system"] == reached]
        stopped = reached if len(done) < len(variants) else rest[min(rest.index(reached) + 1, len(rest) - 1)]
        found.append({"part": name, "system": stopped, "variant": "", "failed": failed})
        results.add(key, found)
        rest = rest[rest.index(stopped) + 1 :]


def run(arguments: list[str], seconds: float, **environment: str) -> tuple[str, str | None]:
    """What a process printed, and why it did not end well, or None."""
    process = start(arguments, **environment)
    try:
        output, errors = process.communicate(timeout=max(1.0, seconds))
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        return output, "not done in time"
    return output, None if process.returncode == 0 else last_lines(errors) or f"status {process.returncode}"


def start(arguments: list[str], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip


def last_lines(text: str, lines: int = 6) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


def run_tests(results: Results, marks: str, *, limit: float, name: str = "tests") -> None:
    """The tests with these marks; the failures by name."""
    arguments = [sys.executable, "-m", "pytest", "-q", "-m", marks, "tests/pipeline/training/test_gpu.py"]
    arguments += ["-p", "no:cacheprovider", "--tb=short", "-o", "addopts=--import-mode=importlib", "-rfE"]
    output, failed = run(arguments, min(limit, results.seconds_left))
    report = output.splitlines()
    results.add(
        name,
        {
            "passed": failed is None,
            "summary": report[-1] if report else failed,
            "failures": [line for line in report if line.startswith(("FAILED", "ERROR"))],
            "output": "" if failed is None else f"{output[-20_000:]}\n{failed}",
        },
    )


def packing(results: Results) -> None:
    """Images/s of 1, 2, 4, 8 processes at once, each by itself and, where it can be started, under CUDA's MPS."""
    for mps in (False, True):
        with TemporaryDirectory(prefix="traitvae-mps-") as folder:
            if mps and (results.asked.device != "cuda" or shutil.which(MPS) is None):
                return
            with daemon(Path(folder)) if mps else no_daemon() as environment:
                found: list[dict[str, Any]] = []
                for processes in results.asked.packing:
                    if results.seconds_left < SECONDS_TO_START:
                        break
                    found.append(at_once(results, processes, environment))
                    results.add("packed under MPS" if mps else "packed", found)


@contextmanager
def no_daemon() -> Iterator[dict[str, str]]:
    yield {}


@contextmanager
def daemon(folder: Path) -> Iterator[dict[str, str]]:
    """An MPS of its own, in a folder of its own, ended afterwards."""
    own = {"CUDA_MPS_PIPE_DIRECTORY": str(folder / "pipe"), "CUDA_MPS_LOG_DIRECTORY": str(folder / "log")}
    for each in own.values():
        Path(each).mkdir()
    subprocess.run([MPS, "-d"], env=os.environ | own, timeout=30, check=False)
    try:
        yield own
    finally:
        subprocess.run([MPS], input="quit\n", text=True, env=os.environ | own, timeout=30, check=False)


def at_once(results: Results, processes: int, environment: dict[str, str]) -> dict[str, Any]:
    """Start processes, let them begin together, and add up their images."""
    asked = results.asked
    variant = "graphs" if asked.device == "cuda" else "eager"
    chosen = options(asked, [asked.aim], [variant], min(asked.rows, PACKED_ROWS))
    with TemporaryDirectory(prefix="traitvae-packed-") as folder:
        go = Path(folder) / "go"
        running = [
            start([*command("packed"), *chosen, "--go", str(go), "--number", str(number)], **environment)
            for number in range(processes)
        ]
        deadline = time.monotonic() + min(120.0, results.seconds_left)
        while len(list(Path(folder).iterdir())) < processes and time.monotonic() < deadline:
            if any(process.poll() is not None for process in running):
                break
            time.sleep(0.02)
        go.touch()
        outputs, failures = [], []
        for process in running:
            try:
                output, errors = process.communicate(timeout=max(1.0, deadline + 30 - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                output, errors = process.communicate()
            outputs += lines_of(output)
            failures += [last_lines(errors)] if process.returncode else []
    each = [line["images"] / line["seconds"] for line in outputs]
    return {"processes": processes, "images_per_second": sum(each), "each": each, "failures": failures}
