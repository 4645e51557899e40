"""The FID's own network and weights; without either, one sentence."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from data_prep.errors import RunError
from pipeline.measures import inception
from pipeline.measures.fid import FID
from pipeline.measures.inception import Inception, load_inception
from tests.pipeline.measures.painted import IgnoresLabels, Painted, Painter


def random_weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, value in sorted(Inception().state_dict().items()):
        if name.endswith("conv.weight"):
            state[name] = torch.randn(value.shape, generator=generator) * (2 / value[0].numel()) ** 0.5
        else:
            one = name.endswith(("running_var", "bn.weight"))
            state[name] = torch.full_like(value, float(one))
    return state


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(random_weights() | {"fc.weight": torch.zeros(1, 1), "fc.bias": torch.zeros(1)}, file)
    return file


def test_features_are_those_of_torch_fidelity(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The expected numbers are those of version 0.4.0 with the same weights, which ours were compared with bit for bit."""
    monkeypatch.setattr(inception, "WEIGHTS_SHA256", "")
    network = load_inception(str(weights), torch.device("cpu"))
    assert sum(each.numel() for each in network.parameters()) == 21_785_568
    shades = torch.randint(
        256, (2, 3, 299, 299), generator=torch.Generator().manual_seed(1), dtype=torch.uint8
    )
    found = network(shades / 255)
    assert found.shape == (2, 2048)
    expected = torch.tensor([[0.2793, 0.6402, 0.1680], [0.2654, 0.6245, 0.1661]])
    torch.testing.assert_close(found[:, :3], expected, atol=2e-4, rtol=0)
    assert found.sum(1).tolist() == pytest.approx([520.3103, 519.3903], rel=1e-4)
    assert int(found[0].argmax()) == 1859


def test_pictures_of_the_right_kind_beat_others_and_the_count_is_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With pixels for features, since Inception takes half a second per image."""
    monkeypatch.setattr(inception, "load_inception", lambda *_: lambda image: image[:, 0, :, 0])
    world = Painted.drawn((2,), 200)
    world.wobble[:] = 0.5
    found = []
    for model in (Painter, IgnoresLabels):
        torch.manual_seed(0)
        measured = FID(images=150)(world.view(model((2,)), batch_size=70))
        assert measured.counts["fid"] == 150
        found.append(measured.numbers["fid"])
    assert 0 < 2 * found[0] < found[1]


def test_other_weights_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"weights\.pth is not Inception's weights"):
        load_inception(str(weights), torch.device("cpu"))
    with pytest.raises(RunError, match="cannot be read: No such file"):
        load_inception(str(tmp_path / "none.pth"), torch.device("cpu"))


def test_no_weights_and_no_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError(OSError("Network is unreachable"))

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    with pytest.raises(
        RunError, match=r"cannot be downloaded \(Network is unreachable\).*fid:weights=FILE"
    ) as found:
        FID()(Painted.drawn((2,), 4).view(Painter((2,))))
    assert "\n" not in str(found.value)
