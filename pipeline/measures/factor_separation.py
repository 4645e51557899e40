"""Measure 18, third part: of systems with a reference set, which factors their target latents have, and which the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.field_checks import check_at_least
from pipeline.measures.linear_probes import FOLD, own_latents
from pipeline.measures.measure import DoesNotApply, Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    import numpy as np

    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class FactorSeparation:
    """R² of linear regressions of the true factors from the target latents ``e``, and from the common latents ``z``.

    The target factors are those that hardly vary in the reference set, such as the mouth of neutral faces; all others are
    common. A system does what it is for if ``e`` has the former and not the latter, and ``z`` the other way round. Of a
    system that does not separate its latents, all of them are read instead of ``e``. Factors with more than two categories
    are left out. Images of the reference set count nowhere: they differ from others in so many factors at once that a
    regression would tell them apart, and little else.
    """

    images: int = 5000
    """Of each of the two splits, the first ones; regressions are fitted on the split ``probe``, or on ``train``."""

    name: ClassVar[str] = "factor_separation"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        capabilities=("Encodes",), encoding_without_labels=True, columns=("factors", "reference")
    )
    metrics: ClassVar[Mapping[str, Metric]] = {
        "target_factors_r2": Metric(unit="share of variance", better="higher"),
        "common_factors_r2": Metric(unit="share of variance", better="none"),
        "target_factors_r2_of_z": Metric(unit="share of variance", better="lower"),
        "common_factors_r2_of_z": Metric(unit="share of variance", better="higher"),
    }

    def __post_init__(self) -> None:
        check_at_least(2, self, "images")

    def __call__(self, view: ModelView) -> Measured:
        """Means over the target factors and over the common ones, and each."""
        import numpy as np

        from pipeline.measures.factor_separation_scores import explained, hardly_varies, readable

        data = view.examples.data
        fitted = view.on(FOLD if FOLD in data.manifest.splits else "train")
        codes, factors = {}, {}
        for place, each in (("fit", fitted), ("test", view)):
            split = each.examples.split
            others = ~data.column(split, "reference")[: self.images].astype(bool)
            codes[place] = each.codes(self.images).numpy()[others]
            factors[place] = data.column(split, "factors")[: self.images].astype(np.float64)[others]
        still = hardly_varies(
            data.column("train", "factors").astype(np.float64), data.column("train", "reference").astype(bool)
        )
        if not still.any():
            raise DoesNotApply("no factor of the data distinguishes the reference set")
        if min(map(len, codes.values())) < 2:
            raise DoesNotApply("there are not two images outside of the reference set")
        chosen = readable(factors["fit"]) & readable(factors["test"])
        own = own_latents(view, codes["test"].shape[1])
        numbers: dict[str, float] = {}
        arrays: dict[str, np.ndarray] = {
            "factors": np.array(data.manifest.factors, dtype=np.str_)[chosen],
            "is_target": still[chosen],
        }
        for suffix, part in (("", own), ("_of_z", ~own)):
            if not part.any():
                continue
            found = explained(
                codes["fit"][:, part],
                factors["fit"][:, chosen],
                codes["test"][:, part],
                factors["test"][:, chosen],
            )
            arrays[f"r2{suffix}"] = found
            for kind, those in (("target", still[chosen]), ("common", ~still[chosen])):
                if those.any():
                    numbers[f"{kind}_factors_r2{suffix}"] = float(found[those].mean())
        return Measured(numbers=numbers, counts=dict.fromkeys(numbers, len(codes["test"])), arrays=arrays)
