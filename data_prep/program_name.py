"""The name of a program as the user called it: ``python launch/sweep.py``, or the command ``traitvae-sweep``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

COMMANDS = ("compare", "debug", "explore", "export", "measure", "prepare", "report", "sweep")
"""Files of ``launch/``, and the ends of the commands that an installation has."""


def program(name: str) -> str:
    """How to call a program, in the way in which this process was called."""
    return f"traitvae-{name}" if _is_command(sys.argv[0]) else f"python launch/{name}.py"


def as_called(text: str) -> str:
    """A text for the user, in which programs are called in the way in which this process was."""
    if not _is_command(sys.argv[0]):
        return text
    return re.sub(rf"\bpython launch/({'|'.join(COMMANDS)})\.py\b", r"traitvae-\1", text)


def _is_command(called: str) -> bool:
    return Path(called).name in {f"traitvae-{name}" for name in COMMANDS}
