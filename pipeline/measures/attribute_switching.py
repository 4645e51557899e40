"""Measure 12: whether a picture with one attribute switched shows it, the others being absent (Klys et al. 2018, 5.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pipeline.measures.measure import DoesNotApply, Measured, Metric
from pipeline.measures.needs import Needs
from pipeline.measures.reader_metrics import judged_by_readers, with_readers

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributeSwitching:
    """Share of images that show a label's value after the system's own switch to it, in the label readers' eyes.

    Each image is switched to every value of a label that it does not have, the label alone, all others absent; images are
    encoded with their known labels. The points ``p_j`` follow from class means of ``valid`` (of ``train`` for a VAE
    without latents of labels). Of a binary label every image weighs the same (CelebA's "final" in table 4), of one with
    more values every value (TFD's in table 3); then the mean over labels. ``attribute_switch_unchanged`` is the
    share with nothing changed at all: the readers' own errors.
    """

    images: int = 2000
    """Of the split, chosen at random; 0 for all."""
    means: Literal["auto", "train", "valid"] = "auto"
    """The split that the points are taken from; `auto`: that of the paper."""

    name: ClassVar[str] = "attribute_switching"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        capabilities=("SwitchesAttribute", "Encodes"), columns=("labels",), extras=("label_readers",)
    )
    metrics: ClassVar[Mapping[str, Metric]] = with_readers(
        {
            "attribute_switch_accuracy": Metric(unit="share", better="higher"),
            "attribute_switch_unchanged": Metric(unit="share", better="none"),
        }
    )

    def __call__(self, view: ModelView) -> Measured:
        """Switch and judge; arrays have the share and the number of images of each value of each label."""
        import numpy as np
        import torch

        from pipeline.measures.label_names import value_names

        specs = view.examples.data.manifest.labels
        cardinalities = [spec.cardinality for spec in specs]
        parts = list(self._switched(view, cardinalities))
        if not parts:
            raise DoesNotApply(
                "no label is known, in images of each of its values, of which points can be taken"
            )
        label, given, read, unchanged = (torch.cat(each, dim=-1) for each in zip(*parts, strict=True))
        found = switching_summary(label, given, read, unchanged, cardinalities)
        names = np.array([spec.name for spec in specs], dtype=np.str_)
        return judged_by_readers(found, view, labels=names, values=value_names(specs))

    def _switched(
        self, view: ModelView, cardinalities: Sequence[int]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Of each switched picture: the label, its value, and what is read of it, (judge, picture), after and before."""
        import torch

        from pipeline.measures.judged import judged, values_read
        from pipeline.measures.label_changes import all_of
        from pipeline.measures.label_readers import as_pixels
        from pipeline.measures.switching_points import switching_points

        model: Any = view.model
        examples, points = view.examples, switching_points(view, cardinalities, self.means)
        chosen = examples.random_rows(self.images or len(examples))
        for start in range(0, len(chosen), examples.batch_size):
            image, known = examples.at(chosen[start : start + examples.batch_size])
            before = values_read(judged(view.readers, as_pixels(image)))
            for label, own_points in points.items():
                examples.heartbeat()
                for value in range(cardinalities[label]):
                    rows = (known.observed[:, label] & (known.labels[:, label] != value)).nonzero()[:, 0]
                    if not len(rows):
                        continue
                    given = all_of(value, rows)
                    pictures = model.switch_attribute(
                        image[rows], label, given, labels=known.of(rows), points=own_points
                    )[0]
                    read = values_read(judged(view.readers, pictures))[..., label]
                    which = torch.full_like(rows, label)
                    yield which.cpu(), given.long().cpu(), read.cpu(), before[:, rows, label].cpu()


def switching_summary(
    label: Tensor, given: Tensor, read: Tensor, unchanged: Tensor, cardinalities: Sequence[int]
) -> Measured:
    """How often the value that a picture is switched to is read in it.

    Args:
        label: (picture,), which label is switched.
        given: (picture,), to which value.
        read: (judge, picture), the value of this label that is read in the picture.
        unchanged: (judge, picture), the same in the image that it was made from.
        cardinalities: number of values of each label.
    """
    import torch

    from pipeline.measures.judged import mean_where, spread

    numbers: dict[str, float] = {}
    arrays = {}
    for name, seen in {"accuracy": read, "unchanged": unchanged}.items():
        is_right, of_labels, of_values = seen == given, [], []
        for place, cardinality in enumerate(cardinalities):
            values = torch.stack(
                [
                    mean_where(is_right, (label == place) & (given == value), (1,))
                    for value in range(max(cardinalities))
                ],
                dim=-1,
            )
            of_values.append(values)
            of_images = mean_where(is_right, label == place, (1,))
            of_labels.append(of_images if cardinality == 2 else values.nanmean(-1))
        each = torch.stack(of_labels, dim=-1)
        numbers |= spread(f"attribute_switch_{name}", each.nanmean(-1))
        arrays[f"label_switch_{name}"] = each[0].numpy()
        arrays[f"value_switch_{name}"] = torch.stack(of_values, dim=1)[0].numpy()
    switched = torch.zeros(len(cardinalities), max(cardinalities), dtype=torch.long)
    switched.index_put_((label, given), torch.ones_like(label), accumulate=True)
    return Measured(
        numbers=numbers,
        counts=dict.fromkeys(numbers, len(label)),
        arrays={**arrays, "value_switched": switched.numpy()},
    )
