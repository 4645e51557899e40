"""Starting each daemon in its own namespace, and waiting until it serves."""

from __future__ import annotations

import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from data_prep.errors import LaunchError
from tests.cluster import settings
from tests.cluster.layout import GPUS_PER_NODE, Layout
from tests.cluster.requirements import PROGRAM_PATH

_START_S = 60.0
"""Timeout for one daemon to serve; on an idle machine each takes under 2 s."""

_ENTER = 'hostname "$1" && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"'
_WITH_USR_READ_ONLY = 'mount --bind /usr /usr && mount -o remount,bind,ro /usr && exec "$@"'


def write_files(layout: Layout) -> None:
    """Everything the daemons read, and the folders they write to."""
    for folder in (layout.state / "controller", layout.logs, layout.devices):
        folder.mkdir(parents=True)
    for name in layout.node_names:
        (layout.state / name).mkdir()
    for number in range(GPUS_PER_NODE):
        # SLURM only checks that a device file of that name exists; a separate node would need one more right than root has
        # in some containers.
        (layout.devices / f"nvidia{number}").symlink_to("/dev/null")
    _write(layout.munge_key, secrets.token_bytes(1024), 0o400)
    _write(layout.hosts, settings.hosts(layout).encode(), 0o644)
    _write(layout.task_prolog, settings.task_prolog().encode(), 0o755)
    _write(layout.conf, settings.slurm_conf(layout).encode(), 0o644)
    _write(layout.folder / "gres.conf", settings.gres_conf(layout).encode(), 0o644)
    if layout.accounting:
        _write(layout.accounting_conf, settings.slurmdbd_conf(layout).encode(), 0o600)


def start_munge(layout: Layout) -> None:
    _enter(
        layout,
        "controller",
        "munged",
        "--force",  # the folder is closed to other users, but munged wants it open
        f"--key-file={layout.munge_key}",
        f"--socket={layout.munge_socket}",
        f"--pid-file={layout.state}/munged.pid",
        f"--log-file={layout.logs}/munged.log",
        f"--seed-file={layout.state}/munge.seed",
    )
    _wait("munged", layout, lambda: _accepts(layout.munge_socket))


def start_accounting(layout: Layout) -> None:
    """MariaDB with its data in the cluster's folder and no network, then slurmdbd."""
    options = [
        "--no-defaults",
        "--user=root",
        f"--datadir={layout.database}",
        f"--tmpdir={layout.state}",  # in a shared one, two clusters at once remove each other's temporary tables
        "--innodb-buffer-pool-size=16M",
        "--innodb-log-file-size=8M",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-flush-method=nosync",
        "--innodb-doublewrite=0",
    ]
    _enter(
        layout,
        "controller",
        # With --user, it gives a folder of the system's MariaDB to that user, if it can.
        *("sh", "-c", _WITH_USR_READ_ONLY, "mariadb-install-db"),
        "mariadb-install-db",
        *options,
        "--auth-root-authentication-method=socket",
        "--skip-test-db",
        "--skip-name-resolve",
    )
    serve = [
        "mariadbd",
        *options,
        "--skip-networking",
        f"--socket={layout.database_socket}",
        f"--pid-file={layout.state}/mariadbd.pid",
        "--innodb-lock-wait-timeout=900",  # required by slurmdbd
        "--performance-schema=OFF",
    ]
    _enter(layout, "controller", "setsid", "--fork", *serve, log=layout.logs / "mariadbd.log")
    _wait("mariadbd", layout, lambda: _accepts(layout.database_socket))
    _enter(layout, "controller", "slurmdbd")
    _wait("slurmdbd", layout, lambda: _accepts(layout.accounting_port))


def start_controller(layout: Layout) -> None:
    _enter(layout, "controller", "slurmctld")
    _wait("slurmctld", layout, lambda: _accepts(layout.controller_port))


def start_nodes(layout: Layout) -> None:
    """One slurmd per node, each in a namespace with the node's host name."""
    started = [(name, _launch(layout, name, "slurmd", "-N", name)) for name in layout.node_names]
    for name, process in started:
        _finish(layout, f"slurmd of {name}", process)


def start_node(layout: Layout, name: str) -> None:
    """Start slurmd of one node again."""
    _finish(layout, f"slurmd of {name}", _launch(layout, name, "slurmd", "-N", name))


def _enter(layout: Layout, host: str, *command: str, log: Path | None = None) -> None:
    """Run a command, or a daemon until it is in the background, on a host of the cluster."""
    process = _launch(layout, host, *command, log=log)
    _finish(layout, command[0], process)


def _launch(layout: Layout, host: str, *command: str, log: Path | None = None) -> subprocess.Popen[bytes]:
    # Output of a daemon before it opens its log file. Not a pipe: a daemon that keeps it open would block us.
    output = log or layout.logs / f"start-{host}-{Path(command[0]).name}.log"
    with output.open("ab") as sink:
        return subprocess.Popen(
            ["unshare", "--uts", "--mount", "sh", "-c", _ENTER, "sh", host, str(layout.hosts), *command],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=layout.folder,
            env=_environment(layout),
            start_new_session=True,  # Ctrl-C in the terminal must not reach the daemons
        )


def _finish(layout: Layout, what: str, process: subprocess.Popen[bytes]) -> None:
    try:
        status = process.wait(timeout=_START_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise LaunchError(f"{what} did not start within {_START_S:.0f} s: {last_words(layout)}") from None
    if status != 0:
        raise LaunchError(f"{what} did not start: {last_words(layout)}")


def _environment(layout: Layout) -> dict[str, str]:
    """Bare on purpose: what the person who starts the cluster has in the environment is not for its jobs."""
    return {
        "PATH": PROGRAM_PATH,
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "SLURM_CONF": str(layout.conf),
        # slurmdbd has no setting for the socket of its database.
        "MYSQL_UNIX_PORT": str(layout.database_socket),
    }


def _wait(what: str, layout: Layout, serves: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_S
    while not serves():
        if time.monotonic() > deadline:
            raise LaunchError(f"{what} does not answer after {_START_S:.0f} s: {last_words(layout)}")
        time.sleep(0.02)


def _accepts(address: Path | int) -> bool:
    """Whether something listens on a UNIX socket or on a port of loopback."""
    family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
    with socket.socket(family) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(("127.0.0.1", address) if isinstance(address, int) else str(address))
        except OSError:
            return False
    return True


def last_words(layout: Layout) -> str:
    """The end of the log that was written to last: mostly the reason of a failed start."""
    written = [log for log in layout.logs.iterdir() if log.stat().st_size]
    if not written:
        return f"no daemon has written to {layout.logs}"
    log = max(written, key=lambda log: log.stat().st_mtime)
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"{log} ends with: {' | '.join(lines[-3:])}"


def _write(path: Path, content: bytes, mode: int) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
    path.chmod(mode)
