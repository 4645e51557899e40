"""Measure 17, third part: how much reconstructions differ from their images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconstruction:
    """Mean absolute error, PSNR and SSIM of reconstructions from posterior means, pixels being in [0, 1]."""

    name: ClassVar[str] = "reconstruction"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("Reconstructs",), answers=("reconstructions",))
    metrics: ClassVar[Mapping[str, Metric]] = {
        "reconstruction_error": Metric(unit="share of the range", better="lower"),
        "psnr": Metric(unit="dB", better="higher"),
        "ssim": Metric(unit="share", better="higher"),
    }

    def __call__(self, view: ModelView) -> Measured:
        """Means over all images of the split."""
        import torch

        device, start, found = view.examples.device, 0, []
        for image in view.examples.images():
            reconstruction = view.reconstructions[start : start + len(image)].to(device).float()
            found.append(differences(image.float() / 255, reconstruction))
            start += len(image)
        means = torch.cat(found, dim=1).double().mean(1).tolist()
        numbers = dict(zip(("reconstruction_error", "psnr", "ssim"), means, strict=True))
        return Measured(numbers=numbers, counts=dict.fromkeys(numbers, start))


def differences(
    image: Float[Tensor, "row channel height width"],
    reconstruction: Float[Tensor, "row channel height width"],
) -> Float[Tensor, "3 row"]:
    """Mean absolute error, peak signal-to-noise ratio in dB, and structural similarity (Wang et al. 2004) of each image.

    Raises:
        MissingDependencyError: torchmetrics is not installed.
    """
    import torch

    from pipeline.measures.optional import optional_package

    error = (image - reconstruction).flatten(1)
    psnr = -10 * error.square().mean(1).log10()
    library = optional_package("torchmetrics.functional.image")
    # A filter for each channel takes 2.5 times as long on a CPU if channels are apart in memory; the numbers are the same.
    ssim = library.structural_similarity_index_measure(
        *(each.contiguous(memory_format=torch.channels_last) for each in (reconstruction, image)),
        data_range=1.0,
        reduction="none",
    )
    return torch.stack([error.abs().mean(1), psnr, ssim.reshape(len(image))])
