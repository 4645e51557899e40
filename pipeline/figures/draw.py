"""The figures of a run: those that its model is able to give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot
from torch import Tensor

from pipeline.figures.grid import save_grid
from pipeline.measures.examples import MeasuredSplit
from pipeline.models.interface import EncodesFactors, GeneratesFromLabels, Reconstructs

_COLUMNS = 12


@torch.no_grad()
def draw_figures(model: torch.nn.Module, examples: MeasuredSplit, folder: Path) -> list[Path]:
    """Write the figures as PNG files; returns their paths."""
    image = next(examples.images())
    drawn = []
    if isinstance(model, Reconstructs):
        drawn.append(folder / "reconstructions.png")
        _reconstructions(model, image[:_COLUMNS], drawn[-1])
    if isinstance(model, GeneratesFromLabels) and len(examples.data.manifest.labels) == 1:
        drawn.append(folder / "conditional_generations.png")
        _generations(model, examples, drawn[-1])
    if isinstance(model, EncodesFactors):
        drawn.append(folder / "latent_histogram.png")
        _latent_histogram(model, examples, drawn[-1])
    return drawn


def _reconstructions(model: Reconstructs, image: Tensor, path: Path) -> None:
    rows = torch.stack([image.float() / 255, model.reconstruct(image)])
    save_grid(rows, ["image", "decoded"], "Test images and their reconstructions", path)


def _generations(model: GeneratesFromLabels, examples: MeasuredSplit, path: Path) -> None:
    label = examples.data.manifest.labels[0]
    classes = torch.arange(label.cardinality, dtype=torch.uint8, device=examples.device)
    images = model.generate(classes.repeat_interleave(_COLUMNS)[:, None])
    grid = images.unflatten(0, (label.cardinality, _COLUMNS))
    save_grid(grid, label.values, f"Generated from {label.name} alone, {_COLUMNS} draws each", path)


def _latent_histogram(model: EncodesFactors, examples: MeasuredSplit, path: Path) -> None:
    """Where the posterior means of each characteristic latent lie, by class."""
    latents = torch.cat([model.characteristic_latents(image) for image in examples.images()]).cpu().numpy()
    label, classes = examples.data.manifest.labels[0], examples.labels[:, 0]
    columns = min(5, latents.shape[1])
    rows = -(-latents.shape[1] // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(2.2 * columns + 1.4, 1.7 * rows + 0.4), layout="constrained", squeeze=False
    )
    colours = [f"C{index}" for index in range(10)]
    for latent, ax in enumerate(axes.flat):
        if latent >= latents.shape[1]:
            ax.set_visible(False)
            continue
        low, high = np.quantile(latents[:, latent], [0.001, 0.999])
        for value, name in enumerate(label.values):
            ax.hist(
                latents[classes == value, latent],
                bins=np.linspace(low, high, 60).tolist(),
                histtype="step",
                color=colours[value % len(colours)],
                label=name,
            )
        ax.set_title(f"z_c[{latent}]", fontsize=8)
        ax.tick_params(labelsize=6)
        ax.set_yticks([])
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right upper", fontsize=7)
    figure.suptitle("Posterior means of the characteristic latents, by class (test images)", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
