from __future__ import annotations

import numpy as np

from pipeline.measures.latent_histogram import LatentHistogram, counted
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import AllAble


def test_the_histogram_separates_the_values_of_each_label(examples) -> None:
    arrays = LatentHistogram()(ModelView(AllAble(), examples)).arrays
    titles = [f"{label} [{latent}]" for label in (*"abc", "hair") for latent in (0, 1)]
    assert arrays["panels"].tolist() == titles
    assert arrays["values"][0].tolist() == ["no", "yes", "", "", ""]
    assert arrays["values"][6].tolist() == list("vwxyz")
    labels, observed = examples.labels, examples.observed
    for panel in range(8):
        label = panel // 2
        expected = [int(((labels[:, label] == value) & observed[:, label]).sum()) for value in range(5)]
        assert arrays["counts"][panel].sum(-1).tolist() == expected
        middle = label * (1, -1)[panel % 2]
        assert arrays["edges"][panel, 0] <= middle <= arrays["edges"][panel, -1]


def test_only_the_first_latents_of_a_label_are_shown(examples) -> None:
    model = AllAble()
    arrays = LatentHistogram(latents_per_label=1)(ModelView(model, examples)).arrays
    assert arrays["panels"].tolist() == ["a [0]", "b [0]", "c [0]", "hair [0]"]
    assert str(arrays["title"]).endswith("(test images)")
    model.needs_labels = True  # type: ignore[assignment]
    arrays = LatentHistogram(latents_per_label=1)(ModelView(model, examples)).arrays
    assert str(arrays["title"]).endswith("(test images, encoded with their labels)")


def test_bins_leave_out_the_tails_and_count_by_class() -> None:
    values = np.concatenate([np.linspace(0, 1, 5000), [1000.0]])
    classes = (values >= 0.5).astype(np.uint8)
    edges, counts = counted(values, classes, 2)
    assert edges[-1] < 1.01
    assert counts.sum(1).tolist() == [2495, 2496]
    assert counts[0, :30].sum() == 2495
    assert counts[1, 29:].sum() == 2496


def test_a_label_that_is_never_known_has_an_empty_panel() -> None:
    _, counts = counted(np.empty(0), np.empty(0, np.uint8), 3)
    assert counts.tolist() == [[0] * 59] * 3
