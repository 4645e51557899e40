"""The ways to install say the same: pyproject.toml, constraints.txt, environment.yml and the Debian packages."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
# Said otherwise in the other files: by requires-python, and by python3-venv.
CONDA_ONLY = {"python", "pip"}


@dataclass(frozen=True)
class Installation:
    """The texts of the four files."""

    pyproject: str
    constraints: str
    environment: str
    debian: str

    def project(self) -> dict[str, Any]:
        """The project table."""
        table: dict[str, Any] = tomllib.loads(self.pyproject)["project"]
        return table

    def requirements(self) -> list[Requirement]:
        """Those of the project and of all its extras."""
        project = self.project()
        lines = [
            *project["dependencies"],
            *(line for extra in project["optional-dependencies"].values() for line in extra),
        ]
        return [Requirement(line) for line in lines]

    def pins(self) -> dict[str, Version]:
        """Canonical name → pinned version; ValueError where a line is not a plain pin."""
        pins: dict[str, Version] = {}
        for line in self.constraints.splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            pin = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!]+)", line)
            if pin is None:
                raise ValueError(f"constraints.txt: {line!r} is not a plain pin")
            pins[canonicalize_name(pin[1])] = Version(pin[2])
        return pins

    def conda(self) -> tuple[dict[str, str], list[str]]:
        """Conda package → what is said of its version; and pip's lines."""
        packages, pip_lines = {}, []
        for entry in yaml.safe_load(self.environment)["dependencies"]:
            if isinstance(entry, dict):
                pip_lines += entry["pip"]
            else:
                name, _, version = entry.partition("=")
                packages[name] = version
        return packages, pip_lines

    def system_libraries(self) -> set[str]:
        """conda-forge's names of what the setup installs from Debian."""
        rows = [
            line.split() for line in self.debian.splitlines() if line.strip() and not line.startswith("#")
        ]
        return {conda for _, conda, _ in rows if conda != "-"}


def disagreements(installation: Installation) -> Iterator[str]:
    """One sentence for each thing that two of the files say differently."""
    try:
        pins = installation.pins()
    except ValueError as error:
        yield str(error)
        return
    for requirement in installation.requirements():
        pin = pins.get(canonicalize_name(requirement.name))
        if pin is None:
            yield f"{requirement.name} is not pinned in constraints.txt"
        elif not requirement.specifier.contains(pin, prereleases=True):
            yield f"{requirement.name}: the pin {pin} is outside {requirement.specifier}"

    ffcv = f"pip install --no-deps ffcv=={pins.get('ffcv')}"
    for name, text in (
        ("pyproject.toml", installation.pyproject),
        ("environment.yml", installation.environment),
    ):
        if re.findall(r"pip install --no-deps ffcv\S*", text) != [ffcv]:
            yield f"{name} does not say '{ffcv}' once"
    if any(canonicalize_name(requirement.name) == "ffcv" for requirement in installation.requirements()):
        yield "ffcv is a requirement, so pip would follow what its metadata asks for"

    packages, pip_lines = installation.conda()
    python = packages.get("python", "")
    supported = SpecifierSet(installation.project()["requires-python"])
    if not re.fullmatch(r"3\.\d+", python) or not supported.contains(python):
        yield f"environment.yml takes Python {python or 'of any version'}; the project wants {supported}"
    libraries = packages.keys() - CONDA_ONLY
    for missing in installation.system_libraries() - CONDA_ONLY - libraries:
        yield f"the setup installs {missing} from Debian, environment.yml does not"
    for extra in libraries - installation.system_libraries():
        yield f"environment.yml lists {extra}, the setup installs nothing like it from Debian"
    if pip_lines != ["-c constraints.txt", "-e .[ffcv,measures,search,onnx,dev]"]:
        yield f"environment.yml has pip install {pip_lines}, not the project itself with the pinned versions"


@pytest.fixture(scope="module")
def installation() -> Installation:
    return Installation(
        pyproject=(ROOT / "pyproject.toml").read_text(),
        constraints=(ROOT / "constraints.txt").read_text(),
        environment=(ROOT / "environment.yml").read_text(),
        debian=(ROOT / "setup" / "debian-packages.txt").read_text(),
    )


def test_all_ways_to_install_agree(installation: Installation) -> None:
    assert list(disagreements(installation)) == []


@pytest.mark.parametrize(
    ("file", "pattern", "replacement", "complaint"),
    [
        ("constraints", r"(?m)^torch==.*\n", "", "torch is not pinned"),
        ("constraints", r"(?m)^torch==.*", "torch==1.13.1", "outside"),
        ("constraints", r"torch==(.*)", r"torch==\1+cpu", "not a plain pin"),
        ("constraints", r"(?m)^torch==.*", "torch @ file:///wheels/torch.whl", "not a plain pin"),
        ("constraints", r"ffcv==.*", "ffcv==1.0.3", "does not say"),
        ("pyproject", r'"submitit>=.*"', '"submitit>=99"', "outside"),
        ("pyproject", r'"numba>=.*"', '"newcomer>=1"', "newcomer is not pinned"),
        ("pyproject", r'"tqdm>=.*"', '"tqdm>=4", "ffcv>=1"', "ffcv is a requirement"),
        ("pyproject", r'requires-python = ".*"', 'requires-python = ">=3.12"', "the project wants"),
        ("environment", r"python=3.*", "python=3.10", "the project wants"),
        ("environment", r"ffcv==\S+", "ffcv==1.0.1", "does not say"),
        ("environment", r"  - libjpeg-turbo\n", "", "libjpeg-turbo from Debian"),
        ("environment", r"  - opencv\n", "  - opencv\n  - zlib\n", "environment.yml lists zlib"),
        ("environment", r" +- -c constraints.txt\n", "", "not the project itself"),
        ("debian", r"libopencv-dev.*\n", "", "environment.yml lists opencv"),
        ("debian", r"\Z", "libturbo-dev  turbo  ffcv\n", "installs turbo from Debian"),
    ],
)
def test_drift_is_seen(
    installation: Installation, file: str, pattern: str, replacement: str, complaint: str
) -> None:
    text = getattr(installation, file)
    drifted = re.sub(pattern, replacement, text, count=1)
    assert drifted != text
    complaints = list(disagreements(replace(installation, **{file: drifted})))
    assert any(complaint in sentence for sentence in complaints), complaints


def test_everything_that_is_pulled_in_is_pinned(installation: Installation) -> None:
    """Follows the dependencies of the installed packages; packages not installed here (other platforms) have none."""
    pins = installation.pins()
    waiting = [
        (requirement.name, tuple(sorted(requirement.extras))) for requirement in installation.requirements()
    ]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            asked = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, asked):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append((requirement.name, tuple(sorted(requirement.extras))))
    pulled_in = {canonicalize_name(name) for name, _ in seen}
    cuda = {name for name in pulled_in if name.startswith(("nvidia-", "cuda-")) or name == "triton"}
    assert len(pulled_in) > 80
    assert pulled_in - cuda - pins.keys() == set()
    assert pins.keys() - pulled_in - {"ffcv"} == set(), "pinned, but nothing requires it"
