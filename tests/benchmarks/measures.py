"""Seconds of each measure, and its share of the training that it follows: ``python -m tests.benchmarks measures``.

A small part of everything is measured: ``--faces`` drawn faces instead of 20,000 test images, and every count of a measure's
settings (``images=5000``) in the same proportion. Neither the model nor the label readers are trained: that takes as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

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
    options = {"count": asked.faces}
    data = DataSet(prepare("drawn_faces", options=options, root=asked.data_root, formats="arrow"))
    config = RunConfig(
        data=DataConfig(name="drawn_faces", folder=str(data.folder)), model=PRESETS[asked.system].config()
    )
    step = Step(config, DataSpec.of(data.manifest), ALONE)
    training = _training_seconds(config, data, step, asked.steps, clock)
    examples = MeasuredSplit(data, "train", ALONE.device, config.measures.measure_batch_size)
    share = len(examples) / TEST_IMAGES
    readers = _readers(data, config)
    view = ModelView(step.model.eval(), examples, "bench", load_readers=lambda: readers)
    began = clock()
    with torch.no_grad():
        readers.quality(examples)
    seconds = {"reader_accuracy, once": (clock() - began) / share}
    for name, found in _timed(view, asked.measures, share, clock):
        if isinstance(found, str):
            print(f"{name}: {found}")
        else:
            seconds[name] = found / share
            print(f"{name}: {found:.1f} s", flush=True)
    _show(seconds, training, asked)
    for name in sorted(seconds, key=lambda name: -seconds[name])[: asked.profiled]:
        if name in MEASURES:
            _show_operators(view, name, share)


def _readers(data: DataSet, config: RunConfig) -> LabelReaders:
    members = []
    for seed in range(MEMBERS):
        torch.manual_seed(seed)
        members.append(LabelReaderConfig().build(DataSpec.of(data.manifest)).eval().requires_grad_(False))
    return LabelReaders(tuple(map(str, range(MEMBERS))), tuple(members), config.measures.measure_batch_size)


def _training_seconds(config: RunConfig, data: DataSet, step: Step, steps: int, clock: Clock) -> float:
    """Of the paper's training, from a few steps."""
    examples = TrainingExamples(config, data, ALONE)
    batch = examples.first()
    step.warm_up(batch)
    began = clock()
    for number in range(steps):
        step(batch, number, len(batch))
    seconds = (clock() - began) / (steps * len(batch))
    examples.close()
    return seconds * TRAINING_IMAGES * EPOCHS


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


def _timed(
    view: ModelView, names: Sequence[str], share: float, clock: Clock
) -> Iterator[tuple[str, float | str]]:
    for name in names:
        measure = scaled(measure_named(name), share)
        reason = why_not(measure.needs, view.model, view.examples.data.manifest, True)
        if reason is not None:
            yield name, f"does not apply: {reason}"
            continue
        fresh = ModelView(view.model, view.examples, view.identity, load_readers=view.load_readers)
        torch.manual_seed(0)
        began = clock()
        try:
            with torch.no_grad():
                measure(fresh)
        except (DoesNotApply, UserError) as error:
            yield name, str(error)
            continue
        yield name, clock() - began


def _show(seconds: dict[str, float], training: float, asked: MeasureSpeed) -> None:
    title = f"{asked.system}: {TEST_IMAGES:,} images, 64 x 64, {asked.threads} thread(s)"
    table = Table("measure", title=title, title_justify="left", box=MARKDOWN)
    for column in ("CPU seconds", "per 1,000 images", "share of all", "share of the training"):
        table.add_column(column, justify="right")
    whole = sum(seconds.values())
    for name, each in (*sorted(seconds.items(), key=lambda entry: -entry[1]), ("all", whole)):
        per = each / TEST_IMAGES * 1000
        table.add_row(name, f"{each:.0f}", f"{per:.2f}", f"{each / whole:.1%}", f"{each / training:.2%}")
    Console(width=110).print(table)
    print(f"the training: {TRAINING_IMAGES:,} images, {EPOCHS} epochs, {training:,.0f} CPU seconds")


def _show_operators(view: ModelView, name: str, share: float) -> None:
    measure = scaled(measure_named(name), share)
    fresh = ModelView(view.model, view.examples, view.identity, load_readers=view.load_readers)
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU]) as found:
        measure(fresh)
    print(
        name, found.key_averages().table(sort_by="self_cpu_time_total", row_limit=8, max_name_column_width=40)
    )


if __name__ == "__main__":
    main()
