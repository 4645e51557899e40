"""Where the posterior means of the labels' latents lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from pipeline.measures.examples import MeasuredSplit
from pipeline.models.capabilities import EncodesFactors, labels_if_needed

_SEVERAL_OF_A_LABEL = 10
"""Latents of one label that are shown, the first ones."""


def draw_latent_histogram(model: EncodesFactors, examples: MeasuredSplit, folder: Path) -> list[Path]:
    """Write ``latent_histogram.png``: a panel for each latent of each label, its values told apart; only known labels."""
    batches = [
        model.characteristic_latents(image, labels_if_needed(model, known))
        for image, known in examples.images_and_labels()
    ]
    latents = torch.cat(batches).cpu().numpy()
    labels = examples.data.manifest.labels
    panels = []
    for label, spec in enumerate(labels):
        own = range(*model.latents_of(label).indices(latents.shape[1]))
        names = [spec.name] if len(own) == 1 else [f"{spec.name} [{place}]" for place in range(len(own))]
        panels += [(label, *latent) for latent in zip(own, names, strict=True)][:_SEVERAL_OF_A_LABEL]
    columns = min(6, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(1.9 * columns + 1.4, 1.5 * rows + 0.5), dpi=130, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for (label, latent, title), ax in zip(panels, axes.flat, strict=False):
        known = examples.observed[:, label]
        values, classes = latents[known, latent], examples.labels[known, label]
        low, high = np.quantile(values, [0.001, 0.999]) if len(values) else (0.0, 1.0)
        for value, name in enumerate(labels[label].values):
            ax.hist(
                values[classes == value],
                bins=np.linspace(low, high, 60).tolist(),
                histtype="step",
                color=f"C{value % 10}",
                label=name,
            )
        ax.set_title(title, fontsize=7)
        ax.tick_params(labelsize=5)
        ax.set_yticks([])
    named: dict[str, Artist] = {}
    for ax in axes.flat[: len(panels)]:
        named |= {name: handle for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(list(named.values()), list(named), loc="outside right upper", fontsize=7)
    figure.suptitle("Posterior means of the labels' latents, by value of the label (test images)", fontsize=9)
    path = folder / "latent_histogram.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return [path]
