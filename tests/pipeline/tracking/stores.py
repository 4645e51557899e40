"""MLflow stores for tests: a fresh SQLite file in no time, and a real server that can be stopped and started."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import IO

import pytest

from pipeline.tracking import create_store, tracking_uri

quiet_mlflow = pytest.mark.filterwarnings("ignore:.*``noload`` loader strategy:DeprecationWarning")
"""MLflow 3.17 uses what SQLAlchemy 2.1 deprecates."""


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mlflow-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    create_store(f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"


def fresh_store(runs: Path) -> str:
    """Address of an initialised, empty store in a runs folder (MLflow takes five seconds to create one, copying none)."""
    runs.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_template(), runs / "mlflow.db")
    return tracking_uri(None, runs)


def forget_artifact_places() -> None:
    """As in another process: MLflow's client remembers where the artifacts of a run are."""
    from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

    _artifact_repos_cache.clear()


class Server:
    """``mlflow server`` on loopback, over a SQLite file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = fresh_store(folder / "server")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._log: IO[bytes] = (folder / "server.log").open("wb")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, bound_s: float = 60.0) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", self.database]
        command += ["--artifacts-destination", str(self.folder / "artifacts"), "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        environment = os.environ | {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        self._process = subprocess.Popen(
            command,
            stdout=self._log,
            stderr=self._log,
            cwd=self.folder,
            env=environment,
            start_new_session=True,
        )
        end = time.monotonic() + bound_s
        while True:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=1).close()
                return
            except (urllib.error.URLError, OSError):
                if time.monotonic() > end or self._process.poll() is not None:
                    raise AssertionError((self.folder / "server.log").read_text()[-3000:]) from None
                time.sleep(0.2)

    def stop(self) -> None:
        """Kill it, as a crash or a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        self._log.close()
