"""Measure 18, second part: how separately the code represents the factors that an image was drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    from pipeline.measures.disentanglement_scores import Rows
    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class Disentanglement:
    """MIG, DCI, SAP and FactorVAE's score of the posterior means against the known factors of the data.

    What is fitted is fitted on images of ``train``. Factors and latents that do not vary are left out. It does not apply to
    a system that encodes images with known labels only: labels follow from factors, and its code from the labels.
    """

    images: int = 2000
    """Of each of the two splits, the first ones."""
    bins: int = 20
    """For mutual information and for groups of images that share a factor."""
    groups: int = 800
    """Of images that share a factor, for FactorVAE's score."""
    group_size: int = 64

    name: ClassVar[str] = "disentanglement"
    version: ClassVar[int] = 3
    """3: not for systems that encode images with known labels only."""
    needs: ClassVar[Needs] = Needs(
        capabilities=("Encodes",), encoding_without_labels=True, columns=("factors",)
    )
    metrics: ClassVar[Mapping[str, Metric]] = {
        "mig": Metric(unit="share", better="higher"),
        "sap": Metric(unit="share", better="higher"),
        "dci_disentanglement": Metric(unit="share", better="higher"),
        "dci_completeness": Metric(unit="share", better="higher"),
        "dci_informativeness": Metric(unit="share", better="higher"),
        "factor_vae_score": Metric(unit="share", better="higher"),
        "factors_compared": Metric(unit="factors", better="none"),
    }

    def __call__(self, view: ModelView) -> Measured:
        """Scores, and for each factor MIG, SAP and the importance of each latent."""
        import numpy as np

        from pipeline.measures import disentanglement_scores as scores

        train, test = self._rows(view.on("train")), self._rows(view)
        factors = scores.varying(train.factors) & scores.varying(test.factors)
        latents = scores.varying(train.codes) & scores.varying(test.codes)
        if not factors.any() or not latents.any():
            return Measured(numbers={"factors_compared": 0.0})
        train, test = (
            scores.Rows(rows.codes[:, latents], rows.factors[:, factors]) for rows in (train, test)
        )
        chance = np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002 - seeded for each measure
        gaps = scores.mutual_information_gap(test, self.bins)
        separate = scores.attribute_predictability(train, test)
        dci = scores.disentanglement_completeness_informativeness(train, test, int(chance.integers(2**31)))
        votes = [
            scores.fixed_factor_votes(rows, self.bins, self.groups, self.group_size, chance)
            for rows in (train, test)
        ]
        numbers = {
            "mig": float(gaps.mean()),
            "sap": float(separate.mean()),
            "dci_disentanglement": dci.disentanglement,
            "dci_completeness": dci.completeness,
            "dci_informativeness": dci.informativeness,
            "factor_vae_score": scores.vote_accuracy(*votes),
            "factors_compared": float(factors.sum()),
        }
        names = np.array(view.examples.data.manifest.factors, dtype=np.str_)[factors]
        return Measured(
            numbers=numbers,
            counts=dict.fromkeys(numbers.keys() - {"factors_compared"}, len(test.codes)),
            arrays={"factors": names, "mig": gaps, "sap": separate, "importance": dci.importance},
        )

    def _rows(self, view: ModelView) -> Rows:
        from pipeline.measures.disentanglement_scores import Rows

        codes = view.codes(self.images).double().numpy()
        factors = view.examples.data.column(view.examples.split, "factors")
        return Rows(codes, factors[: len(codes)].astype("float64"))
