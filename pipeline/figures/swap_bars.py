"""How far each label's log-probability moves in swapped pictures, as bars (figure 5 of Joy et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def draw_swap_differences(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """A pair of bars for each value of a class label, or for each of several labels: against image and reconstruction."""
    from matplotlib.figure import Figure

    names = [str(name) for name in arrays["labels"]]
    kinds = {
        "the image": "swap_log_prob_difference",
        "its reconstruction": "swap_log_prob_difference_from_reconstruction",
    }
    single = len(names) == 1
    found = {
        against: arrays[f"value_{metric}"][0] if single else arrays[f"label_{metric}"]
        for against, metric in kinds.items()
        if f"label_{metric}" in arrays
    }
    count = len(next(iter(found.values())))
    values = arrays.get("values", np.arange(count, dtype=np.int64)[None])[0]  # older results have no names
    ticks = [str(value) for value in values] if single else [name.replace("_", " ") for name in names]
    figure = Figure(figsize=(2.2 + 0.42 * count, 3.6), dpi=130, layout="constrained")
    ax = figure.subplots()
    width = 0.8 / len(found)
    for place, (against, differences) in enumerate(found.items()):
        left = np.arange(count) + width * (place - (len(found) - 1) / 2)
        ax.bar(left, differences, width, label=f"against {against}")
    ax.set_xticks(range(count), ticks, rotation=90, fontsize=7)
    ax.set_xlabel(f"value of {names[0]}" if single else "label", fontsize=7)
    ax.set_ylabel("mean absolute difference of log-probability, nats", fontsize=7)
    ax.tick_params(axis="y", labelsize=7)
    ax.set_title("Swaps of characteristics: change of what is read", fontsize=8)
    ax.legend(fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
