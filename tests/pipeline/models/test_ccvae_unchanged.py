"""With one class label CCVAE is what the results in ``docs/results.md`` were made with: same parameters, same numbers.

The numbers were recorded before it learned of other labels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from pipeline.models.ccvae import CCVAEConfig
from tests.pipeline.models.tiny_models import IMAGES, LABELS, TINY, batch_of, four_steps

SMALL: dict[str, Any] = {
    "characteristic_size": 2,
    "style_size": 1,
    "hidden_width": 8,
    "predictive_samples": 6,
}
RECORDED: dict[str, tuple[CCVAEConfig, list[float], list[float], float, list[float], float]] = {
    "paper": (
        CCVAEConfig(**SMALL),
        [-4.87623012188, -3.6238824605, -3.5533075444, -2.78405333458, -4.69568824632],
        [-3.96337695516, -3.82907991321, -3.3941137391, -3.34438403867, -2.85490293587],
        62.7874046835318,
        [-0.914180941225, -1.28424363018, -1.13228713522],
        9.331260709883733,
    ),
    "exact": (
        replace(CCVAEConfig.exact(), **SMALL),
        [-5.22240914655, -3.32066091905, -3.2430976379, -3.06459338975, -3.32713528556],
        [-4.98800825364, -3.69130734852, -3.55400758887, -2.55237615964, -3.16313243918],
        63.08219217681059,
        [-1.40924358559, -0.993042264187, -0.953930297969],
        9.243368040542357,
    ),
    "sampled": (
        CCVAEConfig(label_marginal="jensen_sampled", **SMALL),
        [-4.88347358904, -3.61754299857, -3.53651652164, -3.13118815179, -5.69770490862],
        [-3.8944005361, -3.6143691639, -3.29398856994, -2.85816804099, -2.74769606548],
        62.94701052741977,
        [-1.10467882736, -1.2923652238, -0.931246388879],
        9.338244032948857,
    ),
}
"""Objective at the start and in the fourth step, then squared parameters, and what classify and generate give."""


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.usefixtures("float64")
def test_four_steps_of_training_give_the_recorded_numbers(name: str) -> None:
    config, first, fourth, squares, classified, generated = RECORDED[name]
    torch.manual_seed(0)
    model = config.build(TINY)
    found = four_steps(model)
    assert found[0] == pytest.approx(first, rel=1e-9)
    assert found[3] == pytest.approx(fourth, rel=1e-9)
    assert sum(float(p.detach().square().sum()) for p in model.parameters()) == pytest.approx(
        squares, rel=1e-9
    )
    torch.manual_seed(9)
    with torch.no_grad():
        (log_q,) = model.classify(batch_of(IMAGES, LABELS, 3).image)
        assert log_q[0].tolist() == pytest.approx(classified, rel=1e-9)
        images = model.generate(LABELS[:, None].to(torch.uint8))
    assert float(images.sum()) == pytest.approx(generated, rel=1e-9)
