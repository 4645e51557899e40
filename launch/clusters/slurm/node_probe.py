"""What a node of the cluster sees: sent there as text by ``node_check``, so it imports our code only to test it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import socket
import sys
import time
from typing import Any

MARK = "TRAITVAE-PROBE "
"""Marks the answer: a site's own output may come first."""


def probe(request: dict[str, Any]) -> dict[str, Any]:
    """Check the folders, the code and the store; ``request`` and the answer are JSON."""
    seen: dict[str, Any] = {"host": socket.gethostname(), "python": sys.version.split()[0]}
    seen["shared"] = _read_back(request["file"], request["token"])
    if seen["shared"]:
        seen["write_error"] = _write(request["file"] + ".back", request["token"])
    seen["missing"] = [folder for folder in request["folders"] if not os.path.isdir(folder)]
    seen["code"] = os.path.isdir(request["code"])
    seen["import_errors"] = _import_errors(request["code"])
    seen["torch"] = importlib.util.find_spec("torch") is not None
    if not seen["import_errors"]:
        from pipeline import node_name  # the code that jobs import

        seen["own_address"] = node_name.address_of(socket.gethostname())
        seen["peers"] = {name: node_name.address_of(name) for name in request.get("peers", [])}
        seen["interfaces"] = node_name.interfaces()
    if request.get("store_file"):
        seen["store"] = None if os.path.isfile(request["store_file"]) else "no such file"
    elif request.get("server") and not seen["import_errors"]:
        from pipeline.tracking.server import server_error

        seen["store"] = server_error(request["server"])
    return seen


def _read_back(file: str, token: str) -> bool:
    """Whether the file that the launcher has just written is visible; a network disk may show it with a delay."""
    for _ in range(10):
        try:
            with open(file, encoding="utf-8") as opened:
                if opened.read() == token:
                    return True
        except FileNotFoundError:
            pass
        except OSError:
            return False
        if not os.path.isdir(os.path.dirname(file)):
            return False
        time.sleep(0.5)
    return False


def _write(file: str, text: str) -> str | None:
    try:
        with open(file, "w", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        return error.strerror
    return None


def _import_errors(code: str) -> list[str]:
    """Import errors of our own packages (from this folder) and of submitit; importing torch would take too long."""
    sys.path.insert(0, code)
    errors = []
    for name in ("data_prep", "pipeline", "jobs"):
        spec = importlib.util.find_spec(name)
        if spec is None or not (spec.origin or "").startswith(os.path.join(code, "")):
            errors.append(f"{name} is not found in {code}")
    for name in ("data_prep.errors", "pipeline.tracking.server", "submitit"):
        try:
            importlib.import_module(name)
        except Exception as error:
            errors.append(f"{name} does not import ({type(error).__name__}: {error})")
    return errors


if __name__ == "__main__":
    print(MARK + json.dumps(probe(json.loads(sys.argv[1]))), flush=True)
