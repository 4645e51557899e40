"""What was found out about the user's own pictures, kept next to a plan's index for the tasks."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from data_prep.decode import Mode
from data_prep.errors import RawDataError
from data_prep.files import atomic_write
from data_prep.manifest import LabelSpec
from data_prep.sources.picture_index import PictureIndex

_FILE = "own-pictures.json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Labels, and whether images are grey."""

    labels: tuple[LabelSpec, ...]
    mode: Mode

    def write(self, folder: Path) -> None:
        """Before the index, so that a folder with both is a plan's."""
        with atomic_write(folder / _FILE) as file:
            file.write(json.dumps(asdict(self)).encode())

    @staticmethod
    def are_in(folder: Path) -> bool:
        """Whether a plan wrote them and its index there."""
        return (folder / _FILE).is_file() and PictureIndex.is_in(folder)

    @staticmethod
    def read(folder: Path) -> Settings:
        """``RawDataError`` if they are damaged."""
        file = folder / _FILE
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            labels = [LabelSpec(e["name"], e["cardinality"], tuple(e["values"])) for e in record["labels"]]
            return Settings(labels=tuple(labels), mode=record["mode"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RawDataError(f"{file} cannot be read ({error}); prepare the data set again") from None
