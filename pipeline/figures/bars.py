"""A number for each label as bars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def draw_latent_separation(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Draw what ``pipeline.measures.latent_separation`` measured: the distance of each label, the largest on top."""
    from matplotlib.figure import Figure

    distances = arrays["separation"]
    order = [place for place in np.argsort(distances) if not np.isnan(distances[place])]
    figure = Figure(figsize=(5, 0.8 + 0.22 * len(order)), dpi=130, layout="constrained")
    axes = figure.subplots()
    bars = axes.barh([str(arrays["labels"][place]) for place in order], distances[order], color="C0")
    axes.bar_label(bars, fmt="%.2f", fontsize=6, padding=2)
    axes.margins(x=0.12)
    axes.tick_params(labelsize=7)
    axes.set_xlabel("Wasserstein distance / pooled standard deviation", fontsize=7)
    axes.set_title("Latents of each label: distance between the values of the label", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
