"""Preparing CelebA-sized pictures compared with only decoding and resizing them; and a worker's memory.

``python -m tests.benchmarks.preparation``. The pictures are parts of a photograph, of CelebA's size and about its bytes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import tyro
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_sample_image

from data_prep.celeba_names import ATTRIBUTES
from data_prep.shards.beton import ffcv_is_installed
from data_prep.stages import prepare
from tests.benchmarks.clock import rates, show

ROOT = Path(__file__).parents[2]
DIFFERENT = 2000
"""Pictures that differ; beyond them a file is a link to one of these."""
_PREPARE = (
    "import sys; from pathlib import Path; from data_prep.stages import prepare\n"
    "prepare('celeba', raw=Path(sys.argv[1]), root=Path(sys.argv[2]), workers=int(sys.argv[3]), formats=sys.argv[4])"
)


@dataclass
class Preparation:
    """Measure the preparation of JPEG pictures; every ratio comes from one run with interleaved entries."""

    pictures: int = 24_576
    """for the speed: six full shards, so that a second of starting processes is not what is measured"""
    rounds: int = 4
    """measurements of each contender"""
    sizes: tuple[int, ...] = (10_000, 40_000, 160_000)
    """pictures, for the memory"""


def main() -> None:
    """Measure both."""
    asked = tyro.cli(Preparation, prog="python -m tests.benchmarks.preparation")
    preparation_speed(asked.pictures, asked.rounds)
    worker_memory(asked.sizes)


def write_pictures(folder: Path, count: int) -> Path:
    """CelebA's raw layout in parts of a photograph, all in the training split; returns its folder."""
    (folder / "img_align_celeba").mkdir(parents=True)
    photograph, generator = load_sample_image("china.jpg"), np.random.default_rng(0)
    names = [f"{number:07d}.jpg" for number in range(1, count + 1)]
    for number, name in enumerate(names):
        path = folder / "img_align_celeba" / name
        if number >= DIFFERENT:
            path.hardlink_to(folder / "img_align_celeba" / names[number % DIFFERENT])
            continue
        top, left = generator.integers(0, 427 - 218), generator.integers(0, 640 - 178)
        Image.fromarray(photograph[top : top + 218, left : left + 178]).save(path, quality=75)
    signs = np.where(generator.random((count, len(ATTRIBUTES))) < 0.3, " 1", "-1")
    with (folder / "list_attr_celeba.txt").open("w") as file:
        file.write(f"{count}\n{' '.join(ATTRIBUTES)}\n")
        file.writelines(f"{name} {' '.join(row)}\n" for name, row in zip(names, signs, strict=True))
    (folder / "list_eval_partition.txt").write_text("".join(f"{name} 0\n" for name in names))
    return folder


def decode_and_resize(files: list[str]) -> int:
    """The bare loop, as it is written everywhere."""
    for file in files:
        np.asarray(Image.open(file).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR))
    return len(files)


def preparation_speed(pictures: int, rounds: int) -> dict[str, list[float]]:
    """Print, and return, pictures per second of the bare loop and of the full preparation, with one and two workers."""
    with TemporaryDirectory() as temporary:
        raw = write_pictures(Path(temporary) / "raw", pictures)
        files = [str(path) for path in sorted((raw / "img_align_celeba").iterdir())]
        halves = [files[::2], files[1::2]]
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            contenders: dict[str, Callable[[], int]] = {
                "decode and resize, one process": partial(decode_and_resize, files),
                "the whole preparation, one worker": partial(_prepared_anew, raw, pictures, 1),
                "decode and resize, two processes": lambda: sum(pool.map(decode_and_resize, halves)),
                "the whole preparation, two workers": partial(_prepared_anew, raw, pictures, 2),
            }
            measured = rates(contenders, rounds)
    show(f"{pictures:,} JPEG pictures of 178 x 218 to shards of 64 x 64", measured, "images")
    loop, one, loops, two = measured.values()
    print(
        f"two workers against one: {_ratio(two, one):.2f}; two bare loops against one: {_ratio(loops, loop):.2f}"
    )
    return measured


def _ratio(these: list[float], those: list[float]) -> float:
    """The median of the ratios, round by round."""
    return statistics.median(this / that for this, that in zip(these, those, strict=True))


def _prepared_anew(raw: Path, pictures: int, workers: int) -> int:
    with TemporaryDirectory() as root:
        prepare(
            "celeba", raw=raw, root=Path(root), workers=workers, formats="arrow", progress=False,
        )  # fmt: skip
    return pictures


def worker_memory(sizes: tuple[int, ...]) -> dict[int, dict[str, float]]:
    """Print, and return, the peak resident memory in MB of the planning process and of the largest of two workers.

    If FFCV is installed, its files are written too. Of each process, the straight line through the sizes is followed
    to a million pictures.
    """
    found = {}
    formats = "both" if ffcv_is_installed() else "arrow"
    table = Table(title=f"Peak resident memory (VmHWM), MB, --format {formats}", title_justify="left")
    for column in ("pictures", "planning process", "largest of two workers", "one process that does both"):
        table.add_column(column, justify="right")
    with TemporaryDirectory() as temporary:
        for size in sizes:
            raw = write_pictures(Path(temporary) / f"raw{size}", size)
            two, one = (
                _peaks(raw, Path(temporary) / f"out{size}-{workers}", workers, formats) for workers in (2, 1)
            )
            found[size] = {"planning": two[0], "worker": max(two[1:], default=0.0), "both": one[0]}
            table.add_row(f"{size:,}", *(f"{value:.0f}" for value in found[size].values()))
    if len(sizes) > 1:
        lines = [np.polyfit(sizes, [found[size][which] for size in sizes], 1) for which in found[sizes[0]]]
        table.add_row("1,000,000 (extrapolated)", *(f"{np.polyval(line, 1e6):.0f}" for line in lines))
    Console(width=110).print(table)
    return found


def _peaks(raw: Path, root: Path, workers: int, formats: str) -> list[float]:
    """Peak memory in MB of a preparing process, then of each process that it started."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PREPARE, str(raw), str(root), str(workers), formats],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    peaks: dict[int, float] = {}

    def watch() -> None:
        while process.poll() is None:
            try:
                family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children())]
            except psutil.NoSuchProcess:
                return
            for pid in family:
                peaks[pid] = max(peaks.get(pid, 0.0), _peak_memory(pid))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    if process.wait():
        raise RuntimeError(f"the preparation of {raw} failed")
    watcher.join()
    return [peaks.pop(process.pid), *peaks.values()]


def _peak_memory(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next(
        (int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith("VmHWM")), 0.0
    )


if __name__ == "__main__":
    main()
