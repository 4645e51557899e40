"""The Toronto Face Database's one file, ``TFD_48x48.mat`` or ``TFD_96x96.mat`` (also ``TFD_ranzato_48x48.mat``).

Its variables: ``images`` (N, H, W) uint8; ``labs_ex`` (N) the expression, 1 to 7, and 0 or less where unlabelled;
``labs_id`` (N) the person, 1 and up, likewise; ``folds``, which CSVAE does not use. MATLAB's formats 5 to 7 are read.
"""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError

EXPRESSIONS = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""what 1 to 7 in ``labs_ex`` mean, in order"""

_MOST_BYTES = 1 << 34
_MOST_PERSONS = 1 << 24  # as many as a float32 tells apart
_LABELS = {"labs_ex": len(EXPRESSIONS), "labs_id": _MOST_PERSONS}
_NAME = re.compile(r"tfd.*\.mat", re.IGNORECASE)


@dataclass(frozen=True)
class TFDFile:
    """A file whose labels were read; the images, hundreds of megabytes, are read on demand."""

    path: Path
    image_shape: tuple[int, int]
    """(H, W)"""
    expressions: NDArray[np.int64]
    """(N,): 0 to 6, and -1 where unlabelled"""
    identities: NDArray[np.int64]
    """(N,): the person's number, and -1 where unlabelled"""

    def images(self) -> NDArray[np.uint8]:
        """All of them, (N, H, W)."""
        images = np.asarray(_read(self.path, "images"))
        if images.dtype != np.uint8 or images.shape != (len(self.expressions), *self.image_shape):
            raise RawDataError(
                f"{self.path}: images is {images.dtype} {images.shape}, which contradicts its header"
            )
        return images


def find_file(folder: Path) -> Path | None:
    """The one ``TFD….mat`` in ``folder``, or in a folder TFD in it; ``RawDataError`` if there are several."""
    for place in (folder, folder / "TFD"):
        found = sorted(p for p in place.glob("*") if _NAME.fullmatch(p.name) and p.is_file())
        if len(found) > 1:
            names = ", ".join(p.name for p in found)
            raise RawDataError(
                f"{place} holds {names}: keep the one to be prepared, and move the others away"
            )
        if found:
            return found[0]
    return None


def open_file(path: Path) -> TFDFile:
    """Read sizes and labels; ``RawDataError`` naming the file, and the image, if they are invalid."""
    status = path.stat()
    _survive(path, status.st_mtime_ns, status.st_size)
    variables = _variables(path)
    if missing := [name for name in ("images", *_LABELS) if name not in variables]:
        raise RawDataError(
            f"{path} has no variable {' and no '.join(missing)}, so it is not the database's file, or is incomplete"
        )
    shape, kind = variables["images"]
    if len(shape) != 3 or kind != "uint8" or 0 in shape:
        raise RawDataError(f"{path}: images is {kind} {shape} where uint8 (faces, height, width) is expected")
    if np.prod(shape, dtype=np.float64) > _MOST_BYTES:
        raise RawDataError(f"{path} states an impossible {shape[0]} images of {shape[1]} x {shape[2]}")
    return TFDFile(
        path=path,
        image_shape=(shape[1], shape[2]),
        expressions=_label(path, "labs_ex", variables, shape[0]) - 1,
        identities=np.where((persons := _label(path, "labs_id", variables, shape[0])) == 0, -1, persons),
    )


def _label(
    path: Path, name: str, variables: dict[str, tuple[tuple[int, ...], str]], count: int
) -> NDArray[np.int64]:
    """Values (count,); 0 means unknown."""
    shape, _ = variables[name]
    if sorted(shape) != sorted((count, *(1 for _ in shape[1:]))):
        raise RawDataError(f"{path}: {name} is {shape} for {count} images")
    values = np.asarray(_read(path, name)).reshape(-1)
    if values.dtype.kind not in "iuf" or len(values) != count:
        raise RawDataError(f"{path}: {name} holds {values.dtype}, not numbers")
    whole = np.isfinite(values) & (values == np.round(values)) & (values <= _LABELS[name])
    if not whole.all():
        row = int(np.flatnonzero(~whole)[0])
        raise RawDataError(
            f"{path}: {name} of image {row} (from 0) is {values[row]}, but only whole "
            f"numbers up to {_LABELS[name]} are allowed"
        )
    return np.maximum(values, 0).astype(np.int64)


@cache
def _survive(path: Path, _modified_ns: int, _size: int) -> None:
    """Read it once in a subprocess: scipy's compiled parser may crash on a damaged file."""
    read = "import sys, warnings, scipy.io; warnings.simplefilter('ignore'); scipy.io.loadmat(sys.argv[1])"
    ended = subprocess.run([sys.executable, "-c", read, str(path)], capture_output=True, check=False)
    if ended.returncode < 0:  # killed by a signal; an exception is reported below
        raise RawDataError(f"{path} is not a MATLAB file, or is damaged (its parser crashes on it)")


def _variables(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Variable → shape and type, from their headers."""
    from scipy.io import whosmat

    return {name: (tuple(shape), kind) for name, shape, kind in _parsed(path, whosmat, str(path))}


def _read(path: Path, name: str) -> Any:
    from scipy.io import loadmat

    variables = _parsed(path, loadmat, str(path), variable_names=[name])
    if name not in variables:
        raise RawDataError(f"{path}: the variable {name} has disappeared")
    return variables[name]


def _parsed(path: Path, parser: Any, *arguments: Any, **named: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of duplicate variables; the last one counts
            return parser(*arguments, **named)
    except NotImplementedError:
        raise RawDataError(
            f"{path} is of MATLAB's format 7.3, which is not supported: save it in MATLAB with -v7"
        ) from None
    # scipy's parser raises all kinds of exceptions on damage: ValueError, TypeError, zlib.error, struct.error, MemoryError…
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RawDataError(f"{path} is not a MATLAB file, or is damaged ({reason})") from None
