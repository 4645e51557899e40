"""A tiny CCVAE with any choice of estimators, and its objective of one labelled image for fixed noise."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pipeline.models.ccvae import CCVAE, CCVAEConfig
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.tiny_models import IMAGES, LABELS, batch_of, gradients, tiny_ccvae

PREDICTIVE_SAMPLES = 6
NOT_CLASSIFIER = ("encoder", "decoder", "conditional_prior")
NETWORKS = ("classifier", *NOT_CLASSIFIER)


def build(**options: Any) -> CCVAE:
    return tiny_ccvae(
        CCVAEConfig(
            **{
                "characteristic_size": 2,
                "style_size": 1,
                "hidden_width": 8,
                "predictive_samples": PREDICTIVE_SAMPLES,
                "label_marginal": "exact",
                "weight_limit": None,
                **options,
            }
        )
    )


def labelled_objective(model: CCVAE, draws: InjectedDraws) -> Tensor:
    """The objective of one labelled image, for noise that is the same at every call."""
    draws.give(noise(model.config.importance_samples, 1, 3, seed=1), noise(PREDICTIVE_SAMPLES, 1, 2, seed=2))
    return model(batch_of(IMAGES[:1], LABELS[:1], 1)).objective.sum()


def labelled_gradient(draws: InjectedDraws, **options: Any) -> dict[str, Tensor]:
    model = build(**options)
    return gradients(labelled_objective(model, draws), model)
