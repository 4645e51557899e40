"""A recipe, from raw data to the table: ``python launch/sweep.py --cluster slurm --recipe fashion-mnist``."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

if not __package__:  # run as a file: Python then searches launch/, not the root of the code
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from launch.command_line import parsed
from launch.commands import children_import_this_code
from launch.subcommands import SUBCOMMANDS, Subcommand

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in SUBCOMMANDS:
        # Before torch is imported, which takes seconds.
        SUBCOMMANDS[sys.argv[1]].main(sys.argv[1], sys.argv[2:])
    gc.disable()  # while it imports: see data_prep.start_up


from data_prep.errors import LaunchError, report_user_errors
from data_prep.program_name import program
from data_prep.start_up import imports_are_done
from launch.extend import Extend, extend
from launch.recipes.named import listed
from launch.remove import Remove, remove
from launch.rename import Rename, rename
from launch.retry import Retry, retry
from launch.search.rounds import search
from launch.start import run_sweep
from launch.sweep_options import Sweep
from launch.upgrade import Upgrade, upgrade


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ``arguments`` without the program's name."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    subcommands = SUBCOMMANDS | {
        "extend": Subcommand(Extend, extend),
        "remove": Subcommand(Remove, remove),
        "rename": Subcommand(Rename, rename),
        "retry": Subcommand(Retry, retry),
        "upgrade": Subcommand(Upgrade, upgrade),
    }
    if given and given[0] in subcommands:
        subcommands[given[0]].main(given[0], given[1:])
    with report_user_errors():
        if given and given[0][:1] != "-":
            likely = get_close_matches(given[0], subcommands, 1)
            there = f"did you mean {likely[0]}?" if likely else f"there are: {', '.join(subcommands)}"
            raise LaunchError(f"there is no command {given[0]!r} (a new sweep has none: --recipe); {there}")
        described = "\n".join(listed())
        description = f"{inspect.cleandoc(Sweep.__doc__ or '')}\n\nRecipes:\n{described}"
        options = parsed(Sweep, given, prog=program("sweep"), description=description)
        if not options.search:
            raise SystemExit(run_sweep(options))
        raise SystemExit(search(options))


if __name__ == "__main__":
    imports_are_done()
    children_import_this_code()
    main()
