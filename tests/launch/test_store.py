from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from data_prep.errors import TrackingError
from launch import store
from launch.store import wait_for_store


class Answer(BaseHTTPRequestHandler):
    code = 200

    def do_GET(self) -> None:
        self.send_response(self.code)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch):
    """Address of a server that listens, but does not answer before ``serve``."""
    monkeypatch.setattr(store, "SECONDS_BETWEEN_TRIES", 0.05)
    monkeypatch.setattr(Answer, "code", 200)
    server = HTTPServer(("127.0.0.1", 0), Answer)
    threads: list[threading.Thread] = []

    def serve() -> None:
        threads.append(threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}))
        threads[-1].start()

    yield f"http://user:secret@127.0.0.1:{server.server_port}", serve
    if threads:
        server.shutdown()
        threads[0].join()
    server.server_close()


def test_a_store_that_answers_or_is_a_file_needs_no_waiting(address, capsys, tmp_path):
    uri, serve = address
    serve()
    wait_for_store(uri)
    wait_for_store(f"sqlite:///{tmp_path}/not-there-yet.db")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("code", [401, 403])
def test_a_server_that_refuses_counts_as_up(address, monkeypatch, code: int):
    uri, serve = address
    monkeypatch.setattr(Answer, "code", code)
    serve()
    wait_for_store(uri)


def test_a_server_that_is_down_is_waited_for_with_a_message(address, monkeypatch, capsys):
    uri, serve = address
    monkeypatch.setattr(Answer, "code", 503)  # its proxy is already up
    serve()
    threading.Timer(0.5, lambda: monkeypatch.setattr(Answer, "code", 200)).start()
    began = time.monotonic()
    wait_for_store(uri)
    assert time.monotonic() - began > 0.4
    waits, answers = capsys.readouterr().out.splitlines()
    assert "does not answer (it answers 503); trying for 60 s" in waits
    assert answers == "the MLflow store answers"


def test_a_server_that_stays_down_is_reported_without_its_password(monkeypatch, capsys):
    monkeypatch.setattr(store, "SECONDS_BETWEEN_TRIES", 0.05)
    monkeypatch.setattr(store, "PATIENCE_S", 0.2)
    with pytest.raises(TrackingError, match=r"Connection refused.*run the same command again") as error:
        wait_for_store("http://user:secret@127.0.0.1:9")
    assert "secret" not in str(error.value) + capsys.readouterr().out
