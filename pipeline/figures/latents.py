"""Histograms of the posterior means of the labels' latents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist


def draw_latent_histogram(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Draw what ``pipeline.measures.latent_histogram`` counted: a panel for each latent of each label, by its values."""
    from matplotlib.figure import Figure

    panels = [str(title) for title in arrays["panels"]]
    columns = min(6, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(1.9 * columns + 1.4, 1.5 * rows + 0.5), dpi=130, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for panel, (title, ax) in enumerate(zip(panels, axes.flat, strict=False)):
        edges = arrays["edges"][panel]
        for value, name in enumerate(arrays["values"][panel]):
            if not name:  # the label of this panel has fewer values than others
                break
            ax.hist(
                edges[:-1],
                bins=edges.tolist(),
                weights=arrays["counts"][panel, value],
                histtype="step",
                color=f"C{value % 10}",
                label=str(name),
            )
        ax.set_title(title, fontsize=7)
        ax.tick_params(labelsize=5)
        ax.set_yticks([])
    named: dict[str, Artist] = {}
    for ax in axes.flat[: len(panels)]:
        named |= {name: handle for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(list(named.values()), list(named), loc="outside right upper", fontsize=7)
    figure.suptitle(str(arrays["title"]), fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
