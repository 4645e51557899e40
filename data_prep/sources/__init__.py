"""Sources by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

from data_prep.errors import ConfigError
from data_prep.sources.affectnet import affectnet
from data_prep.sources.celeba import (
    celeba,
    celeba_facial_hair,
    celeba_glasses,
    celeba_glasses_facial_hair,
    celeba_hair,
    celeba_heavy_makeup,
)
from data_prep.sources.chexpert import chexpert
from data_prep.sources.drawn import drawn_faces, drawn_radiographs
from data_prep.sources.mnist import fashion_mnist, fashion_mnist_held_out, idx_folder, mnist
from data_prep.sources.options import PART_OPTIONS, Option, checked_options, option_names, takes_parts
from data_prep.sources.own_pictures.options import pictures
from data_prep.sources.part import PartOfSource
from data_prep.sources.rotated_mnist import rotated_mnist
from data_prep.sources.source import Source
from data_prep.sources.swiss_roll import swiss_roll
from data_prep.sources.tfd import tfd
from data_prep.sources.transformed_mnist import transformed_mnist

SOURCES: dict[str, Callable[..., Source]] = {
    "affectnet": affectnet,
    "celeba": celeba,
    "celeba_facial_hair": celeba_facial_hair,
    "celeba_glasses": celeba_glasses,
    "celeba_glasses_facial_hair": celeba_glasses_facial_hair,
    "celeba_heavy_makeup": celeba_heavy_makeup,
    "celeba_hair": celeba_hair,
    "chexpert": chexpert,
    "drawn_faces": drawn_faces,
    "drawn_radiographs": drawn_radiographs,
    "fashion_mnist": fashion_mnist,
    "fashion_mnist_held_out": fashion_mnist_held_out,
    "idx_folder": idx_folder,
    "mnist": mnist,
    "pictures": pictures,
    "rotated_mnist": rotated_mnist,
    "swiss_roll": swiss_roll,
    "tfd": tfd,
    "transformed_mnist": transformed_mnist,
}
"""Name → the function that makes it from the folder of its raw files; its keyword-only parameters are its options."""
_OWN = (
    "images",
    "image",
    "image_folder",
    "imagefolder",
    "folder",
    "own",
    "custom",
    "csv",
    "parquet",
    "npz",
    "medmnist",
)
"""What people call pictures of their own."""


class UnknownSource(ConfigError):
    """No source has this name; the message lists the available ones, the closest first."""


def canonical_name(name: str) -> str:
    """``fashion-mnist`` → ``fashion_mnist``; ``UnknownSource`` if there is none of that name."""
    canonical = name.strip().lower().replace("-", "_")
    if canonical in SOURCES:
        return canonical
    names = ", ".join(sorted(SOURCES))
    close = ["pictures"] if canonical in _OWN else difflib.get_close_matches(canonical, SOURCES, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    raise UnknownSource(f"there is no data set named {name!r}: {meant}available: {names}")


def source_named(name: str, raw: Path | None = None, options: Mapping[str, Option] | None = None) -> Source:
    """The source of this name; ``raw`` is the folder that holds its raw files, if the user named one.

    ``options`` may be text from a command line; ``ConfigError`` names one that the source does not have.
    """
    canonical = canonical_name(name)
    if raw is not None and not _is_folder_or_archive(Path(raw).expanduser()):
        raise ConfigError(
            f"{raw} is not a folder (nor a .zip archive); --raw names the folder that holds the raw files"
        )
    make, place = SOURCES[canonical], None if raw is None else Path(raw).expanduser().absolute()
    given = checked_options(canonical, make, options or {})
    part = {name: int(given.pop(name)) for name in PART_OPTIONS if name in given and name in _part_of(make)}
    source = make(place, **given)
    if "count" not in part:
        if part:
            raise ConfigError(f"{canonical}: count_seed is for a part: give count, too")
        return source
    return PartOfSource(source=source, raw=place, **part)


def settable_options(source: Source) -> dict[str, Option]:
    """What ``source_named`` needs, besides the raw files, to make this source again."""
    names = option_names(SOURCES[source.name])
    return {name: source.options[name] for name in names if name in source.options}


def _part_of(make: Callable[..., Source]) -> frozenset[str]:
    """The options of a part, unless the source has its own ``count``."""
    return frozenset(PART_OPTIONS) if takes_parts(make) else frozenset()


def _is_folder_or_archive(path: Path) -> bool:
    return path.is_dir() or (path.suffix.lower() in (".zip", ".parquet", ".npz") and path.is_file())
