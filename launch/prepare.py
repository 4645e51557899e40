"""Raw files into shards: ``python launch/prepare.py fashion-mnist``; inspect the result: ``... inspect FOLDER``."""

from __future__ import annotations

import dataclasses
import gc
import inspect
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

if not __package__:  # run as a file: Python then searches launch/, not the root of the code
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    gc.disable()  # while it imports: see data_prep.start_up

import tyro

from data_prep.checking import check, write_findings
from data_prep.contact_sheet import PICTURES_PER_LINE, write_sheet_of
from data_prep.counted import counted
from data_prep.errors import ConfigError, RawDataError, report_user_errors, status_of_a_stop
from data_prep.manifest import MANIFEST_FILE
from data_prep.plan import data_set_folder
from data_prep.program_name import program
from data_prep.progress import Progress
from data_prep.sources import SOURCES, source_named
from data_prep.sources.options import described_options, option_names, parsed_options
from data_prep.sources.part import PartOfSource
from data_prep.sources.source import Guessing
from data_prep.stages import is_complete, naming_unwritable_places, prepare, wants_betons
from data_prep.start_up import imports_are_done
from launch.clusters.slurm.shard_jobs import ShardJobs
from launch.command_line import described, parsed
from launch.commands import children_import_this_code
from launch.inspecting import Inspect, inspect_data_set, print_shape, print_summary
from launch.stopping import stopping_as_with_ctrl_c

if TYPE_CHECKING:
    from launch.plan import NeededData


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """Turn a source's raw files into shards. Can be rerun at any time: finished work is not repeated.

    The result is a folder OUT/NAME-DIGEST. The digest covers everything that decides the content, so the same raw files
    give the same folder, byte for byte, for any number of workers. Raw files are looked for in the folder
    given by --raw, or else where a system package puts them (Debian: dataset-fashion-mnist), in the cache, and online.

    To inspect a prepared data set:  python launch/prepare.py inspect FOLDER --help
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """one of the sources above"""
    raw: Annotated[Path | None, described("FOLDER")] = None
    """folder of the raw files, packed or not, or a .zip of all; of your own also .parquet or .npz (default: known places)"""
    option: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(aliases=["--options"], metavar="NAME=VALUE ..."),
    ] = ()
    """options of the source: --option count=5000 takes a part of any source (--dry-run lists them)"""
    check: bool = False
    """open every picture and read every line of the lists, and list all that is wrong; exit status 1 if anything is"""
    csv: Annotated[Path | None, described("FILE")] = None
    """with --check: write what is wrong into a CSV file, too (default: no file)"""
    out: Path = Path("data")
    """folder for the data set's folder"""
    workers: Annotated[int | None, described("N")] = None
    """number of processes (default: up to one per core); the result does not depend on it"""
    format: Literal["auto", "arrow", "ffcv", "both"] = "auto"
    """Arrow shards are always written, and FFCV files: always (ffcv, both), never (arrow), if FFCV is installed (auto)"""
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """decides which rows are labelled at a supervision rate, in runs with this label seed; those with another compute it"""
    dry_run: bool = False
    """print what would be done and submitted, and do nothing"""
    sheet: Annotated[Path | None, described("PNG")] = None
    """with --dry-run of pictures: draw some for each value of each label, as they would be prepared (default: no sheet)"""
    cluster: Literal["local", "slurm"] = "local"
    """where to run: on this machine, or as jobs of its SLURM cluster (one per shard, and one that merges them)"""
    detach: bool = False
    """exit as soon as the jobs are submitted (slurm)"""
    cluster_config: Annotated[Path | None, described("FILE")] = None
    """TOML file of a site's defaults (default: ~/.config/traitvae/cluster.toml, slurm)"""
    slurm: tyro.conf.OmitArgPrefixes[ShardJobs] = field(default_factory=ShardJobs)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ``arguments`` without the program's name."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with report_user_errors(), stopping_as_with_ctrl_c():
        if given[:1] == ["inspect"]:
            inspect_data_set(parsed(Inspect, given[1:], prog=f"{program('prepare')} inspect"))
            return
        _refuse_options_of_sources(given)
        options = parsed(
            Prepare, _one_option_each(given), prog=program("prepare"), description=_description()
        )
        _check(options)
        if options.check:
            _look(options)
            return
        if options.dry_run:
            _describe(options)
            return
        began, before = time.monotonic(), time.time_ns()
        folder = _prepared(options) if options.cluster == "local" else _prepared_by_jobs(options)
        if folder is None:
            return
        print_summary(folder)
        untouched = (folder / MANIFEST_FILE).stat().st_mtime_ns < before
        print(f"{'already prepared' if untouched else 'prepared'}: {time.monotonic() - began:.1f} s")


def _description() -> str:
    """What the program does, and each source with a line."""
    about = inspect.cleandoc(Prepare.__doc__ or "")
    width = max(map(len, SOURCES))
    lines = [
        f"  {name.replace('_', '-'):{width}}  {(make.__doc__ or '').splitlines()[0].replace('``', '')}"
        for name, make in SOURCES.items()
    ]
    return "\n".join([about, "", "Sources:", *lines])


def _look(options: Prepare) -> None:
    """List all that is wrong with the raw files; exit status 1 if anything is."""
    with Progress(shown=True) as progress:
        found = check(
            options.name,
            raw=options.raw,
            options=parsed_options(options.option),
            workers=options.workers,
            progress=progress,
        )
    for finding in found.findings:
        print(finding)
    if options.csv is not None:
        write_findings(options.csv, found.findings)
        print(f"all of it as a table: {options.csv}")
    rows = ", ".join(f"{count:,} in {split}" for split, count in found.rows.items()) or "none"
    count = len(found.findings)
    wrong = f"{counted(count, 'problem')}, listed above" if count else "nothing is wrong"
    print(f"rows looked at: {rows}; {wrong}")
    if found.findings:
        raise SystemExit(1)


