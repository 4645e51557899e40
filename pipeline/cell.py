"""A cell: one run of a sweep, and the folder that holds all there is of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_prep.errors import RunError
from data_prep.files import atomic_write
from pipeline import config as run_config
from pipeline.config import RunConfig


@dataclass(frozen=True, slots=True)
class Cell:
    """``config.json``, ``checkpoints/``, ``metrics.jsonl``, ``figures/``, ``log/``, and ``DONE``, written last."""

    folder: Path
    config: RunConfig

    @classmethod
    def create(cls, sweep: Path, config: RunConfig, data_digest: str) -> Cell:
        """Make (or find) the cell of a run in the folder of its sweep, and write its ``config.json``."""
        name = f"{run_config.readable_name(config)}-{run_config.identity(config, data_digest)}"
        cell = cls(sweep / name, config)
        text = run_config.to_json(config)
        path = cell.folder / "config.json"
        if not path.is_file() or path.read_text() != text:
            cell.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as file:
                file.write(text.encode())
        return cell

    @classmethod
    def open(cls, config_file: Path) -> Cell:
        """The cell that a ``config.json`` stands in; RunError where there is none."""
        config_file = Path(config_file).absolute()
        try:
            text = config_file.read_text()
        except OSError as error:
            raise RunError(f"cannot read the configuration {config_file}: {error.strerror}") from None
        return cls(config_file.parent, run_config.from_json(text, str(config_file)))

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def config_file(self) -> Path:
        return self.folder / "config.json"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def figures(self) -> Path:
        return self.folder / "figures"

    @property
    def is_done(self) -> bool:
        """Whether it was trained, measured and recorded, and need not run again."""
        return (self.folder / "DONE").is_file()

    def mark_done(self) -> None:
        """Write ``DONE``: the last thing that happens to a cell."""
        with atomic_write(self.folder / "DONE") as file:
            file.write(b"trained, measured and recorded\n")
