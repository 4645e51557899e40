"""What may not be committed: large files, and paths or names of the machine that it was written on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LARGEST = 1_000_000  # bytes
BUILD_MACHINE = re.compile(
    rb"/(?:home|Users)/[a-z][\w.-]*/|/ro[o]t/|/(?:tmp|work)/[\w.-]+/(?:\.venv|traitvae)|file:///|--(?:extra-)?index-url"
)
# Where such words are the subject: this file, and the test of what a list of pins may not hold.
ALLOWED = {"tests/test_repository.py", "tests/test_environment.py"}


@pytest.fixture(scope="module")
def tracked_files() -> list[Path]:
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is not a git clone")
    paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_tracked_file_is_large(tracked_files: list[Path]) -> None:
    assert tracked_files
    assert [str(path) for path in tracked_files if path.stat().st_size > LARGEST] == []


def test_no_tracked_file_names_a_build_machine(tracked_files: list[Path]) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in tracked_files
        if str(path.relative_to(ROOT)) not in ALLOWED
        if (match := BUILD_MACHINE.search(path.read_bytes()))
    ]
    assert found == []
