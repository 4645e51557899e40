"""Measure 16: the style of images with other characteristics: drawn, of other images, and between (Ruiz et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.field_checks import check_at_least
from pipeline.measures.measure import DoesNotApply, Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from pipeline.measures.view import ModelView

_IMAGES_AT_RANDOM = 500
"""Of so many images of the split one is chosen for each column, for a system without a prior."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionalSynthesis:
    """Figures of swaps: ``conditional_synthesis``, ``characteristic_transfer``, and four more as named below.

    As figures 4, 5, 8 and 9 of Ruiz et al. 2019, every row has the style of one image. In the first, a column has the
    same characteristics ``e`` throughout, drawn from the prior: ``N(0, I)``, or for a system with latents of labels
    ``p(e | y)`` of labels that are drawn independently at their frequencies in training. A system that has no prior of
    them, as Mathieu et al.'s, whose ``e`` is a point for each image, gets those of images at random. In the second figure
    they are those of the image above, in the third they go in a straight line from those of the row's image to those of the
    next one, in the fourth, for systems with ``e_r``, from those of the reference set (a neutral expression) to those of the
    row's image. The fifth, for them too, is as figure 10: the style of each row is drawn from the prior as well.
    """

    images: int = 6
    """Of the split, the first ones."""
    draws: int = 8
    """Columns of the first figure."""
    steps: int = 8
    """Frames of the third figure, with both ends."""

    name: ClassVar[str] = "conditional_synthesis"
    version: ClassVar[int] = 3
    """3: nothing is drawn from ``N(0, I)`` for a system that was not trained with that prior."""
    needs: ClassVar[Needs] = Needs(capabilities=("Encodes", "EncodesFactors"))
    metrics: ClassVar[Mapping[str, Metric]] = {}

    def __post_init__(self) -> None:
        check_at_least(1, self, "images", "draws")
        check_at_least(2, self, "steps")

    def __call__(self, view: ModelView) -> Measured:
        """No numbers, but grids."""
        import torch

        from pipeline.measures.image_grid import as_arrays, grid_of
        from pipeline.models.capabilities import HasReference
        from pipeline.models.parts.latent_algebra import straight_path

        model: Any = view.model
        image, known = view.first(self.images), view.known_labels(self.images)
        if not len(image):
            raise DoesNotApply("the split has no images")
        code = model.encode(image, known)
        size = model.characteristic_latents(image[:1], None if known is None else _first(known)).shape[1]
        own, style = code[:, :size], code[:, size:]

        def decoded(characteristics: Tensor, style: Tensor = style) -> Tensor:
            """Of (row, column, latent) or (1, column, latent), each row in the style of its image."""
            row, column = len(style), characteristics.shape[1]
            both = [characteristics.expand(row, -1, -1), style[:, None].expand(-1, column, -1)]
            pictures: Tensor = model.decode(torch.cat(both, dim=-1))
            return pictures

        shown = image.float()[:, None] / 255
        names = [f"{view.examples.split} image {number + 1}" for number in range(len(image))]
        prior, source = self._drawn(view, own)
        prior = prior[None]
        grids = {
            "conditional_synthesis": grid_of(
                torch.cat([shown, decoded(prior)], dim=1),
                names,
                f"Conditional synthesis: each column has the same characteristics, {source}",
                ["image", *[f"draw {number + 1}" for number in range(self.draws)]],
            )
        }
        head = torch.cat([torch.ones_like(shown[:1]), shown.transpose(0, 1)], dim=1)
        grids["characteristic_transfer"] = grid_of(
            torch.cat([head, torch.cat([shown, decoded(own[None])], dim=1)]),
            ["characteristics of", *["style of"] * len(image)],
            "Transfer: characteristics of the image above, style of the left image",
        )
        if len(image) > 1:
            frames = straight_path(own, own.roll(-1, 0), self.steps).transpose(0, 1)
            grids["characteristic_interpolation"] = grid_of(
                torch.cat([shown, decoded(frames), shown.roll(-1, 0)], dim=1),
                names,
                "Interpolation: style of the left image, characteristics from its own to those of the right image",
                ["from", *[""] * self.steps, "to"],
            )
        if isinstance(model, HasReference):
            frames = straight_path(model.reference_characteristics.expand_as(own), own, self.steps)
            grids["reference_interpolation"] = grid_of(
                torch.cat([shown, decoded(frames.transpose(0, 1))], dim=1),
                names,
                "Interpolation: style of the image, characteristics from those of the reference set to its own",
                ["image", "reference", *[""] * (self.steps - 2), "own"],
            )
            grids["prior_samples"] = grid_of(
                decoded(prior, torch.randn_like(style)),
                [f"style {number + 1}" for number in range(len(style))],
                "Samples of the prior: each row has the same style, each column the same characteristics",
                [f"characteristics {number + 1}" for number in range(self.draws)],
            )
        return Measured(arrays=as_arrays(grids))

    def _drawn(
        self, view: ModelView, own: Float[Tensor, "image latent"]
    ) -> tuple[Float[Tensor, "draw latent"], str]:
        """Characteristics, and where they are from; those that no label has are as in the first image."""
        import torch

        from pipeline.measures.drawn_labels import drawn_labels, label_shares
        from pipeline.models.capabilities import HasLabelLatents, HasReference

        model: Any = view.model
        if isinstance(model, HasLabelLatents):
            found = own[:1].expand(self.draws, -1).clone()
            labels = drawn_labels(label_shares(view.examples.data.manifest, "prior"), self.draws)
            for label, values in enumerate(labels.to(own.device).T):
                found[:, model.latents_of(label)] = model.draw(label, values, 1)[0].to(found.dtype)
            return found, "drawn from the prior"
        if isinstance(model, HasReference):
            return torch.randn(self.draws, own.shape[1], device=own.device), "drawn from the prior"
        of_images = view.codes(_IMAGES_AT_RANDOM)[:, : own.shape[1]]
        chosen = of_images[torch.randint(len(of_images), (self.draws,))]
        return chosen.to(own), f"those of an image of {view.examples.split} at random (there is no prior)"


def _first(known: Any) -> Any:
    """What is known of the first image."""
    import torch

    return known.of(torch.zeros(1, dtype=torch.long, device=known.labels.device))
