"""The runs of label readers: an ensemble of independent classifiers of one data set."""

from __future__ import annotations

from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.measures.settings import MeasuresConfig
from pipeline.models.label_reader import LabelReaderConfig
from pipeline.training.settings import OptimiserConfig, TrainingConfig

MEMBERS = 3
EPOCHS, QUICK_EPOCHS = 12, 1
"""A one-cycle schedule ends with a learning rate of 0, where nothing is left to stop early; chosen on validation splits."""
CHANNELS, QUICK_CHANNELS = 32, 16

NOT_MIRRORED = frozenset({"mnist", "rotated_mnist", "transformed_mnist", "idx_folder", "pictures"})
"""Data sets whose labels a mirror may change: digits, and pictures of the user's own."""


def label_readers(data: DataConfig, *, quick: bool = False) -> list[RunConfig]:
    """Three readers of a data set with all of its labels, of different seeds; ``quick``: a small one, for a first look."""
    return [
        RunConfig(
            data=DataConfig(name=data.name, options=data.options, folder=data.folder),
            model=LabelReaderConfig(
                channels=QUICK_CHANNELS if quick else CHANNELS, flips=data.name not in NOT_MIRRORED
            ),
            optimiser=OptimiserConfig(
                learning_rate=3e-3, betas=(0.9, 0.99), schedule="one_cycle", weight_decay=0.05
            ),
            training=TrainingConfig(
                epochs=QUICK_EPOCHS if quick else EPOCHS, batch_size=128, precision="bfloat16"
            ),
            measures=MeasuresConfig(take=("classification",)),
            seed=seed,
        )
        for seed in range(1 if quick else MEMBERS)
    ]
