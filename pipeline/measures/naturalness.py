"""Measure 19: whether pictures with a label switched on look like pictures that have it, which a classifier cannot say.

The decoder of a CCVAE that was also trained to please its own encoder drew patches of noise, in which an independent
classifier saw the label more often, and the Fréchet distance in its features fell; the finest level of the patches rose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.measures.measure import DoesNotApply, Measured, Metric
from pipeline.measures.needs import Needs
from pipeline.measures.reader_metrics import judged_by_readers, with_readers

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.measures.view import ModelView

_PATCHES = Metric(unit="10⁻³", better="lower")
_CONTEXT = Metric(unit="10⁻³", better="none")
_FRECHET = Metric(unit="squared distance", better="lower")
_FRECHET_CONTEXT = Metric(unit="squared distance", better="none")

COMPARED = ("switched", "reconstructed", "floor")
"""Pictures switched on against reconstructions of pictures that have the label; reconstructions against real
pictures; two halves of the reconstructions (for Fréchet distances all against real pictures: the floor is real ones)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Naturalness:
    """Distances of pictures with a label switched on from reconstructions and real pictures that have it, mean over labels.

    ``..._patch_distance``: sliced Wasserstein distance of local patches (Karras et al. 2018), mean over the levels of a
    Laplacian pyramid, and of its finest level, where noise shows. ``..._frechet``: Fréchet distance from real pictures in
    the label readers' features. Each next to that of reconstructions and to its floor, from as many images.
    """

    images: int = 500
    """With each label, at most; half of them are one side of a comparison, and as many without it are switched."""
    patches: int = 64
    """Of each image and level."""
    directions: int = 128
    """That patches are projected on."""

    name: ClassVar[str] = "naturalness"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        capabilities=("Intervenes", "Reconstructs"), columns=("labels",), extras=("label_readers",)
    )
    metrics: ClassVar[Mapping[str, Metric]] = {
        "switched_patch_distance": _PATCHES,
        "reconstructed_patch_distance": _CONTEXT,
        "floor_patch_distance": _CONTEXT,
        "switched_finest_patch_distance": _PATCHES,
        "reconstructed_finest_patch_distance": _CONTEXT,
        "floor_finest_patch_distance": _CONTEXT,
        **with_readers(
            {
                "switched_frechet": _FRECHET,
                "reconstructed_frechet": _FRECHET_CONTEXT,
                "floor_frechet": _FRECHET_CONTEXT,
            }
        ),
    }

    def __call__(self, view: ModelView) -> Measured:
        """Switch on and compare; arrays have every distance of each attribute (NaN where images are too few)."""
        import numpy as np
        import torch

        from pipeline.measures.intervention_changes import attribute_names, attributes_of
        from pipeline.measures.judged import spread

        specs = view.examples.data.manifest.labels
        attributes = attributes_of([spec.cardinality for spec in specs])
        patches, frechet, sizes = [], [], []
        for each in attributes:
            found = self._of_attribute(view, each.label, each.value)
            if found is None:
                sizes.append(0)
                continue
            patches.append(found[0])
            frechet.append(found[1])
            sizes.append(found[2])
        if not patches:
            raise DoesNotApply("no label is known to be on in four images, and off in two others")
        distances, of_readers = torch.stack(patches), torch.stack(frechet)
        numbers: dict[str, float] = {}
        for place, name in enumerate(COMPARED):
            numbers[f"{name}_patch_distance"] = float(distances[:, place].mean())
            numbers[f"{name}_finest_patch_distance"] = float(distances[:, place, 0].mean())
            numbers |= spread(f"{name}_frechet", of_readers[:, place].mean(0))
        is_measured = np.array(sizes) > 0
        arrays = {
            "attributes": np.array(attribute_names(specs), dtype=np.str_),
            "compared": np.array(COMPARED, dtype=np.str_),
            "images_compared": np.array(sizes),
            "patch_distance": _with_gaps(distances.numpy(), is_measured),
            "frechet": _with_gaps(of_readers[..., 0].numpy(), is_measured),
        }
        found_all = Measured(numbers=numbers, counts=dict.fromkeys(numbers, sum(sizes)), arrays=arrays)
        return judged_by_readers(found_all, view)

    def _of_attribute(self, view: ModelView, label: int, value: int) -> tuple[Tensor, Tensor, int] | None:
        """Patch distances (compared, level), Fréchet distances (compared, judge), and the number of images of a side."""
        import torch

        from pipeline.measures.frechet_distance import frechet_distance
        from pipeline.measures.patch_distance import patch_distances

        examples = view.examples
        known, has = examples.observed[:, label], examples.labels[:, label] == value
        having, lacking = (torch.from_numpy((known & side).nonzero()[0]) for side in (has, ~has))
        count = min(self.images // 2, len(having) // 2, len(lacking))
        if count < 2:
            return None
        having, lacking = (rows[torch.randperm(len(rows))] for rows in (having, lacking))
        halves = [having[:count].numpy(), having[count : 2 * count].numpy()]
        switched, _ = _pictures(view, lacking[:count].numpy(), (label, value))
        (one, real_one), (other, real_other) = (_pictures(view, rows, None) for rows in halves)
        distances = patch_distances(
            [switched, one, other, real_other],
            [(0, 1), (1, 3), (1, 2)],
            per_image=self.patches,
            directions=self.directions,
        )
        target = view.readers.features(real_other)
        each = [
            [frechet_distance(*pair) for pair in zip(view.readers.features(side), target, strict=True)]
            for side in (switched, one, real_one)
        ]
        of_members = torch.tensor(each, dtype=torch.float64)
        return distances.cpu(), torch.cat([of_members.mean(1, keepdim=True), of_members], dim=1), count


def _pictures(view: ModelView, rows: np.ndarray, switched: tuple[int, int] | None) -> tuple[Tensor, Tensor]:
    """Reconstructions of these images, or the images with a label set to a value; and the images, all in [0, 1]."""
    import torch

    from pipeline.measures.label_changes import all_of
    from pipeline.measures.label_readers import as_pixels
    from pipeline.models.capabilities import labels_if_needed

    model: Any = view.model
    made, real = [], []
    for start in range(0, len(rows), view.examples.batch_size):
        view.examples.heartbeat()
        image, known = view.examples.at(rows[start : start + view.examples.batch_size])
        labels = labels_if_needed(model, known)
        if switched is None:
            made.append(model.reconstruct(image, labels).float())
        else:
            label, value = switched
            made.append(model.intervene(image, label, all_of(value, image), labels=labels)[0].float())
        real.append(as_pixels(image))
    return torch.cat(made), torch.cat(real)


def _with_gaps(rows: np.ndarray, is_measured: np.ndarray) -> np.ndarray:
    """A row for each attribute, not a number for those without."""
    import numpy as np

    whole = np.full((len(is_measured), *rows.shape[1:]), np.nan)
    whole[is_measured] = rows
    return whole
