"""The prior of binary labels follows latents that have gone far apart, within a short training."""

from __future__ import annotations

import torch

from pipeline.models.interface import DataSpec
from pipeline.models.parts.conditional_prior import ConditionalPrior
from pipeline.models.parts.label_layout import LabelLayout, label_blocks


def test_the_table_reaches_distant_latents_in_a_thousand_small_steps() -> None:
    data = DataSpec(image_shape=(1, 2, 2), cardinalities=(2,), label_frequencies=((0.5, 0.5),))
    prior = ConditionalPrior(LabelLayout(label_blocks((2,), (1,))), data)
    optimiser = torch.optim.Adam(prior.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    labels = (torch.arange(32) % 2).to(torch.uint8)[:, None]
    for _ in range(1000):
        z = 10.0 * labels - 5 + torch.randn(32, 1, generator=generator)
        loss = -prior.given(prior.joint(z), labels).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.testing.assert_close(prior.of_label(0)[0], torch.tensor([[-5.0], [5.0]]), rtol=0, atol=0.5)
