"""A cell: one run of a sweep, and the folder that holds all there is of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_prep.errors import RunError
from data_prep.files import atomic_write
from data_prep.manifest import MANIFEST_FILE, Manifest
from pipeline import config as run_config
from pipeline.config import RunConfig
from pipeline.training import checkpoint


@dataclass(frozen=True, slots=True)
class Cell:
    """``config.json``, ``checkpoints/``, ``metrics.jsonl``, ``figures/``, ``log/``, and ``DONE``, written last."""

    folder: Path
    config: RunConfig

    @classmethod
    def named(cls, sweep: Path, config: RunConfig, data_digest: str) -> Cell:
        """The cell of a run in the folder of its sweep; nothing is written."""
        name = f"{run_config.readable_name(config)}-{run_config.identity(config, data_digest)}"
        return cls(sweep / name, config)

    def write(self) -> None:
        """Make the folder and its ``config.json``, unless they are there."""
        text = run_config.to_json(self.config)
        if not self.config_file.is_file() or self.config_file.read_text() != text:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.config_file) as file:
                file.write(text.encode())

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

    def is_done(self) -> bool:
        """Whether it was trained, measured and recorded, and need not run again."""
        return (self.folder / "DONE").is_file()

    def is_trained(self) -> bool:
        """Whether the newest whole checkpoint is that of the last step (its bytes are checked when it is read)."""
        if not Path(self.config.data.folder, MANIFEST_FILE).is_file():
            return False
        rows = Manifest.load(Path(self.config.data.folder)).splits["train"].rows
        return checkpoint.newest_step(self.checkpoints) == self.config.last_step(rows)

    def mark_done(self) -> None:
        """Write ``DONE``: the last thing that happens to a cell."""
        with atomic_write(self.folder / "DONE") as file:
            file.write(b"trained, measured and recorded\n")
