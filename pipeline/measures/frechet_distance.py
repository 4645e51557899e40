"""The Fréchet distance between two sets of features (Dowson & Landau 1982; Heusel et al. 2017), and what it compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.measures.drawn_labels import LabelSource, drawn_labels, label_shares
from pipeline.measures.label_readers import as_pixels
from pipeline.measures.measure import DoesNotApply
from pipeline.measures.view import ModelView


def frechet_distance(one: Float[Tensor, "row feature"], other: Float[Tensor, "row_ feature"]) -> float:
    """``|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)`` of two sets of at least two rows, in float64.

    The trace of the root is the sum of the singular values of ``X₁ X₂ᵀ / √((n₁ − 1)(n₂ − 1))`` for centred rows ``X``.
    """
    one, other = one.double(), other.double()
    means = (one.mean(0) - other.mean(0)).square().sum()
    centred = [(each - each.mean(0)) / (len(each) - 1) ** 0.5 for each in (one, other)]
    traces = sum(each.square().sum() for each in centred)
    roots = [_narrow(each) for each in centred]
    overlap = torch.linalg.svdvals(roots[0] @ roots[1].T).sum()
    return max(0.0, float(means + traces - 2 * overlap))


def _narrow(rows: Float[Tensor, "row feature"]) -> Float[Tensor, "small feature"]:
    """Fewer rows ``R`` with the same ``Rᵀ R``, if there are more rows than features."""
    if len(rows) <= rows.shape[1]:
        return rows
    return torch.linalg.qr(rows, mode="r").R


def features_of_generated_and_real(
    view: ModelView,
    images: int,
    labels: LabelSource,
    features: Callable[[Float[Tensor, "batch channel height width"]], Float[Tensor, "net batch feature"]],
) -> tuple[Float[Tensor, "net row feature"], Float[Tensor, "net row feature"]]:
    """Features of as many generated images as of images of the split, by one or several networks, on the device.

    Raises:
        DoesNotApply: the split has fewer than two images.
    """
    examples = view.examples
    chosen = examples.random_rows(images or len(examples))
    if len(chosen) < 2:
        raise DoesNotApply("a Fréchet distance needs at least two images, and the split has fewer")
    drawn = drawn_labels(label_shares(examples.data.manifest, labels), len(chosen))
    found: Sequence[list[Tensor]] = ([], [])
    for start in range(0, len(chosen), examples.batch_size):
        examples.heartbeat()
        rows = slice(start, start + examples.batch_size)
        image, known = examples.at(chosen[rows])
        given = drawn[rows].to(image.device)
        if labels == "data":
            given = torch.where(known.observed, known.labels, given)
        found[0].append(features(view.model.generate(given)))  # type: ignore[operator]
        found[1].append(features(as_pixels(image)))
    return torch.cat(found[0], dim=1), torch.cat(found[1], dim=1)
