"""Addresses of MLflow stores: which one to use, and how to show one without its secrets."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from data_prep.errors import TrackingError

SQLITE = "sqlite:///"
_SECRET_FIELD = re.compile(r"pass|pwd|token|secret|key|user", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:]+\]|[\w.-]+):\d+(/.*)?")
_NETWORK_FILE_SYSTEMS = frozenset(
    ("9p", "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "wekafs")
)


def tracking_uri(chosen: str | None, runs: Path) -> str:
    """Address of the store: the one in the settings, else MLFLOW_TRACKING_URI, else ``mlflow.db`` under ``runs``.

    The result may hold a password (from the environment): show and store only :func:`public_uri` of it.

    Raises:
        TrackingError: the address is a plain folder, which MLflow no longer supports.
    """
    environment = os.environ.get("MLFLOW_TRACKING_URI") or None
    if chosen is None:
        return usable_uri(environment or SQLITE + str(runs.absolute() / "mlflow.db"))
    return with_environment_secrets(chosen)


def with_environment_secrets(uri: str) -> str:
    """The address with the password that MLFLOW_TRACKING_URI has for the same store, if it has one."""
    environment = os.environ.get("MLFLOW_TRACKING_URI")
    uri = usable_uri(uri)
    return environment if environment and public_uri(environment) == uri else uri


def usable_uri(uri: str) -> str:
    """The address with an absolute path if it is SQLite's: workers run in different folders than the launcher.

    Raises:
        TrackingError: the address is a plain folder, which MLflow no longer supports, or names no store that can be used.
    """
    if uri.startswith(SQLITE):
        path, mark, query = uri.removeprefix(SQLITE).partition("?")
        return SQLITE + str(Path(path).absolute()) + mark + query
    if uri == "databricks" or uri.startswith(("databricks://", "databricks-uc", "uc:")):
        raise TrackingError(
            f"the MLflow store {uri!r} is Databricks', which is not supported; use sqlite:///FILE or the address of an"
            " MLflow server, such as http://HOST:5000"
        )
    if _HOST_AND_PORT.fullmatch(uri) and not Path(uri).exists():
        raise TrackingError(
            f"the MLflow store {uri!r} has no scheme; for the MLflow server at that address, use http://{uri}"
        )
    if "://" not in uri or uri.startswith("file:"):
        raise TrackingError(
            f"the MLflow store {uri!r} is a folder, which MLflow no longer writes to; "
            "use sqlite:///FILE or the address of an MLflow server"
        )
    return uri


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite address; None for any other store."""
    return Path(uri.removeprefix(SQLITE).partition("?")[0]) if uri.startswith(SQLITE) else None


def public_uri(uri: str) -> str:
    """The address without user, password and secret query fields: safe to print, to store and to commit."""
    if uri.startswith(SQLITE):
        return uri
    parts = urlsplit(uri)
    query = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not _SECRET_FIELD.search(k)]
    location = parts.netloc.rpartition("@")[2]
    if location == parts.netloc and len(query) == len(parse_qsl(parts.query, keep_blank_values=True)):
        return uri
    return urlunsplit((parts.scheme, location, parts.path, urlencode(query), parts.fragment))


def without_secrets(text: str, uri: str) -> str:
    """``text`` (an error message, say) with every secret part of ``uri`` removed."""
    if uri.startswith(SQLITE):
        return text
    parts = urlsplit(uri)
    secrets = [parts.netloc.rpartition("@")[0], parts.password or "", parts.username or ""]
    secrets += [v for k, v in parse_qsl(parts.query) if _SECRET_FIELD.search(k)]
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def on_network_disk(uri: str) -> bool:
    """Whether a SQLite store lies on a network file system, where writers on several nodes damage it."""
    file = sqlite_file(uri)
    mounts = Path("/proc/mounts")
    if file is None or not mounts.exists():
        return False
    best = ("", "")
    for line in mounts.read_text(errors="replace").splitlines():
        _, mount, kind, *_ = line.split(" ")
        if file.absolute().is_relative_to(mount.replace("\\040", " ")) and len(mount) > len(best[0]):
            best = (mount, kind)
    return best[1] in _NETWORK_FILE_SYSTEMS
