"""What is checked before tyro parses a command line."""

from __future__ import annotations

import pytest

from data_prep.errors import LaunchError
from launch.command_line import appended, parsed
from launch.debug import Debug
from launch.measure_options import Measure
from launch.prepare import Prepare
from launch.retry import Retry
from launch.sweep_options import Sweep


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--only a b", ("a", "b")),
        ("--only a --only b", ("a", "b")),
        ("--only a --epochs 3 --only b c", ("a", "b", "c")),
        ("--only=a --only=b", ("a", "b")),
        ("--only=a", ("a",)),
        ("--epochs 3", ()),
    ],
)
def test_a_repeated_flag_of_several_values_appends(arguments: str, expected: tuple[str, ...]) -> None:
    options = parsed(Sweep, [*arguments.split(), "--dry-run"], prog="sweep.py")
    assert (options.only, options.dry_run) == (expected, True)


def test_further_options_of_sbatch_may_be_given_one_by_one() -> None:
    arguments = ["--sbatch", "exclude", "n4", "--recipe", "x", "--sbatch", "mail-type", "END", "comment2", ""]
    expected = {"exclude": "n4", "mail-type": "END", "comment2": ""}
    assert parsed(Sweep, arguments, prog="sweep.py").resources.sbatch == expected
    assert parsed(Retry, ["sweep", *arguments[:3]], prog="retry").resources.sbatch == {"exclude": "n4"}
    prepare = parsed(Prepare, ["--option", "a=1", "--option", "b=2", "celeba"], prog="prepare.py")
    assert (prepare.name, prepare.option) == ("celeba", ("a=1", "b=2"))


@pytest.mark.parametrize(
    ("options", "arguments", "sentence"),
    [
        (Sweep, ["--only"], "--only has no value"),
        (Sweep, ["--only", "--epochs", "3"], "--only has no value"),
        (Sweep, ["--only", ""], "--only has an empty value"),
        (Sweep, ["--name", ""], "--name has an empty value"),
        (Sweep, ["--runs="], "--runs has an empty value"),
        (Sweep, ["--only", "a", "--only"], "--only has no value"),
        (Sweep, ["--sbatch"], "--sbatch has no value"),
        (Sweep, ["--epochs", "3", "--epochs", "5"], "--epochs is given 2 times, with 3 and 5: give it once"),
        (Sweep, ["--hours=1", "--hours", "2"], "--hours is given 2 times, with 1 and 2"),
        (Sweep, ["--sbatch", "exclude", "n4", "--sbatch", "exclude", "n3"], "exclude is given twice, with n4 and n3"),
        (Measure, ["sweep", "--measures"], "--measures has no value"),
        (Debug, ["ccvae", "--run.optimiser.schedule.milestones"], "milestones has no value"),
        (Debug, ["ccvae", "--learning-rate", "fast"], "--learning-rate is fast: it takes a number"),
        (Sweep, ["--epochs", "1.5"], "--epochs is 1.5: it takes a whole number"),
        (Sweep, ["--prune-after", "2", "half"], "--prune-after is half: it takes a whole number"),
        (Sweep, ["--cells-per-gpu", "all"], "--cells-per-gpu is all: it takes a whole number or auto"),
        (Sweep, ["--precision", "fp16"], "it takes one of auto, float32, bfloat16, float16"),
    ],
)  # fmt: skip
def test_what_would_be_dropped_silently_or_does_not_fit_is_refused(
    options: type, arguments: list[str], sentence: str
) -> None:
    with pytest.raises(LaunchError, match=sentence):
        appended(arguments, options)


def test_what_is_repeated_without_loss_is_accepted() -> None:
    arguments = ["--runs", "x", "--dry-run", "--runs", "x", "--dry-run"]
    options = parsed(Sweep, arguments, prog="sweep.py")
    assert (str(options.runs), options.dry_run) == ("x", True)


def test_repeated_milestones_of_the_debug_command_append() -> None:
    arguments = ["ccvae", "--milestones", "3", "--epochs", "9", "--milestones", "5", "7"]
    assert appended(arguments, Debug) == ["ccvae", "--epochs", "9", "--milestones", "3", "5", "7"]
