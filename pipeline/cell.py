"""A cell: one run of a sweep, with its configuration and its folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.errors import RunError
from data_prep.files import atomic_write
from data_prep.manifest import MANIFEST_FILE, Manifest
from pipeline import config as run_config
from pipeline.cells.folder import CellFolder
from pipeline.config import RunConfig
from pipeline.measures.settings import MeasuresConfig

_HASH = re.compile(r"-([0-9a-f]{8})$")
_DIGEST = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Cell(CellFolder):
    """A cell's folder together with its run's configuration."""

    config: RunConfig

    def measures_config(self) -> MeasuresConfig:
        """The measures of this configuration, regardless of the one in the folder."""
        return self.config.measures

    @classmethod
    def named(cls, sweep: Path, config: RunConfig, data_digest: str) -> Cell:
        """The cell of a run in the folder of its sweep; nothing is written."""
        name = f"{run_config.readable_name(config)}-{run_config.identity(config, data_digest)}"
        return cls(sweep / name, config)

    def write(self) -> None:
        """Make the folder and its ``config.json``, unless they exist."""
        text = run_config.to_json(self.config)
        if not self.config_file.is_file() or self.config_file.read_bytes() != text.encode():
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.config_file) as file:
                file.write(text.encode())

    @classmethod
    def open(cls, config_file: Path) -> Cell:
        """The cell of a ``config.json``.

        Raises:
            RunError: there is none, or it is not the one that the cell was made with.
            ConfigError: a field is unknown or invalid.
        """
        config_file = Path(config_file).absolute()
        try:
            text = config_file.read_bytes()
        except OSError as error:
            raise RunError(f"cannot read the configuration {config_file}: {error.strerror}") from None
        cell = cls(config_file.parent, run_config.from_json(text, str(config_file)))
        cell._refuse_another_content()
        return cell

    def _refuse_another_content(self) -> None:
        """RunError if the configuration is not the one whose hash the folder is named with."""
        named = _HASH.search(self.name)
        digests = list(_data_digests(Path(self.config.data.folder)))
        if named is None or not digests:  # a folder with a name of its own
            return
        found = [run_config.identity(self.config, digest) for digest in digests]
        if named[1] not in found:
            raise RunError(
                f"{self.config_file} was changed: its content and data set give {found[0]}, but the cell is {named[1]}; undo"
                " the change, or remove the file and run the command that started the sweep, which writes it again (other"
                " settings, given in a recipe or as options, make a cell of their own)"
            )


def _data_digests(folder: Path) -> Iterator[str]:
    """The digest of a data set: that in its folder's name, and that of its manifest if the folder was renamed."""
    suffix = folder.name.rpartition("-")[2]
    if _DIGEST.fullmatch(suffix):
        yield suffix
    if (folder / MANIFEST_FILE).is_file():
        digest = Manifest.load(folder).digest
        if digest != suffix:
            yield digest
