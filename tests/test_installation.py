"""The project as it is installed from its wheel, called from another folder, where nothing of the checkout is imported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from data_prep.program_name import COMMANDS

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
HELP = """
import runpy, sys
for script in sys.argv[1:]:
    sys.argv = [script, "--help"]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        assert not end.code, script
"""
"""All commands in one process: torch is imported once."""
RECIPE = """
from traitvae import DataConfig, M2Config, MeasuresConfig, RunConfig, TrainingConfig


def tiny():
    data = DataConfig(name="drawn-faces", options=("count=60",))
    training, measures = TrainingConfig(epochs=1, batch_size=20), MeasuresConfig(take=("likelihood",))
    return [RunConfig(data=data, model=M2Config(network="mlp"), training=training, measures=measures)]
"""


def run(*command: str | Path, folder: Path) -> str:
    """What a command prints, in an environment without hints at the checkout."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for name, value in {"XDG_CACHE_HOME": folder / "cache", "OMP_NUM_THREADS": "1"}.items():
        variables[name] = str(value)
    ended = subprocess.run(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The programs of a fresh environment with the project's wheel and a package that has a recipe."""
    # What the project needs is taken from this environment.
    source, wheels, place = tmp_path / "source", tmp_path / "wheels", tmp_path / "environment"
    source.mkdir()
    wheels.mkdir()
    for name in ("data_prep", "pipeline", "jobs", "launch"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-c", BUILD, wheels, folder=source)
    (wheel,) = wheels.glob("*.whl")
    venv.create(place, symlinks=True)
    python = place / "bin" / "python"
    options = ("--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel, folder=tmp_path)
    (installed,) = (place / "lib").glob("python*/site-packages")
    needed = sysconfig.get_path("purelib"), sysconfig.get_path("platlib")
    # Only these folders: an installation of the checkout there, by a .pth file or a finder, is not followed.
    (installed / "needed.pth").write_text("".join(f"{each}\n" for each in dict.fromkeys(needed)))
    package = installed / "theirs-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[traitvae.recipes]\nof-a-package = theirs_of_a_package:tiny\n")
    (installed / "theirs_of_a_package.py").write_text(RECIPE)
    return place / "bin"


@pytest.mark.slow(30)
def test_every_command_works_without_the_checkout_also_next_to_files_with_our_names(
    environment: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for name in ("data_prep", "pipeline", "jobs", "launch"):
        (theirs / f"{name}.py").write_text("raise SystemExit('shadowed')")
    (theirs / "mine.py").write_text(RECIPE)
    scripts = [environment / f"traitvae-{name}" for name in COMMANDS]
    said = run(environment / "python", "-P", "-c", HELP, *scripts, folder=theirs)
    assert [f"usage: {script.name} " in said for script in scripts] == [True] * len(scripts)
    assert "python launch/" not in said
    assert "  of-a-package: " in said
    where = "import launch, traitvae; print(launch.__file__, traitvae.__file__)"
    assert str(ROOT) not in run(environment / "python", "-P", "-c", where, folder=theirs)
    printed = run(environment / "traitvae-sweep", "--recipe", "mine.py:tiny", folder=theirs)
    assert "1 done" in printed
    assert (theirs / "runs" / "tiny" / "report.html").is_file()
