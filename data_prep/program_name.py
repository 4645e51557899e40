"""The name of a program as the user called it: ``python launch/sweep.py``, or the command ``traitvae-sweep``.

Whatever tells the user to call a program names it with ``program``; errors and help texts are rewritten by ``as_called``.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

COMMANDS = ("compare", "debug", "explore", "export", "measure", "prepare", "report", "sweep")
"""Files of ``launch/``, and the ends of the commands that an installation has."""


OF_AN_INSTALLATION = "TRAITVAE_COMMANDS"
"""Environment variable of the processes that a command started, whose own names say nothing of it."""


def program(name: str) -> str:
    """How to call a program, in the way in which this process was called."""
    return f"traitvae-{name}" if by_command() else f"python launch/{name}.py"


def as_called(text: str) -> str:
    """A text for the user, in which programs are called in the way in which this process was."""
    if not by_command():
        return text
    return re.sub(rf"\bpython launch/({'|'.join(COMMANDS)})\.py\b", r"traitvae-\1", text)


def by_command() -> bool:
    """Whether this process, or that which started it, was called as a command."""
    called = Path(sys.argv[0]).name
    return called in {f"traitvae-{name}" for name in COMMANDS} or OF_AN_INSTALLATION in os.environ
