from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.errors import ConfigError, TrackingError
from pipeline.tracking import TrackingSettings, on_network_disk, public_uri, tracking_uri
from pipeline.tracking.address import with_environment_secrets, without_secrets


def test_the_default_store_is_in_the_runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tracking_uri(None, Path("runs")) == f"sqlite:///{tmp_path}/runs/mlflow.db"


def test_the_environment_names_the_store_and_the_settings_overrule_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example:5000")
    assert tracking_uri(None, Path("runs")) == "http://mlflow.example:5000"
    assert tracking_uri("https://other.example", Path("runs")) == "https://other.example"


def test_a_relative_sqlite_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tracking_uri("sqlite:///my.db", Path("runs")) == f"sqlite:///{tmp_path}/my.db"


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "file:mlruns"])
def test_a_folder_is_refused_in_one_sentence(uri: str) -> None:
    with pytest.raises(TrackingError, match="is a folder, which MLflow no longer writes to"):
        tracking_uri(uri, Path("runs"))


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("localhost:5000", "has no scheme; for the MLflow server at that address, use http://localhost:5000"),
        ("[::1]:5000", r"use http://\[::1\]:5000"),
        ("databricks", "is Databricks', which is not supported"),
        ("databricks://profile", "is Databricks', which is not supported"),
    ],
)
def test_an_address_that_is_no_store_is_refused_with_what_to_use(uri: str, sentence: str) -> None:
    with pytest.raises(TrackingError, match=sentence):
        tracking_uri(uri, Path("runs"))


@pytest.mark.parametrize(
    ("uri", "public", "secrets"),
    [
        ("https://ada:pa%20ss@mlflow.example:443/x", "https://mlflow.example:443/x", ["ada", "pa%20ss"]),
        ("postgresql://ada:hidden@db.example/mlflow", "postgresql://db.example/mlflow", ["ada", "hidden"]),
        (
            "postgresql://db/x?user=ada&password=hidden&sslmode=require",
            "postgresql://db/x?sslmode=require",
            ["hidden"],
        ),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000", []),
        ("sqlite:////runs/a@b:c.db", "sqlite:////runs/a@b:c.db", []),
    ],
)
def test_the_public_address_and_messages_have_no_secret(uri: str, public: str, secrets: list[str]) -> None:
    assert public_uri(uri) == public
    assert public_uri(public) == public
    message = without_secrets(f"no answer from {uri}", uri)
    assert message.startswith("no answer from ")
    assert not [secret for secret in secrets if secret in message]


def test_a_password_in_the_settings_is_refused() -> None:
    with pytest.raises(ConfigError, match="contains a password"):
        TrackingSettings(uri="https://ada:secret@mlflow.example")


def test_the_password_of_the_environment_is_used_for_its_own_store_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ada:secret@mlflow.example")
    assert with_environment_secrets("https://mlflow.example") == "https://ada:secret@mlflow.example"
    assert with_environment_secrets("https://other.example") == "https://other.example"


@pytest.mark.parametrize("wrong", [{"experiment": ""}, {"system_metrics_every_s": 0.0}])
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        TrackingSettings(**wrong)  # type: ignore[arg-type]


def test_a_network_disk_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path}/my\\040share nfs4 rw 0 0\n"
    monkeypatch.setattr(Path, "read_text", lambda self, **_: mounts)
    assert on_network_disk(f"sqlite:///{tmp_path}/my share/mlflow.db")
    assert not on_network_disk(f"sqlite:///{tmp_path}/mine/mlflow.db")
    assert not on_network_disk("http://127.0.0.1:5000")
