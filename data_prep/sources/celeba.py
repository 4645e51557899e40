"""CelebA (Liu et al. 2015): 202,599 aligned faces of 178 x 218 pixels with 40 attributes each, and subsets of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.celeba_names import CCVAE_LABELS
from data_prep.decode import Box
from data_prep.faults import OnError, SeveralFaults
from data_prep.hash_order import hash_order
from data_prep.manifest import LabelSpec
from data_prep.sources.celeba_files import find_celeba
from data_prep.sources.celeba_lists import SPLITS, read_attributes, read_partition
from data_prep.sources.celeba_parquet import parquet_files, read_parquet
from data_prep.sources.labelled_pictures import LabelledPictures
from data_prep.sources.picture_files import PictureFiles
from data_prep.sources.picture_index import Pictures
from data_prep.sources.picture_listing import BOTH, NOT_THERE, Damaged, Listing, WhichPictures, listed
from data_prep.sources.raw_files import cache_folder
from data_prep.sources.text_tables import NamedRows, TextFile, not_named_by

HAIR = ("Bald", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
_FACIAL_HAIR = ("No_Beard", "Mustache", "Goatee")

CSVAE_CROP: Box = (15, 40, 163, 188)
"""Columns 15 to 163 and rows 40 to 188, as Larsen et al. 2016 crop it and Klys et al. 2018 after them."""

_SIZE = (64, 64)
_HOME = "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
_LICENCE = "non-commercial research only, under the agreement on its home page; no redistribution"
_FILE_SIZE = (178, 218)
"""(width, height) of the aligned pictures: in others, such as those in the wild, the crops would miss the faces."""
_NO_SPLIT = "in no split"

ROWS = 202_599
"""Rows of all of CelebA: files of that length with the official names should be the official ones."""
MD5 = {
    "img_align_celeba.zip": "00d2c5bc6d35e252742224ab0c1e8fcb",
    "list_attr_celeba.txt": "75e246fa4810816ffd6ee81facbd244c",
    "list_eval_partition.txt": "d32c9cbf5e040fd4025c592c306e6668",
}

Attributes = NDArray[np.int8]
"""(n, k): 0 or 1 for each of the attributes that a data set is made from"""
Choice = Callable[[list[bytes], Attributes], NDArray[np.bool_]]
"""Names and attributes of a split → which rows are used (n,)"""
Labelling = Callable[[Attributes], tuple[NDArray[np.uint8], NDArray[np.bool_]]]
"""Attributes → labels and observed (n, L)"""


def celeba(
    raw: Path | None, *, pictures: WhichPictures = "all", damaged: Damaged = "refuse"
) -> LabelledPictures:
    """CelebA: the 18 labels of CCVAE; uncropped pictures resized to 64 x 64, none left out (Joy et al. 2021, C.1)."""
    return _celeba(
        "celeba", "CelebA", raw, CCVAE_LABELS, [_binary(name) for name in CCVAE_LABELS], _as_they_are, _all,
        pictures=pictures, damaged=damaged,
    )  # fmt: skip


def celeba_hair(
    raw: Path | None, *, pictures: WhichPictures = "all", damaged: Damaged = "refuse"
) -> LabelledPictures:
    """CelebA: one label of five hair values, unknown where none or several are set, and CCVAE's other labels."""
    others = [name for name in CCVAE_LABELS if name not in HAIR]
    labels = [LabelSpec("Hair", len(HAIR), HAIR), *(_binary(name) for name in others)]
    return _celeba(
        "celeba_hair", "CelebA", raw, (*HAIR, *others), labels, _hair_and_others, _all,
        pictures=pictures, damaged=damaged,
    )  # fmt: skip


def celeba_glasses(
    raw: Path | None, *, pictures: WhichPictures = "all", damaged: Damaged = "refuse"
) -> LabelledPictures:
    """CelebA: all faces with glasses and twice as many without, cropped (Klys et al. 2018, 5.2.2)."""
    return _celeba(
        "celeba_glasses", "CelebA-Glasses", raw, ("Eyeglasses",), [_binary("Eyeglasses")], _as_they_are,
        _with_and_without_glasses, CSVAE_CROP, pictures=pictures, damaged=damaged,
    )  # fmt: skip


