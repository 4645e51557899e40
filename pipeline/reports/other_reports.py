"""What the papers show that is neither a table nor a figure that measures draw, and what terms of this project are worth."""

from __future__ import annotations

from pipeline.reports.matcher_table import MatcherTable
from pipeline.reports.paper_curves import PaperCurves
from pipeline.reports.recipes import OF_CCVAE_FIGURE_8, OF_CONSISTENCY, OF_PSEUDO_LABELS, OF_STUDY
from pipeline.reports.term_table import TermTable

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
_OF_EVERY_RUN = {
    "classification_accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "calibration_error": "calibration error",
    "elbo": "ELBO",
    "reconstruction_error": "error of reconstructions",
    "ssim": "SSIM",
}
TERMS = (
    TermTable(
        name="consistency",
        shows="what changed labels do with and without consistency",
        term="consistency",
        measures=(
            "reconstruction",
            "characteristic_swap",
            "single_interventions",
            "diversity",
            "factor_interventions",
            "naturalness",
        ),
        columns=_OF_EVERY_RUN
        | {
            "kept": "kept",
            "switched_on": "switched on",
            "switched_off": "switched off",
            "others_changed": "others changed",
            "swap_log_prob_difference": "swap, nats",
            "variance_in_region": "variance in the region",
            "own_factor_moved_on": "own factor, on",
            "own_factor_moved_off": "own factor, off",
            "other_factors_moved": "other factors",
            "switched_patch_distance": "patches",
            "switched_finest_patch_distance": "patches, finest",
            "floor_finest_patch_distance": "their floor",
            "switched_frechet": "Fréchet",
        },
        recipes=OF_CONSISTENCY,
    ),
    TermTable(
        name="few-labels",
        shows="accuracy and bound with and without pseudo-labels",
        term="pseudo_label",
        measures=("reconstruction",),
        columns=_OF_EVERY_RUN,
        recipes=OF_PSEUDO_LABELS,
    ),
)
