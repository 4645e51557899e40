"""Requirements of this machine, with one sentence for each missing one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from data_prep.errors import LaunchError, MissingDependencyError

# Debian installs the daemons in sbin, which may not be in the PATH of an ordinary shell.
PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PLUGINS = Path("/usr/lib")
_ALWAYS = {
    "munge": "munged",
    "slurm-client": "sinfo",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "slurm-wlm-basic-plugins": "select_cons_tres.so",
}
_ACCOUNTING = {
    "mariadb-client-core": "my_print_defaults",
    "mariadb-server-core": "mariadb-install-db",
    "slurmdbd": "slurmdbd",
    "slurm-wlm-mysql-plugin": "accounting_storage_mysql.so",
}


def check(*, accounting: bool) -> None:
    """Return when a cluster can be started here.

    Raises:
        LaunchError: we are not root, or not allowed to make namespaces.
        MissingDependencyError: Debian packages are missing; the sentence names them.
    """
    if os.geteuid() != 0:
        raise LaunchError(
            "a SLURM on one machine needs root (its nodes are namespaces, and munge serves one user):"
            " start it as root, for example in a container"
        )
    wanted = _ALWAYS | (_ACCOUNTING if accounting else {})
    missing = sorted(package for package, part in wanted.items() if not _present(part))
    if missing:
        raise MissingDependencyError(
            f"SLURM is not fully installed here; on Debian: apt-get install --no-install-recommends {' '.join(missing)}"
        )
    trial = subprocess.run(
        ["unshare", "--uts", "--mount", "sh", "-c", "hostname n1 && mount --bind /dev/null /etc/hosts"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    if trial.returncode != 0:
        raise LaunchError(
            f"root may not give a process its own host name and hosts file here ({trial.stderr.strip()}):"
            " give the container the right CAP_SYS_ADMIN"
        )


def _present(part: str) -> bool:
    if part.endswith(".so"):
        # Only for SLURM as installed by Debian's packages; otherwise the daemons report what is missing.
        folders = [folder for folder in _PLUGINS.glob("*/slurm-wlm") if folder.is_dir()]
        return not folders or any((folder / part).exists() for folder in folders)
    return shutil.which(part, path=PROGRAM_PATH) is not None
