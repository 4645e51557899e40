"""A cell: one run of a sweep, with its configuration and its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_prep.errors import RunError
from data_prep.files import atomic_write
from pipeline import config as run_config
from pipeline.cells.folder import CellFolder
from pipeline.config import RunConfig
from pipeline.measures.settings import MeasuresConfig


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
        if not self.config_file.is_file() or self.config_file.read_text() != text:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.config_file) as file:
                file.write(text.encode())

    @classmethod
    def open(cls, config_file: Path) -> Cell:
        """The cell of a ``config.json``; RunError if there is none."""
        config_file = Path(config_file).absolute()
        try:
            text = config_file.read_text()
        except OSError as error:
            raise RunError(f"cannot read the configuration {config_file}: {error.strerror}") from None
        return cls(config_file.parent, run_config.from_json(text, str(config_file)))
