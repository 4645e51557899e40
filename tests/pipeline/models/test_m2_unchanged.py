"""With one class label M2 is what the results in ``docs/results.md`` were made with: same parameters, same numbers.

The numbers were recorded before it learned of other labels.
"""

from __future__ import annotations

import pytest
import torch

from pipeline.models.m2 import M2Config
from tests.pipeline.models.tiny_models import IMAGES, LABELS, TINY, batch_of, four_steps

FIRST = [-71.10174176872, -77.32020979556, -42.65062627423, -3.10186088251, -3.76195721121]
FOURTH = [-65.51329548168, -69.15771640438, -46.38818773706, -3.0173883179, -3.51829216862]
CLASSIFIED = [-1.2528933259791963, -0.8909857228683968, -1.1904914297156486]


@pytest.mark.usefixtures("float64")
def test_four_steps_of_training_give_the_recorded_numbers() -> None:
    torch.manual_seed(0)
    model = M2Config(latent_size=2, hidden_width=8).build(TINY)
    found = four_steps(model)
    assert found[0] == pytest.approx(FIRST, rel=1e-11)
    assert found[3] == pytest.approx(FOURTH, rel=1e-11)
    squares = sum(float(p.detach().square().sum()) for p in model.parameters())
    assert squares == pytest.approx(20.45441806133489, rel=1e-11)
    torch.manual_seed(9)
    image = batch_of(IMAGES, LABELS, 3).image
    with torch.no_grad():
        (log_q,) = model.classify(image)
        assert log_q[0].tolist() == pytest.approx(CLASSIFIED, rel=1e-11)
        generated = model.generate(LABELS[:, None].to(torch.uint8))
        assert float(generated.sum()) == pytest.approx(9.898228241704397, rel=1e-11)
        assert float(model.reconstruct(image).sum()) == pytest.approx(9.729693341373622, rel=1e-11)
