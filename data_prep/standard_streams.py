"""Standard streams that a program was started without (``>&-``, some schedulers and service managers)."""

from __future__ import annotations

import os
import sys


def open_closed_streams() -> None:
    """Connect the streams that are closed to the null device.

    Python has None in place of such a stream, on which ``print`` does nothing, but libraries look for attributes of it. The
    next file that is opened would get its number, so that what other programs print would be written into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the smallest free number: this one
            os.set_inheritable(number, True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - it stays open
