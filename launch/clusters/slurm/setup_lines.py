"""Lines of a site (``module load …``, ``source …``) that a shell runs before our Python, each checked."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def checked_lines(lines: Sequence[str], on_failure: str) -> list[str]:
    """Shell text that runs the lines in this shell, and ``on_failure`` after the first that fails or ends the shell.

    ``on_failure`` is a command that finds the line in ``$setup_line`` and its exit status in ``$setup_status``.
    """
    if not lines:
        return []
    # A trap, because a file that is sourced may contain `exit`.
    text = [f"setup_failed() {{ setup_status=$?; trap - EXIT; {on_failure}; }}", "trap setup_failed EXIT"]
    for line in lines:
        text += [
            f"setup_line={shlex.quote(line)}",
            line,
            'setup_status=$?; [ "$setup_status" -eq 0 ] || exit "$setup_status"',
        ]
    return [*text, "trap - EXIT"]
