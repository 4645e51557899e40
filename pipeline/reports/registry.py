"""Every report by name."""

from __future__ import annotations

import difflib

from data_prep.errors import ConfigError
from pipeline.reports.paper_figure import PaperFigure
from pipeline.reports.paper_table import PaperTable, Recipes

_RECIPES = {
    "celeba": Recipes("celeba-table1", "drawn-faces-quick"),
    "chexpert": Recipes("chexpert-table1", "drawn-radiographs-quick"),
    "fashion_mnist": Recipes("fashion-mnist", "fashion-mnist-quick"),
    "mnist": Recipes("mnist"),
    **dict.fromkeys(
        ("tfd", "celeba_glasses", "celeba_facial_hair"), Recipes("csvae-table1", "csvae-table1-quick")
    ),
}
_FACES_AND_RADIOGRAPHS = ("celeba", "chexpert")
_CLASSES = ("mnist", "fashion_mnist")

_TABLES = (
    PaperTable(paper="ccvae", table="1", shows="classification accuracies", recipes=_RECIPES),
    PaperTable(
        paper="ccvae", table="2", shows="how much swaps change what is read of a label", recipes=_RECIPES
    ),
    PaperTable(paper="ccvae", table="4", shows="Fréchet distances of generated images", recipes=_RECIPES),
    PaperTable(
        paper="ccvae", table="5", shows="whether generated images show their labels", recipes=_RECIPES
    ),
    PaperTable(
        paper="ccvae", table="6", shows="classification accuracies with one class label", recipes=_RECIPES
    ),
    PaperTable(
        paper="ccvae",
        table="7",
        shows="generations with one class label, and mutual information",
        recipes=_RECIPES,
    ),
    PaperTable(paper="revae", table="1", shows="classification accuracies", recipes=_RECIPES),
    PaperTable(
        paper="revae", table="2", shows="generations: accuracy, mutual information, FID", recipes=_RECIPES
    ),
    PaperTable(paper="revae", table="5", shows="classification with all latents in z_c", recipes=_RECIPES),
    PaperTable(paper="revae", table="6", shows="generation with all latents in z_c", recipes=_RECIPES),
    PaperTable(paper="revae", table="D.2", shows="one label per class", recipes=_RECIPES),
    PaperTable(
        paper="csvae",
        table="1",
        shows="whether switched attributes are seen",
        recipes=_RECIPES,
    ),
)

_FIGURES = (
    PaperFigure(
        paper="ccvae",
        figure="3",
        shows="two labels changed continuously",
        measure="traversal_plane",
        files=("traversal_plane",),
        systems=("diva", "ccvae"),
        datasets=_FACES_AND_RADIOGRAPHS,
        recipes=_RECIPES,
    ),
    PaperFigure(
        paper="ccvae",
        figure="5",
        shows="variance over draws of one label's characteristics",
        measure="diversity",
        files=("diversity",),
        systems=("ccvae",),
        datasets=_FACES_AND_RADIOGRAPHS,
        recipes=_RECIPES,
    ),
    PaperFigure(
        paper="ccvae",
        figure="7",
        shows="swaps of characteristics",
        measure="swap_grid",
        files=("swaps",),
        systems=("ccvae",),
        datasets=_FACES_AND_RADIOGRAPHS,
        recipes=_RECIPES,
    ),
    PaperFigure(
        paper="ccvae",
        figure="18",
        shows="traversals of single labels",
        measure="traversal_grid",
        files=("traversals",),
        systems=("ccvae",),
        datasets=("celeba",),
        recipes=_RECIPES,
    ),
    PaperFigure(
        paper="ccvae",
        figure="19",
        shows="traversals of single labels by DIVA",
        measure="traversal_grid",
        files=("traversals",),
        systems=("diva",),
        datasets=("celeba",),
        recipes=_RECIPES,
    ),
    PaperFigure(
        paper="ccvae",
        figure="20",
        shows="variance over draws of one label's characteristics, more labels",
        measure="diversity",
        files=("diversity",),
        systems=("ccvae",),
        datasets=("celeba",),
        recipes=_RECIPES,
    ),
    PaperFigure(
        paper="ccvae",
        figure="21",
        shows="the plane between four classes",
        measure="traversal_plane",
        files=("traversal_plane",),
        systems=("ccvae",),
        datasets=_CLASSES,
        recipes=_RECIPES,
    ),
)

REPORTS: dict[str, PaperTable | PaperFigure] = {report.name: report for report in (*_TABLES, *_FIGURES)}
"""By name, in the order of the papers."""


def report_named(name: str) -> PaperTable | PaperFigure:
    """The report; ConfigError with the likely name if there is none."""
    if name in REPORTS:
        return REPORTS[name]
    close = difflib.get_close_matches(name, REPORTS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(REPORTS)}"
    raise ConfigError(f"there is no report {name!r}; {hint}")