def _prepared(options: Prepare) -> Path:
    return prepare(
        options.name,
        raw=options.raw,
        options=parsed_options(options.option),
        root=options.out,
        workers=options.workers,
        formats=options.format,
        seed=options.seed,
    )


def _prepared_by_jobs(options: Prepare) -> Path | None:
    """The folder of the data set once jobs have written it; None if detached."""
    from launch.clusters.slurm.preparing import prepare_on_slurm, reattach_hint  # here: torch takes seconds

    data = _needed(options)
    try:
        there = prepare_on_slurm(
            data, options.slurm.resources(), options.cluster_config, detach=options.detach
        )
    except KeyboardInterrupt as stop:
        print(f"\n{reattach_hint(data)}", flush=True)
        raise SystemExit(status_of_a_stop(stop)) from None
    if not there:
        print(reattach_hint(data))
        return None
    return options.out / data.folder.name


def _needed(options: Prepare) -> NeededData:
    from launch.plan import NeededData

    settings = parsed_options(options.option)
    source = source_named(options.name, options.raw, settings)
    folder = data_set_folder(source, options.out, seed=options.seed).absolute()
    with_ffcv = wants_betons(options.format, folder)
    return NeededData(
        name=source.name,
        folder=folder,
        raw=options.raw,
        ffcv=with_ffcv,
        options=settings,
        seed=options.seed,
        place_option="--out",
    )


def _check(options: Prepare) -> None:
    """ConfigError if an option cannot work, or only with others."""
    if options.seed < 0:
        raise ConfigError(f"--seed is {options.seed}; it must not be negative")
    if options.cluster == "local" and (
        options.detach or options.cluster_config or options.slurm != ShardJobs()
    ):
        raise ConfigError("options of SLURM jobs were given without --cluster slurm")
    if options.sheet is not None and not options.dry_run:
        raise ConfigError("--sheet is for --dry-run: prepare.py inspect FOLDER draws what is prepared")
    if options.csv is not None and not options.check:
        raise ConfigError("--csv is for --check")
    if options.check and options.cluster != "local":
        raise ConfigError("--check runs on this machine: leave --cluster out")
    if options.cluster == "slurm" and options.workers is not None:
        raise ConfigError(
            "--workers is for this machine; with SLURM, --max-parallel limits the shards written at once"
        )


def _describe(options: Prepare) -> None:
    settings = parsed_options(options.option)
    source = source_named(options.name, options.raw, settings)
    print(f"{source.title} ({source.home}; licence: {source.licence})")
    telling = source.source if isinstance(source, PartOfSource) else source
    if isinstance(telling, Guessing):
        _tell(telling, options)
    folder, missing = options.out / f"{source.name}-DIGEST", None
    try:
        folder = data_set_folder(source, options.out, seed=options.seed)
        there = is_complete(folder, betons=False)
        print(f"folder:  {folder} ({'exists' if there else 'does not exist yet'})")
    except RawDataError as error:
        missing = error
        print(f"folder:  {folder}, once the raw files exist")
    with suppress(RawDataError):  # for some sources these are known without the raw files
        print_shape(source.image_shape())
    if not isinstance(telling, Guessing):
        with suppress(RawDataError):
            for label in source.labels():
                print(f"label:   {label.name}: {', '.join(label.values)}")
    for option, values in described_options(SOURCES[source.name]).items():
        print(f"option:  {option}={source.options.get(option, 'not given')} ({values})")
    print(f"raw:     {missing or source.where_raw()}")
    with_ffcv = wants_betons(options.format, folder)
    print(f"formats: {'Arrow and FFCV' if with_ffcv else 'Arrow'}")
    if options.cluster == "slurm" and not missing:
        from launch.clusters.slurm.preparing import describe

        print(describe(_needed(options), options.slurm.resources(), options.cluster_config))


def _tell(source: Guessing, options: Prepare) -> None:
    """What was taken for what, before anything is refused; and a contact sheet on request."""
    with suppress(RawDataError):  # which is the line on the raw files
        print("\n".join(source.told()))
    if options.sheet is not None:
        with naming_unwritable_places(options.sheet, "--sheet"):
            write_sheet_of(options.sheet, source.examples(PICTURES_PER_LINE))
        print(f"contact sheet: {options.sheet}")


def _one_option_each(given: Sequence[str]) -> list[str]:
    """``--option a=1 b=2`` as ``--option a=1 --option b=2``: the name of the source may follow."""
    separate, follows = list[str](), False
    for text in given:
        if follows and "=" in text and not text.startswith("--"):
            separate.append("--option")
        separate.append(text)
        follows = separate[-2:-1] in (["--option"], ["--options"])
    return separate


def _refuse_options_of_sources(given: Sequence[str]) -> None:
    """Catch ``--count 200`` for ``--option count=200``: the parser would suggest unrelated options."""
    names = [name for text in given if (name := text.lower().replace("-", "_")) in SOURCES]
    ours = {entry.name for entry in dataclasses.fields(Prepare)}
    for text in given:
        option = text.removeprefix("--").partition("=")[0].replace("-", "_")
        if (
            text.startswith("--")
            and names
            and option not in ours
            and option in option_names(SOURCES[names[0]])
        ):
            raise ConfigError(f"{option} is an option of {names[0]}: --option {option}=VALUE")


if __name__ == "__main__":
    imports_are_done()
    children_import_this_code()
    main()
