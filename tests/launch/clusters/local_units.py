"""Stand-ins for a unit in tests of the local backend. A separate module, because submitit's jobs import it by name."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.cells.folder import CANCELLED, CellFolder
from tests.done_cells import make_done


def say_which_gpus(unit: str, config_file: Path) -> None:
    """Record the GPUs that this rank sees, how many cells share them, its threads, and mark the cell done."""
    rank = os.environ["SUBMITIT_LOCAL_LOCALID"]
    (config_file.parent / f"gpus-{rank}").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
    said = f"{os.environ['TRAITVAE_CELLS_PER_GPU']} {os.environ['OMP_NUM_THREADS']}"
    (config_file.parent / "shared").write_text(said)
    make_done(CellFolder.of(config_file))


def die_at_once(unit: str, config_file: Path) -> None:
    """Exit like a process that is killed before it takes the lease."""
    os._exit(1)


def be_cancelled(unit: str, config_file: Path) -> None:
    """Exit like a process that ``cancel`` stops."""
    (config_file.parent / "started").touch()
    CellFolder.of(config_file).note_attempt({"ended": CANCELLED, "jobs": []})