def celeba_facial_hair(
    raw: Path | None, *, pictures: WhichPictures = "all", damaged: Damaged = "refuse"
) -> LabelledPictures:
    """CelebA: all faces with beard, mustache or goatee and as many without, cropped (Klys et al. 2018, 5.2.2)."""
    return _celeba(
        "celeba_facial_hair", "CelebA-FacialHair", raw, _FACIAL_HAIR, [_binary("Facial_Hair")],
        lambda attributes: _known(_facial_hair(attributes)[:, None]),
        lambda names, attributes: _with_and_without(names, _facial_hair(attributes), times=1), CSVAE_CROP,
        pictures=pictures, damaged=damaged,
    )  # fmt: skip


def celeba_heavy_makeup(
    raw: Path | None, *, pictures: WhichPictures = "all", damaged: Damaged = "refuse"
) -> LabelledPictures:
    """CelebA: all faces with heavy makeup and as many without, cropped (Klys et al. 2018, figure 9)."""
    return _celeba(
        "celeba_heavy_makeup", "CelebA-HeavyMakeup", raw, ("Heavy_Makeup",), [_binary("Heavy_Makeup")], _as_they_are,
        lambda names, attributes: _with_and_without(names, attributes[:, 0], times=1), CSVAE_CROP,
        pictures=pictures, damaged=damaged,
    )  # fmt: skip


def celeba_glasses_facial_hair(
    raw: Path | None, *, pictures: WhichPictures = "all", damaged: Damaged = "refuse"
) -> LabelledPictures:
    """CelebA: the faces of the two subsets above, with both labels (Klys et al. 2018, 5.2.2)."""

    def both(attributes: Attributes) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        return _known(np.stack([attributes[:, 0], _facial_hair(attributes[:, 1:])], axis=1))

    def union(names: list[bytes], attributes: Attributes) -> NDArray[np.bool_]:
        with_hair = _facial_hair(attributes[:, 1:])
        return _with_and_without_glasses(names, attributes) | _with_and_without(names, with_hair, times=1)

    return _celeba(
        "celeba_glasses_facial_hair", "CelebA-GlassesFacialHair", raw, ("Eyeglasses", *_FACIAL_HAIR),
        [_binary("Eyeglasses"), _binary("Facial_Hair")], both, union, CSVAE_CROP, pictures=pictures, damaged=damaged,
    )  # fmt: skip


def _celeba(
    name: str, title: str, raw: Path | None, attributes: Sequence[str], labels: Sequence[LabelSpec],
    labelling: Labelling, choice: Choice, crop: Box | None = None, *, pictures: WhichPictures, damaged: Damaged,
) -> LabelledPictures:  # fmt: skip
    return LabelledPictures(
        name=name,
        title=title,
        home=_HOME,
        licence=_LICENCE,
        label_specs=tuple(labels),
        mode="RGB",
        size=_SIZE,
        crop=crop,
        file_size=_FILE_SIZE,
        pictures=pictures,
        damaged=damaged,
        raw=raw,
        find=partial(
            _find, attributes=tuple(attributes), labelling=labelling, choice=choice, pictures=pictures
        ),
    )


