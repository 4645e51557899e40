"""Every system by name: its configuration class, and its named presets on the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from pipeline.models.beta_tcvae import BetaTCVAEConfig
from pipeline.models.beta_vae import BetaVAEConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.ccvae_one_per_class import OnePerClassCCVAEConfig
from pipeline.models.cond_vae import CondVAEConfig, CondVAEInfoConfig
from pipeline.models.csvae import CSVAEConfig
from pipeline.models.dip_vae import DipVAEIConfig, DipVAEIIConfig
from pipeline.models.diva import DivaConfig
from pipeline.models.diva_original import DivaOriginalConfig
from pipeline.models.label_reader import LabelReaderConfig
from pipeline.models.m2 import M2Config
from pipeline.models.m3 import M3Config
from pipeline.models.mathieu import MathieuConfig
from pipeline.models.mvae import MVAEConfig
from pipeline.models.rb_vae import RbVAEConfig
from pipeline.models.srb_vae import SRbVAEConfig
from pipeline.models.svae import SVAEConfig
from pipeline.models.vae import VAEConfig

SystemConfig = (
    CCVAEConfig
    | OnePerClassCCVAEConfig
    | M2Config
    | M3Config
    | MVAEConfig
    | DivaConfig
    | DivaOriginalConfig
    | VAEConfig
    | CondVAEConfig
    | CondVAEInfoConfig
    | CSVAEConfig
    | BetaVAEConfig
    | BetaTCVAEConfig
    | DipVAEIConfig
    | DipVAEIIConfig
    | RbVAEConfig
    | SRbVAEConfig
    | SVAEConfig
    | MathieuConfig
    | LabelReaderConfig
)
ModelConfig = Annotated[SystemConfig, Field(discriminator="system")]


@dataclass(frozen=True, slots=True)
class Preset:
    """A system with named settings."""

    describes: str
    """One line for ``--help``."""
    config: Callable[[], SystemConfig]
    one_per_class: bool = False
    """Whether it is made for one label per class, which is then the default of a run."""


_RUIZ: dict[str, Any] = {
    "network": "pixel_norm",
    "likelihood": "laplace",
    "likelihood_scale": 0.005,
    "latent_size": 32,
}
"""What Ruiz et al. 2019 give all systems that they compare (section 5.2); it is the default of their own."""
_AS_RUIZ = "with the networks, density and latents of Ruiz et al. 2019, for transformed-mnist and affectnet"

PRESETS = {
    "ccvae": Preset("CCVAE with the settings that reproduce the paper (Joy et al. 2021)", CCVAEConfig),
    "ccvae-celeba": Preset("CCVAE with the paper's 27 style latents for CelebA", CCVAEConfig.celeba),
    "ccvae-constant": Preset(
        "CCVAE for 64 x 64 images with many labels: a constant weight, better images at the same accuracy",
        CCVAEConfig.constant_weight,
    ),
    "ccvae-consistent": Preset(
        "ccvae-constant whose decoder also learns to draw changed labels so that the encoder reads them",
        CCVAEConfig.consistent,
    ),
    "ccvae-few-labels": Preset(
        "ccvae that also learns from its own confident readings of images without labels (Sohn et al. 2020)",
        CCVAEConfig.few_labels,
    ),
    "ccvae-exact": Preset("CCVAE as the low-variance bound with its own gradient", CCVAEConfig.exact),
    "revae": Preset("ReVAE: CCVAE with 4 characteristic and 10 style latents", CCVAEConfig.revae),
    "revae-one-per-class": Preset(
        "ReVAE with one labelled example of each class (its appendix D.2)",
        OnePerClassCCVAEConfig,
        one_per_class=True,
    ),
    "m2": Preset("M2: labels and latents, enumerated or sampled (Kingma et al. 2014)", M2Config),
    "m2-celeba": Preset("M2 with 27 latents, for CelebA", M2Config.celeba),
    "m3": Preset("M3: a VAE with a classifier of its latents (CCVAE eq. 2)", M3Config),
    "mvae": Preset("MVAE: a product of experts on image and labels (Wu & Goodman 2018)", MVAEConfig),
    "mvae-celeba": Preset("MVAE with 45 latents, like CCVAE for CelebA", MVAEConfig.celeba),
    "diva": Preset("DIVA without domains, as CCVAE's appendix C.4 modifies it", DivaConfig),
    "diva_original": Preset("DIVA with domains (Ilse et al. 2019), for rotated-mnist", DivaOriginalConfig),
    "vae": Preset("a plain VAE, without labels", VAEConfig),
    "vae-ruiz": Preset(f"a plain VAE {_AS_RUIZ}", partial(VAEConfig, **_RUIZ)),
    "cond_vae": Preset(
        "CondVAE: encoder and decoder take the labels (Klys et al. 2018); an unlabelled example contributes the bound of"
        " log p(x | labels unknown), unknown being one more condition",
        CondVAEConfig,
    ),
    "cond_vae_info": Preset(
        "CondVAE-info: decoder with labels, encoder that hides them from an adversary (Klys et al. 2018);"
        " unlabelled examples as in cond_vae, and without the adversary",
        CondVAEInfoConfig,
    ),
    "csvae": Preset(
        "CSVAE: a subspace for each attribute (Klys et al. 2018); unlabelled examples contribute the bound of log p(x) and"
        " the entropy term, and do not train the adversary",
        CSVAEConfig,
    ),
    "beta_vae": Preset("beta-VAE: a plain VAE whose KL counts more (Higgins et al. 2017)", BetaVAEConfig),
    "beta_tcvae": Preset(
        "beta-TCVAE: a VAE with a penalty on the total correlation of its latents (Chen et al. 2018)",
        BetaTCVAEConfig,
    ),
    "dip_vae_i": Preset(
        "DIP-VAE-I: a VAE whose posterior means are pulled to covariance I (Kumar et al. 2018)", DipVAEIConfig
    ),
    "dip_vae_ii": Preset(
        "DIP-VAE-II: a VAE whose latents are pulled to covariance I (Kumar et al. 2018)", DipVAEIIConfig
    ),
    "beta_vae-ruiz": Preset(f"beta-VAE {_AS_RUIZ}", partial(BetaVAEConfig, **_RUIZ)),
    "beta_tcvae-ruiz": Preset(f"beta-TCVAE {_AS_RUIZ}", partial(BetaTCVAEConfig, **_RUIZ)),
    "dip_vae_i-ruiz": Preset(f"DIP-VAE-I {_AS_RUIZ}", partial(DipVAEIConfig, **_RUIZ)),
    "dip_vae_ii-ruiz": Preset(f"DIP-VAE-II {_AS_RUIZ}", partial(DipVAEIIConfig, **_RUIZ)),
    "rb_vae": Preset(
        "Rb-VAE: a reference set in which the target factors are constant tells them from the others (Ruiz et al. 2019)",
        RbVAEConfig,
    ),
    "srb_vae": Preset("sRb-VAE: Rb-VAE learned against two discriminators (Ruiz et al. 2019)", SRbVAEConfig),
    "svae": Preset("sVAE: a symmetric VAE, learned against a discriminator (Pu et al. 2018)", SVAEConfig),
    "mathieu": Preset(
        "an autoencoder with an adversary on swapped codes, and pairs of references (Mathieu et al. 2016, as Ruiz et al."
        " adapt it)",
        MathieuConfig,
    ),
    "label_reader": Preset(
        "an independent classifier of pictures, which judges what other systems draw; no VAE",
        LabelReaderConfig,
    ),
}
