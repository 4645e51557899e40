"""Seconds of each measure, and its share of the training that it follows: ``python -m tests.benchmarks measures``.

Two small parts of everything are measured, and extrapolated in a straight line: ``--faces`` drawn faces and half of them
instead of 20,000 test images, with every count of a measure's settings (``images=5000``) in the same proportion; what a
measure takes for any number of images counts once. Neither the model nor the label readers are trained: that takes as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from data_prep.counted import counted
from data_prep.errors import UserError, report_user_errors
from data_prep.stages import prepare
from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.data.settings import DataConfig
from pipeline.measures.applies import why_not
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.label_readers import LabelReaders
from pipeline.measures.measure import DoesNotApply, Measure
from pipeline.measures.registry import MEASURES, measure_named
from pipeline.measures.view import ModelView
from pipeline.models.interface import DataSpec
from pipeline.models.label_reader import LabelReaderConfig
from pipeline.models.registry import PRESETS
from pipeline.reports.registry import ON_DEMAND
from pipeline.training.step import Step
from pipeline.world import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))
TEST_IMAGES = 20_000
TRAINING_IMAGES, EPOCHS = 162_770, 100
"""Of CelebA's training in the paper."""
COUNTS = ("images", "points", "pairs", "fit_images", "fit_pairs")
"""Settings that are numbers of images."""
MEMBERS = 3
QUALITY = "reader_accuracy, once"
"""What the first measure with label readers computes for all of them."""
Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class MeasureSpeed:
    """Time each measure of one system on drawn faces, and print it for 20,000 images of 64 x 64."""

    faces: int = 1000
    """drawn faces; eight tenths of them are measured"""
    system: str = "ccvae-celeba"
    """preset of the system"""
    measures: tuple[str, ...] = tuple(name for name in MEASURES if name not in ON_DEMAND)
    """which ones"""
    steps: int = 10
    """training steps that are timed for the comparison"""
    profiled: int = 0
    """show the operators of that many of the slowest measures"""
    data_root: Path = Path("data")
    """folder of the prepared data sets"""
    threads: int = 1
    """threads of torch"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, the slowest measure first."""
    with report_user_errors():
        measure_measures(
            tyro.cli(MeasureSpeed, args=arguments, prog="python -m tests.benchmarks measures", config=())
        )


