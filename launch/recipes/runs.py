"""One run of a recipe: the settings that recipes have in common, and the measures of the reports that it serves."""

from __future__ import annotations

from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.measures.settings import MeasuresConfig
from pipeline.models.registry import ModelConfig
from pipeline.reports.registry import measures_of
from pipeline.training.settings import OptimiserConfig, TrainingConfig


def run(
    recipe: str,
    data: DataConfig,
    model: ModelConfig,
    training: TrainingConfig,
    optimiser: OptimiserConfig | None = None,
    *,
    seed: int = 0,
) -> RunConfig:
    """A run of the recipe of this name."""
    return RunConfig(
        data=data,
        model=model,
        optimiser=optimiser or OptimiserConfig(),
        training=training,
        measures=MeasuresConfig(take=measures_of(recipe)),
        seed=seed,
    )
