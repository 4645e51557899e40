"""Preparing a folder of small pictures and a CSV compared with only decoding and resizing them, by processor time.

``python -m tests.benchmarks.own_pictures``. Every contender is a process of its own, from its start to its end, so other
programs on the machine change the numbers less than they change the clock.
"""

from __future__ import annotations

import csv
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tyro
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_sample_image

ROOT = Path(__file__).parents[2]
SIZE = (89, 109)
"""Width and height of the pictures: half of CelebA's."""
_DIFFERENT = 2000
"""Pictures that differ; beyond them a file is a copy of one of these."""
_BARE = """
import csv, sys
import numpy as np
from PIL import Image
for name, _ in list(csv.reader(open(sys.argv[1] + "/labels.csv")))[1:]:
    picture = Image.open(sys.argv[1] + "/" + name).convert("RGB")
    (width, height), side = picture.size, min(picture.size)
    left, upper = (width - side) // 2, (height - side) // 2
    square = picture.crop((left, upper, left + side, upper + side))
    np.asarray(square.resize((64, 64), Image.Resampling.BILINEAR))
"""
"""The loop as it is written everywhere; its images are those of the prepared data set."""


@dataclass
class OwnPictures:
    """Measure the preparation of your own pictures; the contenders take turns."""

    pictures: int = 20_000
    """number of JPEG files of 89 x 109 pixels"""
    rounds: int = 3
    """measurements of each contender"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process and its children used."""

    cpu_s: float
    megabytes: float
    """Peak resident memory of the largest one."""


def main() -> None:
    """Measure and print."""
    chosen = tyro.cli(OwnPictures, prog="python -m tests.benchmarks.own_pictures")
    show(preparation_cost(chosen.pictures, chosen.rounds), chosen.pictures)


def write_pictures(folder: Path, count: int) -> Path:
    """JPEG files in parts of a photograph, and ``labels.csv`` with a row for each; returns their folder."""
    folder.mkdir(parents=True)
    photograph, generator = load_sample_image("china.jpg"), np.random.default_rng(0)
    names = [f"{number:07d}.jpg" for number in range(count)]
    for number, name in enumerate(names):
        if number >= _DIFFERENT:
            shutil.copyfile(folder / names[number % _DIFFERENT], folder / name)
            continue
        top, left = generator.integers(0, 427 - 218), generator.integers(0, 640 - 178)
        part = Image.fromarray(photograph[top : top + 218, left : left + 178])
        part.resize(SIZE, Image.Resampling.BILINEAR).save(folder / name, quality=90)
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("file", "smiling"), *((n, ("no", "yes")[i % 3 > 0]) for i, n in enumerate(names))]
        )
    return folder


def preparation_cost(pictures: int, rounds: int) -> dict[str, list[Cost]]:
    """What each contender used in each round: the bare loop, the first preparation, and another one later."""
    found: dict[str, list[Cost]] = {"decode and resize": [], "first preparation": [], "checksums known": []}
    with TemporaryDirectory() as temporary:
        raw, out = write_pictures(Path(temporary) / "raw", pictures), Path(temporary) / "out"
        prepare = [sys.executable, "launch/prepare.py", "pictures", "--raw", str(raw), "--out", str(out)]
        prepare += ["--option", "labels=smiling", "--workers", "1", "--format", "arrow"]
        for number in range(rounds):
            cache = Path(temporary) / f"cache{number}"
            for name in found:
                shutil.rmtree(out, ignore_errors=True)
                command = [sys.executable, "-c", _BARE, str(raw)] if name == "decode and resize" else prepare
                found[name].append(_cost(command, cache))
                print(
                    f"round {number + 1} of {rounds}, {name}: {found[name][-1].cpu_s:.1f} s of CPU time",
                    flush=True,
                )
    return found


def _cost(command: list[str], cache: Path) -> Cost:
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {errors}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)


def show(found: dict[str, list[Cost]], pictures: int) -> None:
    """Print the medians, and the ratios to the bare loop (of each round, then their median)."""
    table = Table(
        title=f"{pictures:,} JPEG files of {SIZE[0]} x {SIZE[1]} pixels to shards of 64 x 64, one process",
        title_justify="left",
    )
    for column in ("", "CPU seconds", "µs per picture", "ratio", "peak memory, MB"):
        table.add_column(column, justify="left" if not column else "right")
    bare = found["decode and resize"]
    for name, costs in found.items():
        seconds = statistics.median(cost.cpu_s for cost in costs)
        ratio = statistics.median(base.cpu_s / cost.cpu_s for base, cost in zip(bare, costs, strict=True))
        # That of the loop is lower than what this program had when it started it, which counts as its peak.
        memory = "" if costs is bare else f"{max(cost.megabytes for cost in costs):.0f}"
        table.add_row(name, f"{seconds:.1f}", f"{seconds / pictures * 1e6:.0f}", f"{ratio:.2f}", memory)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
