"""Presets by name, and settings that are refused in a sentence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from data_prep.errors import ConfigError
from pipeline.models.beta_tcvae import BetaTCVAEConfig
from pipeline.models.beta_vae import BetaVAEConfig
from pipeline.models.ccvae import CCVAEBoundConfig, CCVAEConfig
from pipeline.models.ccvae_one_per_class import OnePerClassCCVAEConfig
from pipeline.models.cond_vae import CondVAEConfig
from pipeline.models.csvae import CSVAEConfig
from pipeline.models.dip_vae import DipVAEIConfig, DipVAEIIConfig
from pipeline.models.diva import DivaConfig
from pipeline.models.diva_original import DivaOriginalConfig
from pipeline.models.interface import DataSpec
from pipeline.models.label_reader import LabelReaderConfig
from pipeline.models.m2 import M2Config
from pipeline.models.m3 import M3Config
from pipeline.models.mvae import MVAEConfig
from pipeline.models.registry import PRESETS, SystemConfig
from pipeline.models.vae import VAEConfig

FASHION_MNIST = DataSpec(image_shape=(1, 28, 28), cardinalities=(10,), label_frequencies=(tuple([0.1] * 10),))

ROTATED_MNIST = DataSpec(
    image_shape=(1, 28, 28),
    cardinalities=(10, 5),
    label_frequencies=(tuple([0.1] * 10), tuple([0.2] * 5)),
)

WITHOUT_LABELS = (
    "vae",
    "beta_vae",
    "beta_tcvae",
    "dip_vae_i",
    "dip_vae_ii",
    *(name for name in PRESETS if name.endswith("-ruiz")),
    "rb_vae",
    "srb_vae",
    "svae",
    "mathieu",
)
OF_RUIZ = {"network": "pixel_norm", "likelihood": "laplace", "likelihood_scale": 0.005, "latent_size": 32}
"""Ruiz et al. 2019, section 5.2: the same for all systems, theirs by default."""
WITHOUT_CLASSIFIER = (*WITHOUT_LABELS, "cond_vae", "cond_vae_info", "csvae")
"""The papers of these predict no label from an image."""


def data_of(preset: str) -> DataSpec:
    return ROTATED_MNIST if preset == "diva_original" else FASHION_MNIST


def test_presets_are_the_papers_models() -> None:
    configs = {name: preset.config() for name, preset in PRESETS.items()}
    assert configs["ccvae"] == CCVAEConfig()
    assert configs["m2"] == M2Config()
    assert configs["m2-celeba"] == M2Config(latent_size=27)
    assert configs["mvae"] == MVAEConfig()
    assert configs["mvae-celeba"] == MVAEConfig(latent_size=27 + 18)
    assert configs["m3"] == M3Config()
    assert configs["diva"] == DivaConfig()
    assert configs["vae"] == VAEConfig(reconstruction_weight=1.0, kl_weight=1.0)
    assert configs["beta_vae"] == BetaVAEConfig(beta=4.0)
    assert configs["beta_tcvae"] == BetaTCVAEConfig(beta=6.0)
    # λ_d is 10 λ_od in DIP-VAE-I, and λ_od in DIP-VAE-II.
    assert configs["dip_vae_i"] == DipVAEIConfig(covariance_weight=10.0, variance_factor=10.0)
    assert configs["dip_vae_ii"] == DipVAEIIConfig(covariance_weight=10.0, variance_factor=1.0)
    for system in ("vae", "beta_vae", "beta_tcvae", "dip_vae_i", "dip_vae_ii"):
        theirs = {name: getattr(configs["rb_vae"], name) for name in OF_RUIZ}
        assert configs[f"{system}-ruiz"] == replace(configs[system], **theirs)
        assert theirs == OF_RUIZ
    csvae = configs["csvae"]
    assert isinstance(csvae, CSVAEConfig)
    assert (csvae.reconstruction_weight, csvae.subspace_kl_weight, csvae.kl_weight) == (20, 1, 0.2)
    assert (csvae.entropy_weight, csvae.adversary_weight) == (10, 1)
    assert (csvae.subspace_size, csvae.attribute_at_origin) == (2, False)
    assert configs["diva_original"] == DivaOriginalConfig()
    celeba = configs["ccvae-celeba"]
    assert isinstance(celeba, CCVAEConfig)
    assert celeba.style_size == 27
    assert configs["ccvae-constant"] == replace(
        celeba, weight_gradient="none", classifier_weight=1000.0, bounded_weight=True
    )
    assert configs["revae-one-per-class"] == OnePerClassCCVAEConfig(nearest_example_weight=5.0)
    assert [name for name, preset in PRESETS.items() if preset.one_per_class] == ["revae-one-per-class"]
    revae, exact = configs["revae"], configs["ccvae-exact"]
    assert isinstance(revae, CCVAEConfig)
    assert (revae.characteristic_size, revae.style_size) == (4, 10)
    assert isinstance(exact, CCVAEConfig)
    assert (exact.weight_gradient, exact.reparameterise_classifier) == ("as_printed", True)
    assert (exact.label_marginal, exact.classifier_weight) == ("exact", 1.0)
    assert exact.importance_samples > 1
    assert exact.weight_limit is None
    # What reproduces the paper without its divergence.
    for paper in (CCVAEConfig(), revae):
        assert paper.label_marginal == "jensen_enumerated"
        assert (paper.weight_gradient, paper.bounded_weight, paper.weight_limit) == ("denominator", True, 3.0)
        assert (paper.predictive_samples, paper.importance_samples, paper.classifier_weight) == (100, 1, 1.0)
        assert not paper.reparameterise_classifier


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in WITHOUT_CLASSIFIER])
def test_networks_have_the_papers_sizes(name: str) -> None:
    config = PRESETS[name].config()
    model = config.build(data_of(name))
    shapes = {key: tuple(value.shape) for key, value in model.named_parameters() if value.ndim == 2}
    if isinstance(config, M2Config):
        assert list(shapes.values()) == [
            *[(600, 784), (600, 600), (10, 600)],
            *[(600, 794), (600, 600), (2 * config.latent_size, 600)],
            *[(600, config.latent_size + 10), (600, 600), (784, 600)],
        ]
    elif isinstance(config, MVAEConfig):
        assert list(shapes.values()) == [
            *[(600, 784), (600, 600), (2 * config.latent_size, 600)],
            *[(600, config.latent_size), (600, 600), (784, 600)],
            *[(512, 10), (512, 512), (2 * config.latent_size, 512)],
            *[(512, config.latent_size), (512, 512), (10, 512)],
        ]
    elif isinstance(config, M3Config):
        assert list(shapes.values()) == [
            *[(600, 784), (600, 600), (20, 600)],
            *[(600, 10), (600, 600), (784, 600)],
            *[(50, 10), (10, 50)],
        ]
    elif isinstance(config, DivaOriginalConfig):
        assert list(shapes.values()) == [
            *[(128, 1024)] * 3,
            *[(600, 192), (600, 600), (784, 600)],
            *[(50, 64), (10, 50), (50, 64), (5, 50)],
            *[(50, 10), (128, 50), (50, 5), (128, 50)],
        ]
    elif isinstance(config, LabelReaderConfig):
        assert list(shapes.values()) == [(10, 128)]
    else:
        assert isinstance(config, CCVAEBoundConfig | DivaConfig)
        m_c, m = config.characteristic_size, config.characteristic_size + config.style_size
        assert list(shapes.values()) == [
            *[(600, 784), (600, 600), (2 * m, 600)],
            *[(600, m), (600, 600), (784, 600)],
            *[(50, m_c), (10, 50)],
            *[(50, 10), (2 * m_c, 50)],
        ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"characteristic_size": 0}, "ccvae: characteristic_size is 0; it must be at least 1"),
        ({"hidden_width": -3}, "ccvae: hidden_width is -3; it must be at least 1"),
        ({"importance_samples": 0}, "ccvae: importance_samples is 0; it must be at least 1"),
        ({"label_latents": (1, 0)}, r"ccvae: label_latents is \(1, 0\); each must be at least 1"),
        ({"style_size": -1}, "ccvae: style_size is -1; it must not be negative"),
        (
            {"importance_samples": 2},
            "ccvae: weight_gradient=denominator needs importance_samples=1: self-normalised weights have none",
        ),
        (
            {"reparameterise_classifier": True},
            "ccvae: reparameterise_classifier needs weight_gradient=as_printed: denominator has no gradient there",
        ),
        (
            {"reparameterise_classifier": True, "weight_gradient": "none"},
            "ccvae: reparameterise_classifier needs weight_gradient=as_printed: none has no gradient there",
        ),
        (
            {"predictive_samples": 0, "bounded_weight": False},
            r"ccvae: predictive_samples is 0; q\(y\|x\) needs at least one sample",
        ),
        (
            {"predictive_samples": -1},
            r"ccvae: predictive_samples is -1; q\(y\|x\) needs at least one sample",
        ),
        ({"weight_limit": 0.99}, "ccvae: weight_limit is 0.99; below 1 it would truncate ordinary weights"),
        ({"weight_limit": -3.0}, "ccvae: weight_limit is -3.0; below 1 it would truncate ordinary weights"),
        (
            {"weight_limit": math.nan},
            "ccvae: weight_limit is nan; below 1 it would truncate ordinary weights",
        ),
        ({"classifier_weight": -0.1}, "ccvae: classifier_weight is -0.1; it must not be negative"),
        ({"classifier_weight": math.nan}, "ccvae: classifier_weight is nan; it must not be negative"),
        (
            {"weight_gradient": "foo"},
            "ccvae: weight_gradient is 'foo'; it must be as_printed, denominator or none",
        ),
        (
            {"label_marginal": "jensen"},
            "ccvae: label_marginal is 'jensen'; it must be exact, jensen_enumerated or jensen_sampled",
        ),
        ({"system": "m2"}, "m2: system is 'm2'; it must be ccvae"),
    ],
)
@pytest.mark.usefixtures("no_type_checks")
def test_settings_without_a_meaning_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        CCVAEConfig(**options)


def test_the_smallest_meaningful_settings_are_accepted() -> None:
    assert CCVAEConfig(weight_limit=1.0, classifier_weight=0.0, predictive_samples=0).weight_limit == 1


@pytest.mark.parametrize(
    ("config", "cardinalities", "sentence"),
    [
        *[
            (config(), (), f"{config().system} needs a data set with labels; this one has none")
            for config in (
                M2Config,
                CCVAEConfig,
                M3Config,
                DivaConfig,
                MVAEConfig,
                CondVAEConfig,
                CSVAEConfig,
            )
        ],
        (
            CCVAEConfig(label_latents=(1,)),
            (2, 2),
            "ccvae: label_latents names 1 labels; the data set has 2",
        ),
        (
            CCVAEConfig(network="convolutional"),
            (2, 2),
            "ccvae: network=convolutional needs square images .*; these have 36 x 28 pixels",
        ),
    ],
)
def test_unsupported_data_is_refused(
    config: SystemConfig, cardinalities: tuple[int, ...], sentence: str
) -> None:
    shape = DataSpec(
        image_shape=(1, 36, 28),
        cardinalities=cardinalities,
        label_frequencies=tuple((0.5, 0.5) for _ in cardinalities),
    )
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        config.build(shape)
