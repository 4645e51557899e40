"""How the models of the papers' tables were trained, to compare each row with the runs that it belongs to.

What a paper does not state is taken from the preset or recipe made for its table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.measures.papers import PaperValue, numbers_in

_ADAM = {"optimiser.milestones": "()", "optimiser.betas": "(0.9, 0.999)"}
_HUNDRED_EPOCHS = {"training.epochs": "100", **_ADAM}
_OF_DIGITS = {"optimiser.learning_rate": "0.0005", **_HUNDRED_EPOCHS}
_OF_PICTURES = {"optimiser.learning_rate": "0.0002", **_HUNDRED_EPOCHS}
_OF_KLYS = {
    "training.epochs": "2300",
    "training.batch_size": "64",
    "optimiser.learning_rate": "0.0005",
    "optimiser.milestones": "(1, 3, 9, 27, 81, 243, 729)",
    "optimiser.decay": str(0.1 ** (1 / 7)),
    "optimiser.betas": "(0.9, 0.999)",
    "model.reconstruction_weight": "20",
    "model.kl_weight": "0.2",
    "model.likelihood": "gaussian",
    "model.hidden_labels": "0",
}
_OF_RUIZ = {
    "optimiser.learning_rate": "0.0001",
    "optimiser.milestones": "()",
    "optimiser.betas": "(0.5, 0.99)",
    "model.network": "pixel_norm",
    "model.likelihood": "laplace",
    "model.likelihood_scale": "0.005",
    "model.latent_size": "32",
}
DIGITS = ("mnist", "fashion_mnist")
ATTRIBUTES = ("tfd", "celeba_glasses", "celeba_facial_hair")


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperSetting:
    """How a model of a paper's tables was trained, according to the paper or the preset made for it."""

    paper: str
    """Short name, a key of :data:`~pipeline.measures.papers.PAPERS`."""
    model: str
    """Name of the model in the tables."""
    datasets: tuple[str, ...]
    presets: tuple[str, ...]
    """Presets made for the paper's model."""
    related: tuple[str, ...] = ()
    """Other presets of the same model, with estimators or terms of ours, which are listed as deviations."""
    decides: Mapping[str, str] = field(default_factory=dict)
    """Params that distinguish the paper's rows."""
    states: Mapping[str, str] = field(default_factory=dict)
    """Params that are listed if a run has a different value."""
    row: str | None = None
    """The row's setting in place of a supervision rate."""
    tried: tuple[str, ...] = ()
    """Params of which the paper tried several values and has the best: none is a deviation."""

    def numbers(self, dataset: str, metric: str) -> Iterator[PaperValue]:
        """The paper's numbers of a metric, at every supervision rate."""
        for number in numbers_in(self.paper, self.model, dataset, metric):
            if number.setting == self.row or (self.row is None and number.supervision_rate is not None):
                yield number


def _ccvae_sizes(characteristic: int, style: int) -> dict[str, str]:
    sizes = {"characteristic_size": characteristic, "style_size": style, "label_latents": ()}
    return {f"model.{name}": str(value) for name, value in sizes.items()}


_OURS = ("ccvae-exact", "ccvae-constant", "ccvae-consistent", "ccvae-few-labels")
_M2 = ("m2", "m2-celeba")

