"""Measure 6 in Inception's features: the FID (CCVAE table 4, ReVAE table 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.measures.view import ModelView

_AT_ONCE = 50
"""Images of 299 x 299 in a forward pass: about 1 GB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FID:
    """Fréchet distance between generated and real images in Inception's features (Heusel et al. 2017).

    It depends on the number of images (``count``): a paper's is comparable only with as many. Grey images are shown in
    three equal channels. On a CPU it takes minutes per thousand images.
    """

    images: int = 5000
    """Of the split, chosen at random, and generated; 0 for all."""
    labels: Literal["uniform", "prior", "data"] = "prior"
    """Of the generated images: uniform, from the frequencies in ``train``, or those of the real images."""
    weights: str = ""
    """File of Inception's weights (weights-inception-2015-12-05-6726825d.pth); downloaded if none is named."""

    name: ClassVar[str] = "fid"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("GeneratesFromLabels",), columns=("labels",))
    metrics: ClassVar[Mapping[str, Metric]] = {"fid": Metric(unit="squared distance", better="lower")}

    def __call__(self, view: ModelView) -> Measured:
        """Generate, and compare as many real images."""
        import torch

        from pipeline.measures.frechet_distance import features_of_generated_and_real, frechet_distance
        from pipeline.measures.inception import load_inception

        network = load_inception(self.weights, view.examples.device)

        def features(image: Tensor) -> Tensor:
            found = []
            for some in image.split(_AT_ONCE):
                view.examples.heartbeat()
                found.append(network(some))
            return torch.cat(found)[None]

        generated, real = features_of_generated_and_real(view, self.images, self.labels, features)
        distance = frechet_distance(generated[0], real[0])
        return Measured(numbers={"fid": distance}, counts={"fid": real.shape[1]})
