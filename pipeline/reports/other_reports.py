"""What the papers show that is neither a table nor a figure that measures draw."""

from __future__ import annotations

from pipeline.reports.matcher_table import MatcherTable
from pipeline.reports.paper_curves import PaperCurves
from pipeline.reports.recipes import OF_CCVAE_FIGURE_8, OF_STUDY

_AS_PRINTED = {"model.system": "ccvae", "model.weight_gradient": "as_printed"}

CURVES = (
    PaperCurves(
        paper="ccvae",
        figure="8",
        shows="norm of the classifier's gradient, z_c reparameterised in q(y | z_c) or not",
        term="gradient_norm/classifier",
        squared="gradient_norm_squared/classifier",
        contenders={
            "reparameterised": {**_AS_PRINTED, "model.reparameterise_classifier": "True"},
            "not reparameterised": {**_AS_PRINTED, "model.reparameterise_classifier": "False"},
        },
        recipes=OF_CCVAE_FIGURE_8,
    ),
)
MATCHES = MatcherTable(
    paper="ccvae_study",
    section="sec4.3",
    shows="whether a changed label leaves the rest in place, by matching keypoints",
    params={"model.system": "ccvae"},
    recipes=OF_STUDY,
)