SETTINGS = (
    # Joy et al. 2021. Section C.3 has 45 latents for CelebA, 27 of them style, and CheXpert's networks are the same; of
    # MNIST and FashionMNIST it gives neither latents nor optimiser: the presets' are those of the previous year's paper.
    PaperSetting(
        paper="ccvae",
        model="ccvae",
        datasets=DIGITS,
        presets=("ccvae",),
        related=_OURS,
        decides=_ccvae_sizes(10, 0),
        states=_OF_DIGITS,
    ),
    *(
        PaperSetting(
            paper="ccvae",
            model="ccvae",
            datasets=(dataset,),
            presets=("ccvae", "ccvae-celeba"),
            related=_OURS,
            decides=_ccvae_sizes(10, style_size),
            states=_OF_PICTURES,
        )
        for dataset, style_size in (("celeba", 27), ("chexpert", 40))
    ),
    *(
        PaperSetting(
            paper="ccvae",
            model=model,
            datasets=datasets,
            presets=presets,
            states={**training, f"model.{latents}": size},
        )
        for model, presets, latents, datasets, training, size in (
            ("m2", _M2, "latent_size", DIGITS, _OF_DIGITS, "10"),
            ("m2", _M2, "latent_size", ("celeba",), _OF_PICTURES, "27"),
            ("m2", _M2, "latent_size", ("chexpert",), _OF_PICTURES, "40"),
            ("diva", ("diva",), "style_size", ("celeba",), _OF_PICTURES, "27"),
            ("diva", ("diva",), "style_size", ("chexpert",), _OF_PICTURES, "40"),
            ("mvae", ("mvae", "mvae-celeba"), "latent_size", ("celeba", "chexpert"), _OF_PICTURES, "45"),
        )
    ),
    # Joy et al. 2020 (ReVAE). C.2: 4 + 10 latents for FashionMNIST, 18 + 27 for CelebA, where each binary label has one
    # for any characteristic_size, which there only distinguishes the preset revae from ccvae. D.1: all latents in z_c.
    PaperSetting(
        paper="revae",
        model="revae",
        datasets=("fashion_mnist",),
        presets=("revae",),
        decides=_ccvae_sizes(4, 10),
        states=_OF_DIGITS,
    ),
    PaperSetting(
        paper="revae",
        model="revae",
        datasets=("celeba",),
        presets=("ccvae-celeba", "revae"),
        decides=_ccvae_sizes(4, 27),
        states=_OF_PICTURES,
    ),
    *(
        PaperSetting(
            paper="revae",
            model=f"revae_{size}",
            datasets=DIGITS,
            presets=("ccvae", "revae"),
            related=_OURS,
            decides=_ccvae_sizes(size, 0),
            states=_OF_DIGITS,
        )
        for size in (10, 20)
    ),
    PaperSetting(
        paper="revae",
        model="revae",
        datasets=("mnist",),
        presets=("revae-one-per-class",),
        decides={"data.one_per_class": "True", "data.supervision_rate": "0"},
        states=_OF_DIGITS,
        row="one_label_per_class mu=5",
    ),
    *(
        PaperSetting(
            paper="revae", model=model, datasets=datasets, presets=presets, states={**training, **sizes}
        )
        for model, presets, datasets, training, sizes in (
            ("m2", _M2, DIGITS, _OF_DIGITS, {"model.latent_size": "10"}),
            ("m2", _M2, ("celeba",), _OF_PICTURES, {"model.latent_size": "27"}),
            ("m3", ("m3",), ("fashion_mnist",), _OF_DIGITS, _ccvae_sizes(4, 10)),
            ("m3", ("m3",), ("celeba",), _OF_PICTURES, {"model.style_size": "27"}),
        )
    ),
    # Klys et al. 2018, table 1: all four with the same hyperparameters (7.1), all labels observed.
    *(
        PaperSetting(
            paper="csvae",
            model=system,
            datasets=ATTRIBUTES,
            presets=(system,),
            decides={"data.supervision_rate": "1"},
            states={**_OF_KLYS, **more},
            row="all",
        )
        for system, more in (
            ("vae", {}),
            ("cond_vae", {}),
            ("cond_vae_info", {"model.information_weight": "10"}),
            ("csvae", {}),
        )
    ),
    # Ruiz et al. 2019, table 1 and section 5.3: 36 images a step, and as many references. Strengths of regularisation
    # between 1 and 50.
    *(
        PaperSetting(
            paper="rb_vae",
            model=model,
            datasets=(dataset,),
            presets=presets,
            states={**_OF_RUIZ, "training.epochs": epochs, "training.batch_size": batch_size},
            row="average",
            tried=tried,
        )
        for dataset, epochs in (("transformed_mnist", "30"), ("affectnet", "20"))
        for model, presets, batch_size, tried in (
            ("vae", ("vae-ruiz", "vae"), "36", ()),
            ("beta_vae", ("beta_vae-ruiz", "beta_vae"), "36", ("model.beta",)),
            ("beta_tcvae", ("beta_tcvae-ruiz", "beta_tcvae"), "36", ("model.beta",)),
            ("dip_vae_i", ("dip_vae_i-ruiz", "dip_vae_i"), "36", ("model.covariance_weight",)),
            ("dip_vae_ii", ("dip_vae_ii-ruiz", "dip_vae_ii"), "36", ("model.covariance_weight",)),
            ("svae", ("svae",), "36", ()),
            ("mathieu", ("mathieu",), "72", ()),
            ("rb_vae", ("rb_vae",), "72", ()),
            ("srb_vae", ("srb_vae",), "72", ()),
        )
    ),
)
"""If several belong to a run, the first one's number is in the table, the others are below it."""
