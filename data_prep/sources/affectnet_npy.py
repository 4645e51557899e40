"""AffectNet as its recipients describe it from 2022 on: ``images/N.jpg`` and four small files per picture.

``annotations/N_exp.npy`` is the expression (as text or a number), ``N_lnd.npy`` the 136 coordinates of the landmarks;
valence and arousal are not used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.faults import OnError
from data_prep.sources.picture_files import is_passed_over, is_picture


@dataclass(frozen=True)
class Annotations:
    """A folder with ``images`` and ``annotations``, such as ``train_set``."""

    folder: Path

    def __str__(self) -> str:
        return str(self.folder / "annotations")

    def rows(self, on_error: OnError) -> list[tuple[str, str, str]]:
        """Name, expression and landmarks (``x;y;…``) of each picture, in the order of the names, as a list has them."""
        found = []
        for name in sorted(os.listdir(self.folder / "images")):
            if not is_picture(name) or is_passed_over([name]):
                continue
            start = self.folder / "annotations" / name.rpartition(".")[0]
            try:
                expression = str(_loaded(Path(f"{start}_exp.npy")).reshape(-1)[0]).strip()
                landmarks = _loaded(Path(f"{start}_lnd.npy")).reshape(-1)
            except RawDataError as error:
                on_error(error)
                continue
            found.append((name, expression.removesuffix(".0"), ";".join(map(str, landmarks.tolist()))))
        return found


def _loaded(path: Path) -> NDArray:
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise RawDataError(f"{path} is missing, but its picture is there") from None
    except (OSError, ValueError, EOFError) as error:
        raise RawDataError(f"{path} cannot be read: {error}") from None
    if not isinstance(array, np.ndarray) or not array.size:
        raise RawDataError(f"{path} is not an array with a value")
    return array
