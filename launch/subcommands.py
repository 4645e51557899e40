"""Subcommands of ``launch/sweep.py`` for a sweep that was started; they are fast, since none needs torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from data_prep.errors import report_user_errors
from data_prep.program_name import program
from launch.cancel import Cancel, cancel
from launch.command_line import parsed
from launch.monitoring.logs import Logs, show_logs
from launch.monitoring.status import Status, status


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A first word of ``launch/sweep.py``."""

    options: type
    """The dataclass that its command line is made from; its docstring is the help."""
    do: Callable[[Any], int]
    """What it does; returns the exit status."""

    def main(self, name: str, arguments: Sequence[str]) -> NoReturn:
        """The command line without the first word; always ends with SystemExit."""
        with report_user_errors():
            options: Any = parsed(self.options, arguments, prog=f"{program('sweep')} {name}")
            try:
                raise SystemExit(self.do(options))
            except BrokenPipeError:  # the reader, such as `head`, has exited
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise SystemExit(0) from None


SUBCOMMANDS = {
    "status": Subcommand(Status, status),
    "cancel": Subcommand(Cancel, cancel),
    "logs": Subcommand(Logs, show_logs),
}
