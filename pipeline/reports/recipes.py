"""Which recipes train the runs of the papers' tables and figures, by the papers' data sets."""

from __future__ import annotations

from dataclasses import dataclass

from data_prep.program_name import program


@dataclass(frozen=True, slots=True)
class Recipes:
    """How to train the runs of a report."""

    full: str
    """The recipe with the paper's settings."""
    quick: str = ""
    """A smaller one, on data that need no licence."""
    drawn: str = ""
    """The full one on data that stand in for the paper's and need no licence."""

    @property
    def names(self) -> tuple[str, ...]:
        """All recipes."""
        return tuple(filter(None, (self.full, self.drawn, self.quick)))

    @property
    def command(self) -> str:
        """The command line, and the names of the other recipes."""
        others = {"on drawn images": self.drawn, "smaller": self.quick}
        told = [f"{what}: --recipe {name}" for what, name in others.items() if name]
        also = f" ({', '.join(told)})" if told else ""
        return f"{program('sweep')} --recipe {self.full}{also}"


OF_CCVAE = {
    "celeba": Recipes("celeba-table1", "drawn-faces-quick", "drawn-faces"),
    "chexpert": Recipes("chexpert-table1", "drawn-radiographs-quick", "drawn-radiographs"),
    "fashion_mnist": Recipes("fashion-mnist", "fashion-mnist-quick"),
    "mnist": Recipes("mnist"),
}
OF_CCVAE_FIGURE_8 = {"celeba": Recipes("ccvae-figure8", "ccvae-figure8-quick")}
OF_CCVAE_WITH_STYLE = {
    "fashion_mnist": Recipes("revae-fashion-mnist", "revae-fashion-mnist-quick"),
    "mnist": Recipes("mnist-style"),
}
"""With style latents, for figures 22-24."""
OF_REVAE = {
    "celeba": OF_CCVAE["celeba"],
    "fashion_mnist": Recipes("revae-fashion-mnist", "revae-fashion-mnist-quick"),
}
OF_REVAE_WITHOUT_STYLE = dict.fromkeys(
    ("mnist", "fashion_mnist"), Recipes("revae-without-style", "revae-without-style-quick")
)
OF_REVAE_ONE_PER_CLASS = {"mnist": Recipes("revae-one-per-class", "revae-one-per-class-quick")}
OF_STUDY = {"celeba": Recipes("study-celeba", "study-celeba-quick")}
OF_STUDY_HAIR = {"celeba_hair": Recipes("study-hair", "study-hair-quick")}
OF_STUDY_SCHEDULE = {"celeba_hair": Recipes("study-hair-schedule", "study-hair-schedule-quick")}
OF_CSVAE = dict.fromkeys(
    ("tfd", "celeba_glasses", "celeba_facial_hair"), Recipes("csvae-table1", "csvae-table1-quick")
)
OF_CSVAE_FIGURES = dict.fromkeys(
    ("celeba_glasses_facial_hair", "celeba_heavy_makeup"), Recipes("csvae-figures", "csvae-figures-quick")
)
OF_CSVAE_SWISS_ROLL = {"swiss_roll": Recipes("swiss-roll", "swiss-roll-quick")}
OF_CONSISTENCY = {"drawn_faces": Recipes("consistency", "consistency-quick")}
OF_PSEUDO_LABELS = {"fashion_mnist": Recipes("few-labels", "few-labels-quick")}
OF_RB_VAE = {
    "affectnet": Recipes("rb-vae-table1-affectnet"),
    "transformed_mnist": Recipes("rb-vae-table1", "rb-vae-table1-quick"),
}
OF_RB_VAE_WITH_DRAWN_FACES = {**OF_RB_VAE, "drawn_faces": Recipes("rb-vae-drawn-faces-quick")}
"""For figures: drawn faces of which the neutral ones are the reference set."""