def _find(
    raw: Path | None,
    on_error: OnError,
    attributes: Sequence[str],
    labelling: Labelling,
    choice: Choice,
    pictures: WhichPictures,
) -> Listing:
    """Read both lists and choose the rows, split by split."""
    place = raw or cache_folder("celeba")
    files: PictureFiles
    if (parquet := parquet_files(place)) and not any(place.glob("*img_align_celeba*")):
        paths = dict[str, TextFile]()
        shown, partition, files = read_parquet(place, parquet, attributes)
    else:
        paths, files = find_celeba(place, _LICENCE, _HOME)
        shown = read_attributes(paths["list_attr_celeba"], attributes, on_error)
        partition = read_partition(paths["list_eval_partition"], on_error)
    named, left_out, official = shown.names, {}, len(shown) == ROWS
    without_split = not_named_by(shown, partition)
    if len(without_split):
        if pictures == "all":
            on_error(_without_split(shown, partition, without_split))
        left_out[_NO_SPLIT] = len(without_split)
        shown = shown[np.setdiff1d(np.arange(len(shown)), without_split)]
    if pictures == "both":  # before rows are chosen, so that a choice is of those that are there
        _, there = files.places(shown.names)
        left_out[NOT_THERE] = int(np.sum(~there))
        shown = shown[there]
    # Rows of the partition that name nothing else are passed over: it is often whole where the rest is a part.
    partition = partition[np.isin(partition.names, shown.names)]
    splits = {
        split: _chosen(shown, np.flatnonzero(partition.values[:, 0] == number), labelling, choice)
        for number, split in enumerate(SPLITS)
    }
    return Listing(
        files=files,
        splits=splits,
        lists=dict.fromkeys(splits, shown.path),
        all_names=named,
        official=_official([*paths.values(), files.path]) if official else {},
        left_out=left_out,
    )


def _without_split(shown: NamedRows, partition: NamedRows, rows: NDArray[np.int64]) -> SeveralFaults:
    sentences = [
        f"{shown.path}, line {shown.lines[row]} names {shown.names[row].decode()}, which {partition.path} does not"
        for row in rows
    ]
    both = len(shown) - len(rows)
    return SeveralFaults(
        f"{sentences[0]} ({len(rows):,} of {len(shown):,} rows); {BOTH} takes the {both:,} that both name",
        sentences,
    )


def _official(files: Iterable[TextFile]) -> dict[Path, str]:
    """The expected MD5 of files that have the names of the official ones."""
    return {path: MD5[path.name] for path in files if isinstance(path, Path) and path.name in MD5}


def _chosen(shown: NamedRows, rows: NDArray[np.int64], labelling: Labelling, choice: Choice) -> Pictures:
    taken = rows[choice(shown.names[rows].tolist(), shown.values[rows])]
    labels, observed = labelling(shown.values[taken])
    return listed(shown.names[taken], shown.lines[taken], labels, observed)


def _binary(name: str) -> LabelSpec:
    return LabelSpec(name, 2, ("no", "yes"))


def _known(labels: NDArray[np.integer]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    return labels.astype(np.uint8), np.ones(labels.shape, dtype=np.bool_)


_as_they_are = _known


def _all(names: list[bytes], attributes: Attributes) -> NDArray[np.bool_]:
    return np.ones(len(names), dtype=np.bool_)


def _hair_and_others(attributes: Attributes) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    hair, others = attributes[:, : len(HAIR)], attributes[:, len(HAIR) :]
    one = hair.sum(axis=1) == 1
    labels, observed = _known(
        np.concatenate([np.where(one, hair.argmax(axis=1), 0)[:, None], others], axis=1)
    )
    observed[:, 0] = one
    return labels, observed


def _facial_hair(attributes: Attributes) -> Attributes:
    """1 where at least one of beard, mustache and goatee is present; (n, 3) in the order of ``_FACIAL_HAIR`` → (n,)."""
    no_beard, mustache, goatee = attributes.T
    return (1 - no_beard) | mustache | goatee


def _with_and_without_glasses(names: list[bytes], attributes: Attributes) -> NDArray[np.bool_]:
    return _with_and_without(names, attributes[:, 0], times=2)


def _with_and_without(names: list[bytes], shown: Attributes, *, times: int) -> NDArray[np.bool_]:
    """All rows that have it, and ``times`` as many that do not (or all of them), chosen by a hash of the name."""
    without = np.flatnonzero(shown == 0)
    drawn = without[hash_order(names[row] for row in without)[: times * int(shown.sum())]]
    taken = shown.astype(np.bool_)
    taken[drawn] = True
    return taken
