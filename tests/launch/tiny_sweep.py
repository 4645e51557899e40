"""``launch/sweep.py`` with one more recipe, of seconds, on the tiny data set: ``python -m tests.launch.tiny_sweep ...``."""

from __future__ import annotations

import gc
import sys
from dataclasses import replace

if __name__ == "__main__":
    gc.disable()  # while it imports: see data_prep.start_up

from data_prep.start_up import imports_are_done
from launch import recipes, start
from launch.sweep import main
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.measures.settings import MeasuresConfig
from pipeline.training.settings import TrainingConfig
from tests.pipeline.runs import NUMBERS, SMALL


def tiny() -> list[RunConfig]:
    """Two systems at one rate on two ranks."""
    return [
        RunConfig(
            data=DataConfig(name="idx_folder", supervision_rate=0.5),
            model=model,
            training=TrainingConfig(epochs=2, batch_size=50, ranks=2),
            measures=MeasuresConfig(take=NUMBERS),
        )
        for model in (SMALL["ccvae"], SMALL["m2"])
    ]


def diverging() -> list[RunConfig]:
    """One run that diverges, and one that does not."""
    good, bad = tiny()
    return [good, replace(bad, optimiser=replace(bad.optimiser, learning_rate=1e18))]


def judged() -> list[RunConfig]:
    """One run, with a measure that rests on a quick label reader."""
    (run, _) = tiny()
    return [
        replace(
            run,
            training=TrainingConfig(epochs=1, batch_size=50),
            measures=MeasuresConfig(take=("classification", "generation_accuracy"), quick_readers=True),
        )
    ]


start.SECONDS_BETWEEN_POLLS["slurm"] = 1.0  # tests wait for what the launcher sees
recipes.RECIPES["tiny"] = recipes.Recipe("two small runs", tiny)
recipes.RECIPES["diverging"] = recipes.Recipe("one of two runs diverges", diverging)

recipes.RECIPES["judged"] = recipes.Recipe("one run, judged by a label reader", judged)

if __name__ == "__main__":
    imports_are_done()
    main(sys.argv[1:])
