"""Measure 10: whether switching one label leaves the rest of the picture in place (section 4.3 of the CCVAE study)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.field_checks import check, check_at_least
from pipeline.measures.measure import DoesNotApply, Measured, Metric
from pipeline.measures.named_labels import positions_named, positions_present
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import UInt8
    from torch import Tensor

    from pipeline.measures.view import ModelView

IN_THE_PAPER = ("Smiling", "Eyeglasses", "Wearing_Necktie")
KINDS = ("reconstructed", "switched", "other_image")


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureMatching:
    """Keypoints of an image that match those of its reconstruction, and of it with one label switched: OpenCV's SIFT.

    The paper's matcher is SuperGlue, whose numbers are not comparable. ``…_other_image``: of the next image's
    reconstruction, which is chance. The confidence of a match is 1 minus the ratio of the distances to the nearest and the
    second nearest keypoint, its mean that over an image's matches. An image is switched in a label that is known.
    """

    images: int = 50
    """Of the split, the first ones."""
    labels: str = ""
    """Names of binary labels joined by `+`; default: smiling, eyeglasses and necktie, or without these the first three."""
    enlarge: int = 4
    """Pictures are enlarged by this factor."""
    ratio: float = 0.8
    """Largest ratio of the two distances (Lowe 2004)."""

    name: ClassVar[str] = "feature_matching"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("Intervenes", "Reconstructs"), columns=("labels",))
    metrics: ClassVar[Mapping[str, Metric]] = {
        "sift_keypoints": Metric(unit="keypoints", better="none"),
        "sift_matches_reconstructed": Metric(unit="matches", better="higher"),
        "sift_matches_switched": Metric(unit="matches", better="higher"),
        "sift_matches_other_image": Metric(unit="matches", better="none"),
        "sift_confidence_reconstructed": Metric(unit="share", better="higher"),
        "sift_confidence_switched": Metric(unit="share", better="higher"),
        "sift_confidence_other_image": Metric(unit="share", better="none"),
    }

    def __post_init__(self) -> None:
        check_at_least(1, self, "images", "enlarge")
        check(0 < self.ratio <= 1, f"{self.name}: ratio is {self.ratio}; it must be in (0, 1]")

    def __call__(self, view: ModelView) -> Measured:
        """Means over images (over labels as well if switched); arrays have those of each label.

        Raises:
            ConfigError: the data set has no such binary label.
            MissingDependencyError: OpenCV is not installed.
        """
        import numpy as np

        from pipeline.measures.feature_matches import described, match_confidences

        switched = self._switched_labels(view)
        image = view.first(self.images)
        if not len(image):
            raise DoesNotApply("the split has no images")
        model: Any = view.model
        known, given = view.examples.known_labels(0, len(image)), view.known_labels(len(image))

        def keypoints(pictures: UInt8[np.ndarray, "row channel height width"]) -> list[Any]:
            view.examples.heartbeat()
            return [described(picture, self.enlarge) for picture in pictures]

        originals = keypoints(image.cpu().numpy())
        decoded = keypoints(_as_bytes(model.reconstruct(image, given)))
        found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
        of_labels = np.full((len(switched), 2), np.nan)

        def matched(first: Any, second: Any) -> tuple[float, float]:
            confidences = match_confidences(first, second, self.ratio)
            return float(len(confidences)), float(confidences.mean()) if len(confidences) else np.nan

        for place, original in enumerate(originals):
            found["reconstructed"].append(matched(original, decoded[place]))
            if len(originals) > 1:
                found["other_image"].append(matched(original, decoded[(place + 1) % len(originals)]))
        for place, label in enumerate(switched):
            rows = known.observed[:, label].nonzero()[:, 0]
            if not len(rows):
                continue
            values = 1 - known.labels[rows, label]
            of_rows = None if given is None else given.of(rows)
            pictures = keypoints(_as_bytes(model.intervene(image[rows], label, values, labels=of_rows)[0]))
            pairs = [matched(originals[row], each) for row, each in zip(rows.tolist(), pictures, strict=True)]
            of_labels[place] = [_mean([pair[0] for pair in pairs]), _mean([pair[1] for pair in pairs])]
            found["switched"] += pairs
        numbers = {"sift_keypoints": _mean([float(len(each[0])) for each in originals])}
        counts = {"sift_keypoints": len(originals)}
        for kind, pairs in found.items():
            for which, what in enumerate(("matches", "confidence")):
                mean = _mean([pair[which] for pair in pairs])
                if not np.isnan(mean):
                    numbers[f"sift_{what}_{kind}"] = mean
                    counts[f"sift_{what}_{kind}"] = sum(not np.isnan(pair[which]) for pair in pairs)
        names = [view.examples.data.manifest.labels[label].name for label in switched]
        arrays = {
            "labels": np.array(names, dtype=np.str_),
            "label_sift_matches": of_labels[:, 0],
            "label_sift_confidence": of_labels[:, 1],
        }
        return Measured(numbers=numbers, counts=counts, arrays=arrays)

    def _switched_labels(self, view: ModelView) -> list[int]:
        from pipeline.measures.label_changes import binary_labels

        labels = view.examples.data.manifest.labels
        binary = binary_labels(labels)
        if not binary:
            raise DoesNotApply("no label is binary")
        names = [labels[label].name for label in binary]
        if self.labels:
            chosen = positions_named(self.labels, names, f"{self.name}: labels")
        else:
            chosen = positions_present(IN_THE_PAPER, names) or [*range(min(3, len(names)))]
        return [binary[place] for place in chosen]


def _as_bytes(picture: Tensor) -> UInt8[np.ndarray, "row channel height width"]:
    found: np.ndarray = (picture.float().clamp(0, 1) * 255).round().byte().cpu().numpy()
    return found


def _mean(values: list[float]) -> float:
    """Over those that are numbers; NaN if there are none."""
    import numpy as np

    kept = [value for value in values if not np.isnan(value)]
    return float(np.mean(kept)) if kept else float("nan")
