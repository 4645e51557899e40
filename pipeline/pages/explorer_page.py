"""The explorer of a trained model: a page in which its encoder and decoder run, and whose sliders are its latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from data_prep.manifest import LabelSpec
from pipeline.models.capabilities import ClassMeans
from pipeline.pages.document import document
from pipeline.pages.label_controls import condition, label_controls, other_controls
from pipeline.pages.limits import limits
from pipeline.pages.packed import Weights, packed
from pipeline.pages.pictures import Pictures, check_shape
from pipeline.pages.systems_as_layers import programs_of

SCRIPTS = (
    "network.js",
    "codes.js",
    "model.js",
    "address.js",
    "drawing.js",
    "labels.js",
    "grids.js",
    "page.js",
)
"""In ``explorer/``, in the order in which they are run."""


@torch.no_grad()
def explorer_page(
    model: nn.Module,
    labels: Sequence[LabelSpec],
    pictures: Pictures,
    *,
    means: ClassMeans | None = None,
    title: str,
    facts: Mapping[str, str],
) -> str:
    """The HTML of the explorer.

    Args:
        model: in evaluation mode.
        labels: those of its data set.
        pictures: to choose from.
        means: mean codes of the values of labels, for a system that needs them (``needs_means``).
        title: name of the run.
        facts: what else is to be said of it, by name.

    Raises:
        NotInPages: a page cannot run the system, or a layer of its networks.
        ConfigError: it cannot show such images.
    """
    channels, height, width = pictures.images.shape[1:]
    check_shape((channels, height, width))
    cardinalities = tuple(spec.cardinality for spec in labels)
    programs, weights = programs_of(model, channels * height * width, cardinalities), Weights()
    data = {
        "title": title,
        "facts": dict(facts),
        "image": [channels, height, width],
        "pictures": {
            "split": pictures.split,
            "rows": list(pictures.rows),
            "labels": pictures.known(),
        },
        "labels": label_controls(model, labels, means),
        "condition": condition(model, cardinalities),
        **other_controls(model),
        "limits": limits(model, len(labels)),
        "programs": {
            name: None if program is None else packed(program, weights)
            for name, program in (
                ("encode", programs.encode),
                ("decode", programs.decode),
                ("read", programs.read),
                ("labelPosterior", programs.label_posterior),
            )
        },
    }
    texts = {"weights": weights.as_text(), "sheet": pictures.as_png()}
    return document("explorer", title=f"{title}: explorer", scripts=SCRIPTS, data=data, texts=texts)