def measure_measures(asked: MeasureSpeed, clock: Clock = time.process_time) -> None:
    """Time them in turn, by default in CPU seconds, which other processes change least."""
    torch.set_num_threads(asked.threads)
    larger, smaller = (_Part.of(asked, faces) for faces in (asked.faces, asked.faces // 2))
    training = larger.training_seconds(asked.steps, clock)
    seconds = {}
    for name in (QUALITY, *asked.measures):
        found = [part.seconds(name, clock) for part in (larger, smaller)]
        if isinstance(found[0], str) or isinstance(found[1], str):
            print(f"{name}: {found[0]}")
            continue
        seconds[name] = extrapolated((larger.share, found[0]), (smaller.share, found[1]))
        print(f"{name}: {found[0]:.2f} s of {larger.share:.1%}", flush=True)
    _show(seconds, training, asked)
    slowest = sorted(seconds.keys() - {QUALITY}, key=lambda name: -seconds[name])
    for name in slowest[: asked.profiled]:
        _show_operators(name, larger)


def extrapolated(larger: tuple[float, float], smaller: tuple[float, float]) -> float:
    """Seconds of the whole, from two (share, seconds): what grows with the share, and what does not."""
    slope = max((larger[1] - smaller[1]) / (larger[0] - smaller[0]), 0.0)
    return max(larger[1] + slope * (1 - larger[0]), larger[1])


@dataclass(frozen=True)
class _Part:
    """A number of faces with a model and readers."""

    config: RunConfig
    data: DataSet
    step: Step
    readers: LabelReaders

    @classmethod
    def of(cls, asked: MeasureSpeed, faces: int) -> _Part:
        data = DataSet(
            prepare("drawn_faces", options={"count": faces}, root=asked.data_root, formats="arrow")
        )
        config = RunConfig(
            data=DataConfig(name="drawn_faces", folder=str(data.folder)), model=PRESETS[asked.system].config()
        )
        return cls(config, data, Step(config, DataSpec.of(data.manifest), ALONE), _readers(data, config))

    @property
    def view(self) -> ModelView:
        """A new one, which has computed nothing yet; the training split is the largest."""
        examples = MeasuredSplit(self.data, "train", ALONE.device, self.config.measures.measure_batch_size)
        return ModelView(self.step.model.eval(), examples, "bench", load_readers=lambda: self.readers)

    @property
    def share(self) -> float:
        return len(self.view.examples) / TEST_IMAGES

    def training_seconds(self, steps: int, clock: Clock) -> float:
        """Of the paper's training, from a few steps."""
        examples = TrainingExamples(self.config, self.data, ALONE)
        batch = examples.first()
        self.step.warm_up(batch)
        began = clock()
        for number in range(steps):
            self.step(batch, number, len(batch))
        seconds = (clock() - began) / (steps * len(batch))
        examples.close()
        return seconds * TRAINING_IMAGES * EPOCHS

    @torch.no_grad()
    def seconds(self, name: str, clock: Clock) -> float | str:
        """Of a measure, or why there are none."""
        view = self.view
        if name == QUALITY:
            began = clock()
            self.readers.quality(view.examples)
            return clock() - began
        measure = scaled(measure_named(name), self.share)
        reason = why_not(measure.needs, view.model, self.data.manifest, True)
        if reason is not None:
            return f"does not apply: {reason}"
        torch.manual_seed(0)
        began = clock()
        try:
            measure(view)
        except (DoesNotApply, UserError) as error:
            return str(error)
        return clock() - began


def _readers(data: DataSet, config: RunConfig) -> LabelReaders:
    members = []
    for seed in range(MEMBERS):
        torch.manual_seed(seed)
        members.append(LabelReaderConfig().build(DataSpec.of(data.manifest)).eval().requires_grad_(False))
    return LabelReaders(tuple(map(str, range(MEMBERS))), tuple(members), config.measures.measure_batch_size)


def scaled(measure: Measure, share: float) -> Measure:
    """A measure with this share of each count of its settings, at least two; all (0) stays all."""
    counts = {
        entry.name: max(2, round(getattr(measure, entry.name) * share))
        for entry in fields(measure)  # type: ignore[arg-type]
        if entry.name in COUNTS and getattr(measure, entry.name)
    }
    changed: Any = replace(measure, **counts)  # type: ignore[type-var]
    found: Measure = changed
    return found


def _show(seconds: dict[str, float], training: float, asked: MeasureSpeed) -> None:
    title = f"{asked.system}: {TEST_IMAGES:,} images, 64 x 64, {counted(asked.threads, 'thread')}"
    table = Table("measure", title=title, title_justify="left", box=MARKDOWN)
    for column in ("CPU seconds", "per 1,000 images", "share of all", "share of the training"):
        table.add_column(column, justify="right")
    whole = sum(seconds.values())
    for name, each in (*sorted(seconds.items(), key=lambda entry: -entry[1]), ("all", whole)):
        per = each / TEST_IMAGES * 1000
        table.add_row(name, f"{each:.0f}", f"{per:.2f}", f"{each / whole:.1%}", f"{each / training:.2%}")
    Console(width=110).print(table)
    print(f"the training: {TRAINING_IMAGES:,} images, {EPOCHS} epochs, {training:,.0f} CPU seconds")


def _show_operators(name: str, part: _Part) -> None:
    measure = scaled(measure_named(name), part.share)
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU]) as found:
        measure(part.view)
    print(
        name, found.key_averages().table(sort_by="self_cpu_time_total", row_limit=8, max_name_column_width=40)
    )


if __name__ == "__main__":
    main()
