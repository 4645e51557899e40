"""Numbers of things in messages: ``1 cell``, ``2 cells``, ``1,000 cells``."""

from __future__ import annotations


def counted(number: int, one: str, several: str | None = None) -> str:
    """A number with the thing that it counts.

    Args:
        number: how many, with a comma for thousands.
        one: the name of one.
        several: that of none or several; None: the same with an ``s``.
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"
