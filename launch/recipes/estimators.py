"""CCVAE's estimators side by side, evaluated on held-out images that are not test images: docs/estimators.md."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.measures.settings import MeasuresConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.training.settings import OptimiserConfig, TrainingConfig

_PLAIN = CCVAEConfig(label_marginal="exact", bounded_weight=False, weight_limit=None)
_CONSTANT = replace(_PLAIN, weight_gradient="none")

ESTIMATORS = {
    "as printed": replace(_PLAIN, weight_gradient="as_printed"),
    "self-normalised": replace(_PLAIN, weight_gradient="as_printed", importance_samples=2),
    "constant": _CONSTANT,
    "constant x 30": replace(_CONSTANT, classifier_weight=30.0),
    "denominator": _PLAIN,
    "bounded, constant x 250": replace(_CONSTANT, bounded_weight=True, classifier_weight=250.0),
    "exact": CCVAEConfig.exact(),
    "paper": CCVAEConfig(),
}
"""Gradients through the weight as eq. 8 is printed; two self-normalised samples; a constant weight, with an increasing
weight on ``log q(y | x)``; gradients through the weight's denominator only; and the two presets."""

SEEDS = range(3)


def estimators_fashion_mnist() -> list[RunConfig]:
    """One class label: the classifier is an MLP over all latents."""
    return _runs(DataConfig(name="fashion_mnist_held_out"), network="auto", style_size=0, epochs=3)


def estimators_drawn_faces() -> list[RunConfig]:
    """18 binary labels: the classifier is diagonal. The networks are MLPs, to make many runs feasible."""
    faces = DataConfig(name="drawn_faces", options=("count=6000",))
    return _runs(faces, network="mlp", style_size=27, epochs=8)


def _runs(data: DataConfig, *, network: str, style_size: int, epochs: int) -> list[RunConfig]:
    return [
        RunConfig(
            data=replace(data, supervision_rate=rate),
            model=replace(model, network=network, style_size=style_size),
            optimiser=OptimiserConfig(learning_rate=5e-4),
            training=TrainingConfig(epochs=epochs, precision="bfloat16"),
            measures=MeasuresConfig(split="valid"),
            seed=seed,
        )
        for rate, seed, model in product((0.06, 1.0), SEEDS, ESTIMATORS.values())
    ]
