"""Words that people write in tables and folder names: of splits, of unknown values, of yes and no."""

from __future__ import annotations

import re

SPLIT_WORDS = {
    "train": "train", "training": "train", "trn": "train",
    "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid",
    "test": "test", "testing": "test", "tst": "test",
}  # fmt: skip
"""Lower-case word → name of the split."""
SPLIT_NUMBERS = {"0": "train", "1": "valid", "2": "test"}
"""As in CelebA's partition; only for a column that is called so."""

UNKNOWN_WORDS = frozenset(
    ("nan", "na", "n/a", "#n/a", "null", "<na>", "?", "unknown", "unlabeled", "unlabelled")
)
"""Lower-case; a blank is always unknown."""

NO_AND_YES = (("0", "1"), ("-1", "1"), ("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"))

_WHOLE_NUMBER = re.compile(r"([+-]?\d+)(?:\.0*)?")


def plain(text: str) -> str:
    """What a value is compared by: without blanks around it, in lower case, ``1.0`` as ``1``."""
    text = text.strip().casefold()
    whole = _WHOLE_NUMBER.fullmatch(text)
    return str(int(whole[1])) if whole else text


def split_named(text: str) -> str | None:
    """The split that a word names: ``Validation`` → ``valid``; None if it names none."""
    return SPLIT_WORDS.get(text.strip().casefold())


def split_in_name(stem: str) -> str | None:
    """The split that a file's name says: ``train-00000-of-00002`` → ``train``; None unless it says exactly one."""
    found = {SPLIT_WORDS[word] for word in re.split(r"[^a-z]+", stem.casefold()) if word in SPLIT_WORDS}
    return found.pop() if len(found) == 1 else None
