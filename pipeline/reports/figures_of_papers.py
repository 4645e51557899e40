"""The papers' figures that measures draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pipeline.reports.paper_figure import PaperFigure, Pictures
from pipeline.reports.recipes import (
    OF_CCVAE,
    OF_CCVAE_WITH_STYLE,
    OF_CSVAE,
    OF_CSVAE_FIGURES,
    OF_CSVAE_SWISS_ROLL,
    OF_RB_VAE_WITH_DRAWN_FACES,
    OF_REVAE,
    OF_STUDY,
    OF_STUDY_HAIR,
    OF_STUDY_SCHEDULE,
    Recipes,
)

_FACES, _RADIOGRAPHS, _CLASSES = ("celeba",), ("chexpert",), ("mnist", "fashion_mnist")
_RATES = (0.004, 0.06, 0.2, 1.0)
_STYLE = {"model.style_size": ("10",)}
_ONE_HAIR_LATENT = {"model.characteristic_size": ("1",), "data.supervision_schedule": ("()",)}
_SCHEDULE = {
    "model.characteristic_size": ("1",),
    "data.supervision_schedule": ("((40, 0.5), (80, 0.1))", "((2, 0.5), (4, 0.1))"),
}
"""The study's, and the quick recipe's."""

_INTERVENTIONS = Pictures("intervention_grid", "interventions")
_DRAWS = Pictures("intervention_grid", "intervention_draws")
_SWAPS = Pictures("swap_grid", "swaps")
_VARIANCE = Pictures("diversity", "diversity")
_TRAVERSALS = Pictures("traversal_grid", "traversals")
_EMBEDDINGS = Pictures("latent_histogram", "latent_histogram")
_MATRIX = Pictures("single_interventions", "log_probability_changes")
_SWITCHED = Pictures("attribute_switching_grid", "attribute_switching")
_RECONSTRUCTIONS = Pictures("reconstruction_grid", "reconstructions")


def _plane(labels: str, datasets: tuple[str, ...] = _FACES) -> Pictures:
    return Pictures(f"traversal_plane:labels={labels}", "traversal_plane", datasets)


def _ccvae(
    figure: str,
    shows: str,
    *pictures: Pictures,
    systems: tuple[str, ...] = ("ccvae",),
    datasets: tuple[str, ...] = _FACES,
    rates: tuple[float, ...] = (),
) -> PaperFigure:
    return PaperFigure(
        paper="ccvae",
        figure=figure,
        shows=shows,
        pictures=pictures,
        systems=systems,
        datasets=datasets,
        recipes=OF_CCVAE,
        rates=rates,
    )


def _with_style(
    figure: str, shows: str, *pictures: Pictures, systems: tuple[str, ...] = ("ccvae",)
) -> PaperFigure:
    found = _ccvae(figure, shows, *pictures, systems=systems, datasets=_CLASSES)
    return replace(found, recipes=OF_CCVAE_WITH_STYLE, settings=_STYLE)


_MATRICES = (("10", "ccvae", "CCVAE"), ("12", "m2", "M2"), ("14", "diva", "DIVA"), ("16", "mvae", "MVAE"))
_GALLERIES = (("11", "ccvae", "CCVAE"), ("13", "m2", "M2"), ("15", "diva", "DIVA"), ("17", "mvae", "MVAE"))

OF_JOY_2021 = (
    _ccvae(
        "3",
        "two labels changed continuously",
        _plane("Pale_Skin+Young"),
        _plane("Smiling+Wearing_Necktie"),
        _plane("Pleural_Effusion+Cardiomegaly", _RADIOGRAPHS),
        systems=("diva", "ccvae"),
        datasets=_FACES + _RADIOGRAPHS,
    ),
    _ccvae("4", "several draws of one label's characteristics", _DRAWS, datasets=_FACES + _RADIOGRAPHS),
    _ccvae(
        "5",
        "variance over draws of one label's characteristics",
        _VARIANCE,
        datasets=_FACES + _RADIOGRAPHS,
    ),
    _ccvae("6", "a swap of characteristics", _SWAPS),
    _ccvae("7", "swaps of characteristics", _SWAPS, systems=("ccvae", "m2", "diva", "mvae")),
    *(
        _ccvae(
            figure,
            f"which labels change in {name}'s single interventions",
            _MATRIX,
            systems=(system,),
            rates=_RATES,
        )
        for figure, system, name in _MATRICES
    ),
    *(
        _ccvae(figure, f"single interventions by {name}", _INTERVENTIONS, systems=(system,))
        for figure, system, name in _GALLERIES
    ),
    _ccvae("18", "traversals of single labels", _TRAVERSALS),
    _ccvae("19", "traversals of single labels by DIVA", _TRAVERSALS, systems=("diva",)),
    _ccvae("20", "variance over draws of one label's characteristics, more labels", _VARIANCE),
    _ccvae(
        "21",
        "the plane between four classes",
        Pictures("traversal_plane", "traversal_plane"),
        datasets=_CLASSES,
    ),
    _with_style("22", "classes changed by CCVAE, the style as it is", _INTERVENTIONS),
    _with_style("23", "classes changed by M2", _INTERVENTIONS, systems=("m2",)),
    _with_style("24", "swaps of characteristics, CCVAE and M2", _SWAPS, systems=("ccvae", "m2")),
)


def _revae(
    figure: str,
    shows: str,
    *pictures: Pictures,
    systems: tuple[str, ...] = ("ccvae",),
    datasets: tuple[str, ...] = _FACES,
) -> PaperFigure:
    found = _ccvae(figure, shows, *pictures, systems=systems, datasets=datasets)
    return replace(found, paper="revae", recipes=OF_REVAE)


_FOUR_CLOTHES = "traversal_plane:classes=T-shirt/top+Pullover+Coat+Dress"

OF_JOY_2020 = (
    _revae("3", "single interventions", _INTERVENTIONS),
    _revae(
        "4",
        "which labels change in single interventions, in probability",
        Pictures("single_interventions", "probability_changes"),
        systems=("m2", "ccvae"),
    ),
    _revae(
        "5",
        "swaps of characteristics, and how much they change what is read of each label",
        _SWAPS,
        Pictures("characteristic_swap", "swap_differences"),
        systems=("m2", "ccvae"),
    ),
    _revae("6", "several draws of one label's characteristics", _DRAWS),
    _revae(
        "7",
        "two labels changed continuously, and the plane between four classes",
        _plane("Pale_Skin+Young"),
        _plane("Smiling+Wearing_Necktie"),
        _plane("Male+No_Beard"),
        Pictures(_FOUR_CLOTHES, "traversal_plane", ("fashion_mnist",)),
        datasets=(*_FACES, "fashion_mnist"),
    ),
    _revae("9", "single interventions by ReVAE", _INTERVENTIONS),
    _revae("10", "single interventions by M2", _INTERVENTIONS, systems=("m2",)),
)


def _study(figure: str, shows: str, *pictures: Pictures) -> PaperFigure:
    """18 binary labels, 80 epochs, f = 0.1."""
    return PaperFigure(
        paper="ccvae_study",
        figure=figure,
        shows=shows,
        pictures=pictures,
        systems=("ccvae",),
        datasets=_FACES,
        recipes=OF_STUDY,
        rates=(0.1,),
    )


def _hair(figure: str, shows: str, *pictures: Pictures) -> PaperFigure:
    """Hair as one label of five values in one latent, 80 epochs, f = 0.9."""
    return replace(
        _study(figure, shows, *pictures),
        datasets=("celeba_hair",),
        recipes=OF_STUDY_HAIR,
        rates=(0.9,),
        settings=_ONE_HAIR_LATENT,
    )


OF_PILCHEN = (
    _study("5", "latents of the label smiling, by its value (a panel)", _EMBEDDINGS),
    _study("6", "latents of the label arched eyebrows, by its value (a panel)", _EMBEDDINGS),
    _study("7", "traversal of smiling (a row)", _TRAVERSALS),
    _study("8", "traversal of arched eyebrows (a row)", _TRAVERSALS),
    _study("9", "figures 5 to 8 together", _EMBEDDINGS, _TRAVERSALS),
    _study(
        "10",
        "distance between the latents of a label's values",
        Pictures("latent_separation", "latent_separation"),
    ),
    _hair("11", "traversals of binary labels next to hair in one latent", _TRAVERSALS),
    _hair("12", "traversals of hair in one latent", Pictures("traversal_grid", "traversals_Hair")),
    _study("15", "reconstructions with binary labels", _RECONSTRUCTIONS),
    _hair("16", "reconstructions with hair in one latent", _RECONSTRUCTIONS),
    replace(
        _hair("17", "traversals after f = 0.9, 0.5 and 0.1 for 40 epochs each", _TRAVERSALS),
        recipes=OF_STUDY_SCHEDULE,
        rates=(),
        settings=_SCHEDULE,
    ),
)


def _csvae(
    figure: str,
    shows: str,
    *pictures: Pictures,
    systems: tuple[str, ...],
    datasets: tuple[str, ...] = ("tfd",),
    recipes: Mapping[str, Recipes] = OF_CSVAE,
) -> PaperFigure:
    return PaperFigure(
        paper="csvae",
        figure=figure,
        shows=shows,
        pictures=pictures,
        systems=systems,
        datasets=datasets,
        recipes=recipes,
    )


_MANIPULATING = ("cond_vae", "cond_vae_info", "csvae")
_POINTS = Pictures("subspace_views", "subspace_views")
_DECODED_POINTS = Pictures("subspace_views", "subspace_grid")
_STYLES = Pictures("attribute_styles", "attribute_styles")
_PRODUCTS = Pictures("attribute_styles", "attribute_products")


def _of_both(figure: str, shows: str, pictures: Pictures) -> PaperFigure:
    """Of CSVAE on faces with two labels, glasses and facial hair."""
    return _csvae(
        figure,
        shows,
        pictures,
        systems=("csvae",),
        datasets=("celeba_glasses_facial_hair",),
        recipes=OF_CSVAE_FIGURES,
    )


OF_KLYS = (
    PaperFigure(
        paper="csvae",
        figure="2",
        shows="the swiss roll in Z, in W, and across",
        pictures=(_POINTS,),
        systems=("csvae",),
        datasets=("swiss_roll",),
        recipes=OF_CSVAE_SWISS_ROLL,
    ),
    _csvae(
        "3",
        "glasses and facial hair switched, and decoded from points of their subspaces",
        _SWITCHED,
        _DRAWS,
        _DECODED_POINTS,
        _POINTS,
        systems=_MANIPULATING,
        datasets=("celeba_glasses", "celeba_facial_hair"),
    ),
    _csvae(
        "4",
        "expressions switched, and decoded from points of their subspaces",
        _SWITCHED,
        _DECODED_POINTS,
        _POINTS,
        systems=_MANIPULATING,
    ),
    _of_both("5", "styles of glasses with styles of facial hair", _PRODUCTS),
    _of_both("6", "styles of glasses and of facial hair on many faces", _STYLES),
    _of_both("7", "styles of glasses with styles of facial hair, more faces", _PRODUCTS),
    _csvae(
        "8",
        "all expressions decoded from points of their subspaces",
        _SWITCHED,
        _DECODED_POINTS,
        _POINTS,
        systems=_MANIPULATING,
    ),
    _csvae(
        "9",
        "heavy makeup switched, and decoded from points of its subspace",
        _SWITCHED,
        _DRAWS,
        _DECODED_POINTS,
        _POINTS,
        systems=_MANIPULATING,
        datasets=("celeba_heavy_makeup",),
        recipes=OF_CSVAE_FIGURES,
    ),
    _csvae("10", "expressions switched by several systems", _SWITCHED, systems=("vae", "cond_vae", "csvae")),
    _csvae("11", "distribution over the subspaces", _POINTS, systems=("csvae",)),
)

_SYNTHESIS = Pictures("conditional_synthesis", "conditional_synthesis")
_TRANSFER = Pictures("conditional_synthesis", "characteristic_transfer")
_INTERPOLATION = Pictures("conditional_synthesis", "reference_interpolation")


def _rb_vae(
    figure: str,
    shows: str,
    *pictures: Pictures,
    systems: tuple[str, ...] = ("rb_vae", "srb_vae"),
    datasets: tuple[str, ...] = ("transformed_mnist", "affectnet", "drawn_faces"),
) -> PaperFigure:
    return PaperFigure(
        paper="rb_vae",
        figure=figure,
        shows=shows,
        pictures=pictures,
        systems=systems,
        datasets=datasets,
        recipes={dataset: OF_RB_VAE_WITH_DRAWN_FACES[dataset] for dataset in datasets},
    )


OF_RUIZ = (
    _rb_vae("4", "images with other target factors, drawn from the prior", _SYNTHESIS),
    _rb_vae("5", "target factors of an image A moved to an image B", _TRANSFER),
    _rb_vae(
        "8",
        "images with other target factors, more of them, and from those of the reference set on",
        _SYNTHESIS,
        _INTERPOLATION,
    ),
    _rb_vae("9", "target factors of an image A moved to an image B, more of them", _TRANSFER),
    _rb_vae(
        "10",
        "images with all factors drawn from the prior",
        Pictures("conditional_synthesis", "prior_samples"),
        systems=("srb_vae",),
        datasets=("affectnet", "drawn_faces"),
    ),
)

FIGURES = (*OF_JOY_2021, *OF_JOY_2020, *OF_PILCHEN, *OF_KLYS, *OF_RUIZ)
