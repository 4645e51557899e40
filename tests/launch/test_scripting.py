"""``import traitvae``: its example runs as it stands, its names are all there, and mistakes are one sentence."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

import traitvae
from data_prep.errors import ConfigError, RunError
from pipeline.models.registry import SystemConfig
from tests.pipeline.runs import small_run

ROOT = Path(__file__).parents[2]


def example() -> str:
    """The example in the package's docstring."""
    return textwrap.dedent((traitvae.__doc__ or "").partition("For example::\n")[2])


def test_the_example_of_the_docstring_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len([line for line in example().splitlines() if line.strip()]) <= 15
    monkeypatch.chdir(tmp_path)
    untracked = "RunConfig(\n    tracking=traitvae.TrackingSettings(enabled=False),"
    exec(compile(example().replace("RunConfig(\n", untracked + "\n", 1), "<example>", "exec"), {})
    accuracy, shape = capsys.readouterr().out.splitlines()[-2:]
    assert 0.3 < float(accuracy) < 1
    assert shape == "torch.Size([1, 8, 3, 64, 64])"
    assert len(list((tmp_path / "runs" / "scripts").glob("ccvae-drawn_faces-f0.5-seed0-*/TRAINED"))) == 1


def test_importing_it_imports_neither_torch_nor_numpy() -> None:
    places = [str(ROOT), str(ROOT / "launch" / "library")]
    code = f"import sys; sys.path[:0] = {places}; import traitvae; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"torch", "numpy", "tyro", "mlflow"} & set(ended.stdout.split())


def test_every_name_is_there_with_the_configuration_of_every_system() -> None:
    assert sorted(dir(traitvae)) == sorted(traitvae.__all__) == sorted(traitvae._DEFINED_IN)
    for name in traitvae.__all__:
        assert getattr(traitvae, name).__name__ == name
    assert {kind.__name__ for kind in get_args(SystemConfig)} <= set(traitvae.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        traitvae.lode


def test_a_run_is_trained_once_and_loaded_from_its_folder(tiny_data_set: Path, tmp_path: Path) -> None:
    data, config = traitvae.open_data(tiny_data_set), small_run(tiny_data_set, epochs=1)
    config = replace(config, data=traitvae.DataConfig(supervision_rate=0.5))
    model = traitvae.train(config, data, runs=tmp_path)
    folder = tmp_path / "scripts" / model.name
    trained = (folder / "TRAINED").stat().st_mtime_ns
    assert traitvae.train(config, data, runs=tmp_path).name == model.name
    assert (folder / "TRAINED").stat().st_mtime_ns == trained
    images = data.images("test").all()[:2]
    assert traitvae.load(folder).reconstruct(images).equal(model.reconstruct(images))
    numbers = traitvae.measure(model, data, ["classification"])
    assert numbers["classification_accuracy"].count == 200
    assert numbers == traitvae.measure(model, data, ["classification"])
    with pytest.raises(ConfigError, match="no split 'dev'; there are: train, test"):
        traitvae.measure(model, data, split="dev")
    with pytest.raises(ConfigError, match="classification is named with several settings"):
        traitvae.measure(model, data, ["classification", "classification:bins=5"])
    with pytest.raises(ConfigError, match="identity_error does not apply to ccvae-idx_folder"):
        traitvae.measure(model, data, ["identity_error"])
    with pytest.raises(ConfigError, match="does not have the labels and the image shape of"):
        traitvae.measure(replace(model, image_shape=(3, 8, 8)), data)


def test_what_is_no_model_or_no_data_set_is_one_sentence(tiny_data_set: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is neither a run .* nor an exported model"):
        traitvae.load(tmp_path)
    with pytest.raises(ConfigError, match="raw and options are for a source"):
        traitvae.open_data(tiny_data_set, options={"count": 3})
    with pytest.raises(ConfigError, match="no data set named 'nonsense'"):
        traitvae.open_data("nonsense")
