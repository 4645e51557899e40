"""The papers' tables; rows, columns and values are those of ``paper_tables.csv``."""

from __future__ import annotations

from pipeline.reports.detail import Detail
from pipeline.reports.paper_table import PaperTable
from pipeline.reports.recipes import (
    OF_CCVAE,
    OF_CSVAE,
    OF_RB_VAE,
    OF_REVAE,
    OF_REVAE_ONE_PER_CLASS,
    OF_REVAE_WITHOUT_STYLE,
)

_SWITCHED = Detail(
    measure="attribute_switching",
    names="values",
    numbers="value_switch_accuracy",
    row="all",
    whole=("final",),
    called={"glasses": ("yes",), "facial_hair": ("yes",), "neutral": ("no", "neutral")},
)
"""A class is the one that a picture is switched to."""

_COMPARED = Detail(
    measure="identity_error",
    names="compared",
    numbers="errors",
    row="all",
    whole=("target_minus_changed",),
)

_FACTORS = Detail(
    measure="linear_probes",
    names="factors",
    numbers="linear_probe_mae",
    row="average",
    whole=("average",),
    called={"scale": ("size",)},
)
_EXPRESSIONS = Detail(
    measure="linear_probes",
    names="values",
    numbers="linear_probe_accuracy",
    row="average",
    whole=("average",),
)

TABLES = (
    PaperTable(paper="ccvae", table="1", shows="classification accuracies", recipes=OF_CCVAE),
    PaperTable(
        paper="ccvae", table="2", shows="how much swaps change what is read of a label", recipes=OF_CCVAE
    ),
    PaperTable(paper="ccvae", table="4", shows="Fréchet distances of generated images", recipes=OF_CCVAE),
    PaperTable(
        paper="ccvae", table="5", shows="whether generated images show their labels", recipes=OF_CCVAE
    ),
    PaperTable(
        paper="ccvae", table="6", shows="classification accuracies with one class label", recipes=OF_CCVAE
    ),
    PaperTable(
        paper="ccvae",
        table="7",
        shows="generations with one class label, and mutual information",
        recipes=OF_CCVAE,
    ),
    PaperTable(paper="revae", table="1", shows="classification accuracies", recipes=OF_REVAE),
    PaperTable(
        paper="revae", table="2", shows="generations: accuracy, mutual information, FID", recipes=OF_REVAE
    ),
    PaperTable(
        paper="revae",
        table="5",
        shows="classification with all latents in z_c",
        recipes=OF_REVAE_WITHOUT_STYLE,
    ),
    PaperTable(
        paper="revae", table="6", shows="generation with all latents in z_c", recipes=OF_REVAE_WITHOUT_STYLE
    ),
    PaperTable(paper="revae", table="D.2", shows="one label per class", recipes=OF_REVAE_ONE_PER_CLASS),
    PaperTable(paper="csvae", table="1", shows="whether switched attributes are seen", recipes=OF_CSVAE),
    PaperTable(
        paper="csvae",
        table="2",
        shows="a person with another expression, against a true picture",
        recipes=OF_CSVAE,
        details={"identity_mse": _COMPARED},
    ),
    PaperTable(
        paper="csvae",
        table="3",
        shows="whether switched expressions are seen, each",
        recipes=OF_CSVAE,
        details={"attribute_switch_accuracy": _SWITCHED},
    ),
    PaperTable(
        paper="csvae",
        table="4",
        shows="whether switched attributes are seen, on and off",
        recipes=OF_CSVAE,
        details={"attribute_switch_accuracy": _SWITCHED},
    ),
    PaperTable(
        paper="rb_vae",
        table="1",
        shows="what a linear model reads of target factors",
        recipes=OF_RB_VAE,
        details={"linear_probe_mae": _FACTORS, "linear_probe_accuracy": _EXPRESSIONS},
        chosen_by={
            metric: f"{metric}_in_cross_validation"
            for metric in ("linear_probe_mae", "linear_probe_accuracy")
        },
    ),
    PaperTable(
        paper="rb_vae",
        table="sec5.3",
        shows="what a linear model reads of target factors from the common factors z",
        recipes=OF_RB_VAE,
    ),
)
