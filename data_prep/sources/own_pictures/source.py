"""The source ``pictures``: a folder of the user's own pictures, labelled by a table, by folders, or by its own format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.decode import DEEPEST, Mode
from data_prep.errors import ConfigError, RawDataError
from data_prep.faults import DamagedPictures, Fault, OnError
from data_prep.manifest import LabelSpec
from data_prep.progress import Progress
from data_prep.rows import Rows
from data_prep.sources.own_pictures.arrays import ArrayPictures
from data_prep.sources.own_pictures.assembled import Assembled, assembled, one_sided
from data_prep.sources.own_pictures.files import opened_pictures
from data_prep.sources.own_pictures.finding import find
from data_prep.sources.own_pictures.found import Found
from data_prep.sources.own_pictures.label_values import unknown_words
from data_prep.sources.own_pictures.look import Looked, look_at
from data_prep.sources.own_pictures.making import ALL_FORMATS, made, part_named
from data_prep.sources.own_pictures.roles import AUTO, NONE, Roles, Wanted, roles_of
from data_prep.sources.own_pictures.settings import Settings
from data_prep.sources.own_pictures.told import told
from data_prep.sources.picture_files import PLACE, Places
from data_prep.sources.picture_index import PictureIndex, Pictures
from data_prep.sources.picture_listing import DAMAGED, content_of
from data_prep.sources.picture_reading import decoded

_LOOKED_AT = 100
_SIZES = (8, 1024)


@dataclass(frozen=True, kw_only=True)
class OwnPictures:
    """Pictures of the user's own.

    What the table means is guessed from it unless an option says otherwise, and said before anything is written.
    """

    raw: Path | None
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        least, most = _SIZES
        if not least <= self.options["size"] <= most:
            raise ConfigError(f"pictures: size is {self.options['size']}, but must be {least} to {most}")
        if not 1 <= self.options["white"] <= DEEPEST:
            raise ConfigError(f"pictures: white is {self.options['white']}, but must be 1 to {DEEPEST}")
        part_named(self.options["crop"])

    @property
    def name(self) -> str:
        return "pictures"

    @property
    def title(self) -> str:
        return "pictures of your own"

    @property
    def home(self) -> str:
        return "the folder, .zip, .parquet or .npz that --raw names"

    @property
    def licence(self) -> str:
        return "that of the pictures"

    @property
    def factors(self) -> tuple[str, ...]:
        """As the option names them: known without reading anything."""
        named = self.options["factors"]
        return () if named in (AUTO, NONE) else tuple(part.strip() for part in named.split(","))

    def labels(self) -> tuple[LabelSpec, ...]:
        return self._settings.labels if self._settings is not None else self._assembled.labels

    def image_shape(self) -> tuple[int, int, int]:
        side = self.options["size"]
        return (1 if self._mode == "L" else 3, side, side)

    def told(self) -> list[str]:
        """What was taken for what, for a person; ``RawDataError`` if nothing can be told."""
        try:
            result = self._assembled
        except RawDataError:
            result = None
        return told(self._found, self._roles, self.options["pictures"], self._looked, result)

    def checksums(self) -> Mapping[str, str]:
        rows, content = hashlib.sha256(), hashlib.sha256()
        about = [[asdict(label) for label in self.labels()], self.factors, self._mode]
        rows.update(json.dumps(about).encode())
        for split in self._assembled.splits:
            pictures = self._rows_of(split)
            for digest in (rows, content):
                digest.update(f"{split} {len(pictures)}\n".encode())
                digest.update(b"\n".join(pictures.names.tolist()))
            for column in (pictures.labels, pictures.observed, pictures.reference, pictures.factors):
                rows.update(np.ascontiguousarray(column).tobytes())
            content.update(content_of(pictures))
        return {
            "rows": f"sha256:{rows.hexdigest()}",
            "names and content of pictures": f"sha256:{content.hexdigest()}",
        }

    def verified(self, scratch: Path, progress: Progress, workers: int | None = None) -> OwnPictures:
        """Say what was taken for what, and write what the tasks need below ``scratch``; the pictures stay where they are."""
        for line in self.told():
            progress.say(line)
        return self._indexed(scratch)

    def surveyed(self, scratch: Path, on_error: OnError) -> OwnPictures:
        """As ``verified``, for a look at all pictures; what is on one side only is passed on."""
        faults = one_sided(self._found, self.options["pictures"])
        for fault in faults:
            on_error(fault)
        usable = replace(self, options={**self.options, "pictures": "both"}) if faults else self
        return usable._indexed(scratch)

    def _indexed(self, scratch: Path) -> OwnPictures:
        files = self._found.files
        if isinstance(files, ArrayPictures):
            files = files.unpack(scratch)
        Settings(labels=self.labels(), mode=self._mode).write(scratch)
        splits, where = dict[str, Pictures](), dict[str, str]()
        for split in self._assembled.splits:
            pictures = self._rows_of(split)
            has_row = pictures.lines >= 0
            lines = np.zeros(len(pictures), dtype=np.int64)
            where[split], numbers = self._found.table.places_of(pictures.lines[has_row])
            lines[has_row] = numbers + 1
            splits[split] = replace(pictures, lines=lines)
        PictureIndex.write(scratch, files.record(), splits, where, self._assembled.left_out)
        return replace(self, raw=scratch)

    def without(self, faults: Sequence[Fault]) -> OwnPictures:
        """The same without some pictures, counted as damaged; for what ``verified`` returned."""
        assert self._index is not None
        self._index.leave_out(faults, DAMAGED)
        return replace(self)

    @property
    def left_out(self) -> Mapping[str, int]:
        """Reason → number of pictures that are in no split for it."""
        return (self._assembled if self._index is None else self._index).left_out

    def splits(self) -> Mapping[str, int]:
        if self._index is not None:
            return dict(self._index.splits)
        return {split: len(rows.row) for split, rows in self._assembled.splits.items()}

    def ids(self, split: str) -> list[str]:
        return [name.decode() for name in self._rows_of(split).names.tolist()]

    def label_column(self, split: str) -> NDArray[np.uint8] | None:
        """The classes if there is a single, fully observed label; other rows are ranked by id alone."""
        rows = self._rows_of(split)
        if len(self.labels()) > 1 or not rows.observed.all():
            return None
        return np.array(rows.labels[:, 0])

    def made_from(self, split: str, start: int, stop: int) -> bytes:
        """All of the raw files that decides rows ``start`` to ``stop`` of a split."""
        rows = self._rows_of(split)[start:stop]
        columns = (rows.labels, rows.observed, rows.reference, rows.factors)
        return b"\n".join([*rows.names.tolist(), *(column.tobytes() for column in columns), content_of(rows)])

    def rows(self, split: str, start: int, stop: int) -> Rows:
        """Rows of a plan written by ``verified``; ``DamagedPictures`` names all of these that are damaged."""
        index = self._index
        if index is None:
            raise RawDataError(
                f"{self.raw} holds no plan of {self.name}; only the tasks of a plan read its pictures"
            )
        pictures = index.split(split)[start:stop]
        images, damaged = decoded(pictures, opened_pictures(index.pictures), self._decode, self.image_shape())
        if damaged:
            where = [self._listed(index, split, int(pictures.lines[row])) for row, _, _ in damaged]
            raise DamagedPictures(
                [
                    Fault(split, start + row, picture, listed, why)
                    for (row, picture, why), listed in zip(damaged, where, strict=True)
                ]
            )
        return Rows(
            image=images,
            labels=np.array(pictures.labels),
            observed=np.array(pictures.observed),
            reference=np.array(pictures.reference),
            factors=np.array(pictures.factors),
            ids=[name.decode() for name in pictures.names.tolist()],
        )

    def examples(self, most: int) -> list[tuple[str, list[NDArray[np.uint8]]]]:
        """For each value of each label, the first ``most`` training images that have it, as they would be prepared."""
        lines = []
        rows = self._rows_of("train")
        for number, label in enumerate(self.labels()):
            for value, meaning in enumerate(label.values):
                has = np.flatnonzero(rows.observed[:, number] & (rows.labels[:, number] == value))[:most]
                mask = np.zeros(len(rows), dtype=np.bool_)
                mask[has] = True
                images, damaged = decoded(rows[mask], self._found.files, self._decode, self.image_shape())
                bad = {row for row, _, _ in damaged}
                kept = [image for row, image in enumerate(images) if row not in bad]
                if kept:
                    lines.append((f"{label.name}: {meaning}", kept))
        return lines

    def where_raw(self) -> str:
        return f"found in {self._found.files.path}"

    @property
    def _decode(self) -> partial[NDArray[np.uint8]]:
        side = self.options["size"]
        return partial(
            made,
            only_grey=self.options["colour"] == "auto" and self._mode == "L",
            mode=self._mode,
            size=(side, side),
            crop=part_named(self.options["crop"]),
            lenient=self.options["damaged"] == "use",
            upright=self.options["exif"] == "rotate",
            white=self.options["white"],
        )

    @property
    def _mode(self) -> Mode:
        if self.options["colour"] != "auto":
            return "L" if self.options["colour"] == "grey" else "RGB"
        return self._settings.mode if self._settings is not None else self._looked.mode

    @cached_property
    def _found(self) -> Found:
        return find(self.raw, table=self.options["table"], file=self.options["file"])

    @cached_property
    def _roles(self) -> Roles:
        wanted = Wanted(**{name: self.options[name] for name in Wanted.__dataclass_fields__})
        found = self._found
        return roles_of(found.table, wanted, unknown_words(self.options["unknown"]), found.names_column)

    @cached_property
    def _assembled(self) -> Assembled:
        for fault in one_sided(self._found, self.options["pictures"]):
            raise fault
        return assembled(self._found, self._roles, self.options["pictures"])

    @cached_property
    def _looked(self) -> Looked:
        """A look at evenly spread pictures."""
        found = self._found
        some = np.unique(np.linspace(0, len(found.names) - 1, _LOOKED_AT).astype(np.int64))
        return look_at(found.contents(some), ALL_FORMATS)

    @cached_property
    def _places(self) -> Places:
        """Of the pictures that are used, at their numbers; zeros for the others."""
        used = np.sort(np.concatenate([rows.picture for rows in self._assembled.splits.values()]))
        places = np.zeros(len(self._found.names), dtype=PLACE)
        places[used] = self._found.places_of(used)
        return places

    def _rows_of(self, split: str) -> Pictures:
        if self._index is not None:
            return self._index.split(split)
        rows = self._assembled.splits[split]
        return Pictures(
            names=self._found.names[rows.picture],
            lines=rows.row,
            labels=rows.labels,
            observed=rows.observed,
            reference=rows.reference,
            factors=rows.factors,
            places=self._places[rows.picture],
        )

    @cached_property
    def _index(self) -> PictureIndex | None:
        """The index of a plan, if ``raw`` is what ``verified`` wrote."""
        return PictureIndex.open(self.raw) if self.raw is not None and Settings.are_in(self.raw) else None

    @cached_property
    def _settings(self) -> Settings | None:
        return Settings.read(self.raw) if self.raw is not None and Settings.are_in(self.raw) else None

    @staticmethod
    def _listed(index: PictureIndex, split: str, row: int) -> str:
        return f"{index.lists[split]}, row {row}" if row else "no row"
