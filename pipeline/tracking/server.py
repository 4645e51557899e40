"""Whether the server of a store answers, checked without MLflow, which takes seconds to import."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from pipeline.tracking.address import public_uri, sqlite_file

PROXY_WITHOUT_ITS_SERVER = (502, 503, 504)
"""Status codes of a proxy whose server is down."""
_DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def server_of(uri: str) -> dict[str, Any]:
    """How to reach a store's server, as JSON; without user and password, which others could read in a task's arguments.

    Empty for a store that is a file.
    """
    if sqlite_file(uri) is not None:
        return {}
    parts = urlsplit(public_uri(uri))
    if parts.scheme in ("http", "https"):
        return {"url": parts._replace(path=parts.path.rstrip("/") + "/health", query="").geturl()}
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme.partition("+")[0])
    return {"address": [parts.hostname, port]} if parts.hostname and port else {}


def server_error(server: dict[str, Any]) -> str | None:
    """Why a server (``server_of``) does not answer; None if it does, or if there is none."""
    if "url" in server:
        return _url_error(server["url"])
    return _address_error(*server["address"]) if "address" in server else None


def _url_error(url: str) -> str | None:
    try:
        # Any answer counts: a server that asks for a password is up too.
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError as error:
        return f"it answers {error.code}" if error.code in PROXY_WITHOUT_ITS_SERVER else None
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
    return None


def _address_error(host: str, port: int) -> str | None:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError as error:
        return str(error)
    return None
