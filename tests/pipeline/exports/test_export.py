"""Exports: what is in them, that they give the same as the cell, and one sentence for whatever is wrong with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jaxtyping
import mlflow
import mlflow.pyfunc
import numpy as np
import pytest
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import add_to_model
from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec

from data_prep.errors import ConfigError, MissingDependencyError, RunError, UserError
from jobs.evaluate import evaluate_cell
from jobs.train import train_cell
from launch import export as command
from pipeline.cell import Cell
from pipeline.exports.card import _measures
from pipeline.exports.export import export_cell
from pipeline.exports.onnx import DECODER_FILE, ENCODER_FILE, write_onnx
from pipeline.exports.pyfunc import write_logged
from pipeline.exports.read import load_export
from pipeline.exports.record import NumberRecord
from pipeline.tracking import TrackingSettings
from pipeline.tracking.store import connect
from pipeline.trained_cell import load_cell, manifest_of
from tests.pipeline.models.every_system import DATA, narrow, ready
from tests.pipeline.networks.own_networks import write_package, write_small
from tests.pipeline.runs import small_cell, small_run
from tests.pipeline.tracking.stores import fresh_store, quiet_mlflow

pytestmark = quiet_mlflow

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cell(tiny_data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Cell:
    """A trained CCVAE, measured, with a figure."""
    config = small_run(tiny_data_set, epochs=2)
    runs = tmp_path_factory.mktemp("runs")
    config = replace(
        config,
        tracking=TrackingSettings(uri=fresh_store(runs), system_metrics=False),
        measures=replace(config.measures, take=("classification", "generation_grid", "reconstruction_grid")),
    )
    cell = small_cell(runs / "sweep", config)
    train_cell(cell.config_file)
    evaluate_cell(cell.config_file)
    return cell


@pytest.fixture(scope="module")
def exported(cell: Cell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "spots"
    export_cell(cell, folder)
    return folder


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def pictures(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(count, 1, 28, 28), dtype=np.uint8)


def test_an_export_computes_what_the_cell_does_without_its_data_set(cell: Cell, copy: Path) -> None:
    original, opened = load_cell(cell.folder, CPU), load_export(copy, CPU)
    for one, other in zip(
        original.network.state_dict().values(), opened.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
    assert torch.equal(original.reconstruct(pictures()), opened.reconstruct(pictures()))
    assert (opened.name, opened.identity) == (cell.name, cell.name.rpartition("-")[2])
    (label,) = opened.labels
    probabilities = opened.classify(pictures())[label.name]
    assert probabilities.shape == (3, 10)
    assert probabilities.sum(1).allclose(torch.ones(3))
    changed = opened.intervene(pictures(), label.name, label.values[2], draws=2)
    assert changed.shape == (2, 3, 1, 28, 28)
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
    assert opened.generate([{label.name: "3"}, {label.name: "4"}]).shape == (2, 1, 28, 28)
    assert opened.decode(opened.encode(pictures())).equal(opened.reconstruct(pictures()))


def test_what_a_model_does_not_take_is_one_sentence(exported: Path) -> None:
    model = load_export(exported, CPU)
    with pytest.raises(
        ConfigError, match=r"takes images of uint8 and shape \(images, 1, 28, 28\), not float32"
    ):
        model.classify(torch.zeros(2, 1, 28, 28))
    with pytest.raises(ConfigError, match="has no label 'hair'; it has class"):
        model.intervene(pictures(), "hair", "red")
    with pytest.raises(ConfigError, match="class has no value 'red'; it has 0, 1, 2"):
        model.intervene(pictures(), "class", "red")
    with pytest.raises(ConfigError, match="generate needs a value of class"):
        model.generate([{}])


def test_a_card_says_of_each_number_which_settings_it_has() -> None:
    one = NumberRecord(
        measure="generation_accuracy",
        version=1,
        split="test",
        settings={},
        metric="generation_accuracy",
        value=0.5,
        unit="share",
        better="higher",
        count=None,
    )
    said = _measures([one, replace(one, settings={"labels": "prior"}, value=0.75)])
    assert "| test | generation_accuracy | 0.5 |" in said
    assert "| test | generation_accuracy, labels=prior | 0.75 |" in said


def test_the_folder_holds_what_the_issue_of_a_model_needs_and_no_place_of_this_machine(
    cell: Cell, exported: Path
) -> None:
    names = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    assert {"model.json", "model.safetensors", "README.md", "figures/conditional_generations.png"} == names
    said = json.loads((exported / "model.json").read_text())
    assert said["data"]["labels"] == [{"name": "class", "cardinality": 10, "values": list("0123456789")}]
    assert {each["metric"] for each in said["measured"]} >= {"classification_accuracy"}
    assert said["versions"]["torch"] == torch.__version__
    everything = b"".join(path.read_bytes() for path in exported.rglob("*") if path.is_file())
    assert str(cell.folder.parent).encode() not in everything
    assert cell.config.data.folder.encode() not in everything
    card = (exported / "README.md").read_text()
    assert "| test | classification_accuracy | 0." in card
    assert "| share | higher | 200 |" in card
    assert "Licence of the data: that of the files." in card
    assert "## What it must not be used for\n\n- Not to pass off" in card
    assert "![conditional_generations](figures/conditional_generations.png)" in card
    assert "Left out: 1 figure with pictures of the data" in card  # those of idx files may be anybody's


def test_mlflow_predicts_with_what_training_logged_which_is_the_same_export(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = str(cell.config.tracking.uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    state = json.loads((cell.folder / "tracking.json").read_text())
    run = connect(uri).get_run(state["run_id"])
    (logged,) = connect(uri).search_logged_models([run.info.experiment_id])
    folder = Path(mlflow.artifacts.download_artifacts(logged.model_uri, dst_path=str(tmp_path / "logged")))
    names = {path.name for path in folder.iterdir() if path.is_file()}
    assert {"MLmodel", "model.json", "model.safetensors"} <= names
    assert {Path(name).suffix for name in names} <= {"", ".json", ".safetensors", ".yaml", ".txt"}
    described = Model.load(str(folder))
    theirs = Model()  # as MLflow itself writes it
    add_to_model(theirs, loader_module="pipeline.exports.pyfunc", model_config={"trust_code": False})
    assert described.flavors == theirs.flavors
    assert described.signature == ModelSignature(
        Schema([TensorSpec(np.dtype(np.uint8), (-1, *manifest_of(cell).image_shape))]),
        params=ParamSchema([ParamSpec("output", DataType.string, "labels")]),
    )
    original, opened = load_cell(cell.folder, CPU), load_export(folder, CPU)
    assert original.reconstruct(pictures()).equal(opened.reconstruct(pictures()))

    served = mlflow.pyfunc.load_model(str(folder))
    labels = served.predict(pictures())
    assert list(labels) == [f"class={value}" for value in range(10)]
    assert labels.equals(served.predict(pictures()))  # CCVAE draws latents to classify
    torch.manual_seed(0)
    assert np.array_equal(labels.to_numpy(), original.classify(pictures())["class"].numpy())
    many = pictures(501)  # more than go through the network at once
    shown = served.predict(many, params={"output": "reconstruction"})
    assert np.allclose(shown, original.reconstruct(many).numpy(), atol=1e-5)
    given, answer = tmp_path / "images.json", tmp_path / "answer.json"
    given.write_text(json.dumps({"instances": pictures().tolist(), "params": {"output": "reconstruction"}}))
    # What the command mlflow models predict calls.
    mlflow.models.predict(str(folder), input_path=str(given), env_manager="local", output_path=str(answer))
    assert np.allclose(json.loads(answer.read_text())["predictions"], shown[:3], atol=1e-6)
    with pytest.raises(MlflowException, match=r"Shape of input \(3, 28, 28\) does not match expected shape"):
        served.predict(pictures()[:, 0])
    with pytest.raises(MlflowException, match="output is labels or reconstruction, not 'hair'"):
        served.predict(pictures(), params={"output": "hair"})


def change(path: Path, what: Callable[[dict[str, Any]], object]) -> None:
    said = json.loads(path.read_text())
    what(said)
    path.write_text(json.dumps(said))


def flip_a_byte(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda at: (at / "model.json").unlink(), "is no exported model: it has no model.json"),
        (lambda at: (at / "model.json").write_text("{"), r"model.json is damaged \(JSONDecodeError"),
        (lambda at: (at / "model.safetensors").unlink(), "model.safetensors cannot be read: No such file"),
        (
            lambda at: (at / "model.safetensors").write_bytes(b"short"),
            "model.safetensors is damaged: it has 5 bytes, where model.json says",
        ),
        (flip_a_byte, "model.safetensors was changed or damaged: its SHA-256 is not that in model.json"),
        (lambda at: change(at / "model.json", lambda said: said.update(format=2)), "is of format 2, but .* update it"),
        (
            lambda at: change(at / "model.json", lambda said: said["run"]["model"].update(system="gan")),
            "has no system 'gan'; it has ccvae, ",
        ),
        (
            lambda at: change(at / "model.json", lambda said: said["run"]["model"].update(hidden_width=16)),
            "does not fit model.json: .* is 32.*, where the configuration makes it 16",
        ),
        (
            lambda at: change(at / "model.json", lambda said: said["run"]["model"].update(hiden_width=16)),
            "unknown field run.model.hiden_width; did you mean hidden_width",
        ),
        (
            lambda at: change(
                at / "model.json", lambda said: said["files"].update({"../x": {"bytes": 0, "sha256": ""}})
            ),
            "names '../x', which is no file of an export",
        ),
    ],
)  # fmt: skip
def test_a_damaged_or_changed_export_is_one_sentence(
    copy: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    damage(copy)
    with pytest.raises(UserError, match=sentence):
        load_export(copy, CPU)


@pytest.mark.parametrize("write", [write_small, write_package])
def test_a_network_of_ones_own_travels_with_its_code_which_has_to_be_allowed(
    write: Callable[[Path], str], tiny_data_set: Path, tmp_path: Path
) -> None:
    config = small_run(tiny_data_set, epochs=1)
    network = write(tmp_path / "mine")
    cell = small_cell(tmp_path / "runs", replace(config, model=replace(config.model, network=network)))  # type: ignore[arg-type]
    train_cell(cell.config_file)
    export_cell(cell, tmp_path / "export")
    trained = load_cell(cell.folder, CPU)
    expected = trained.reconstruct(pictures())
    (tmp_path / "logged").mkdir()
    write_logged(tmp_path / "logged", cell, manifest_of(cell), trained.network, 1)
    shutil.rmtree(tmp_path / "mine")
    shutil.rmtree(cell.folder)
    moved = Path(shutil.move(tmp_path / "export", tmp_path / "elsewhere"))
    with pytest.raises(
        RunError, match=r"whose code \(code/network_.* read it, and load the model with trust_code=True"
    ):
        load_export(moved, CPU)
    assert "trust_code=True" in (moved / "README.md").read_text()
    assert load_export(moved, CPU, trust_code=True).reconstruct(pictures()).equal(expected)
    with pytest.raises(RunError, match="trust_code=True"):
        mlflow.pyfunc.load_model(str(tmp_path / "logged"))
    mlflow.pyfunc.load_model(str(tmp_path / "logged"), model_config={"trust_code": True})
    source = next(path for path in (moved / "code").rglob("*.py") if path.stat().st_size)
    source.write_text(source.read_text() + "\n")
    with pytest.raises(RunError, match="is damaged: it has"):
        load_export(moved, CPU, trust_code=True)


def test_the_command_exports_a_run_that_is_named_in_part_and_nothing_that_is_there_or_untrained(
    cell: Cell, tiny_data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = ["--runs", str(cell.folder.parents[1])]
    command.main(["sweep", "ccvae", "--out", str(tmp_path / "out"), "--all-figures", *runs])
    said = capsys.readouterr().out
    assert "model.safetensors" in said
    assert f"{cell.name}: " in said
    assert (tmp_path / "out" / "figures" / "reconstructions.png").is_file()
    for arguments, sentence in [
        (["sweep", "ccvae", "--out", str(tmp_path / "out"), *runs], "out exists already"),
        (["sweep", "m2", "--out", str(tmp_path / "other"), *runs], "no cell of sweep matches 'm2'"),
        (
            [str(small_cell(tmp_path, small_run(tiny_data_set)).folder), "--out", str(tmp_path / "other")],
            "not trained",
        ),
    ]:
        with pytest.raises(SystemExit) as end:
            command.main(arguments)
        assert end.value.code == 2
        assert sentence in capsys.readouterr().err
        assert not (tmp_path / "other").exists()


def test_onnx_gives_what_torch_gives_also_for_a_system_that_encodes_labels(
    tiny_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        jaxtyping.config, "jaxtyping_disable", True
    )  # its checks would fix the number of rows
    runtime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    config = small_run(tiny_data_set, system="csvae", rate=1.0, epochs=1)
    needs_labels = replace(config.model, hidden_labels=0)  # type: ignore[arg-type]
    cell = small_cell(tmp_path / "runs", replace(config, model=needs_labels))
    train_cell(cell.config_file)
    export_cell(cell, tmp_path / "out", onnx=True)
    model, labels = load_export(tmp_path / "out", CPU), np.full((2, 1), 3, dtype=np.uint8)
    code = model.encode(pictures(2), labels)
    encoder, decoder = (
        runtime.InferenceSession(tmp_path / "out" / name) for name in (ENCODER_FILE, DECODER_FILE)
    )
    observed = np.ones((2, 1), dtype=np.bool_)
    (found,) = encoder.run(None, {"image": pictures(2), "labels": labels, "observed": observed})
    assert np.abs(found - code.numpy()).max() < 1e-5
    (shown,) = decoder.run(None, {"code": code.numpy()})
    assert np.abs(shown - model.decode(code).numpy()).max() < 1e-5
    for preset in ("beta_tcvae", "rb_vae"):  # written only if it computes what torch does
        network = ready(narrow(preset).build(DATA["digits"]), DATA["digits"]).eval()
        (tmp_path / preset).mkdir()
        assert len(write_onnx(tmp_path / preset, replace(model, network=network))) == 2
    (tmp_path / "logged").mkdir()
    write_logged(tmp_path / "logged", cell, manifest_of(cell), model.network, 1)
    served = mlflow.pyfunc.load_model(str(tmp_path / "logged"))
    redrawn = served.predict({"images": pictures(2), "labels": labels}, params={"output": "reconstruction"})
    assert np.allclose(redrawn, model.reconstruct(pictures(2), labels).numpy(), atol=1e-6)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'traitvae\[onnx\]'"):
        export_cell(cell, tmp_path / "without", onnx=True)
    assert not (tmp_path / "without").exists()
