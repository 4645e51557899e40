"""A recipe of the user's own: found in a file or a package, run from its copy, and refused in one sentence."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from data_prep.errors import LaunchError
from launch.recipes import RECIPES, named
from launch.recipes.named import find_recipe
from launch.sweep import main

FILE = '''"""Two styles at two rates."""
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.training.settings import TrainingConfig

RATES, SIZES = (0.5, 1.0), (2, 4)

def styles():
    return [
        RunConfig(data=DataConfig(name="idx_folder", supervision_rate=rate), model=CCVAEConfig(style_size=size),
                  training=TrainingConfig(epochs=1, batch_size=50))
        for rate in RATES for size in SIZES
    ]

def bad_value():
    return [RunConfig(training=TrainingConfig(epochs=0))]

def nothing():
    pass

def broken():
    return 1 / 0

def long():
    return [list(range(1000))]
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_recipes.py"
    path.write_text(FILE)
    return path


def dry_run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["--dry-run", *arguments])
    captured = capsys.readouterr()
    assert not end.value.code, captured.err
    return captured.out


def test_a_file_makes_a_grid_of_four_cells_in_a_sweep_of_its_functions_name(
    file: Path, tiny_raw: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(file.parent)
    places = ["--raw", str(tiny_raw)]
    printed = dry_run(capsys, "--recipe", "my_recipes.py:styles", *places)
    assert "4 cells, 4 to run" in printed
    ends = [line.rpartition("  ")[2] for line in re.findall(r"^cell .*", printed, re.M)]
    assert ends == ["model.style_size=2", "model.style_size=4"] * 2, "what their names do not say"

    more = ["--set", "optimiser.learning_rate=1e-3,5e-4", "model.style_size=3", "--only", "f0.5"]
    printed = dry_run(capsys, "--recipe", "my_recipes.py:styles", *places, *more)
    cells = re.findall(r"^cell .*", printed, re.M)
    assert [line.rpartition("  ")[2] for line in cells] == [
        "optimiser.learning_rate=0.001 model.style_size=3",
        "optimiser.learning_rate=0.0005 model.style_size=3",
    ]
    assert all("-f0.5-" in line for line in cells)
    both = dry_run(capsys, "--recipe", "my_recipes.py:styles", *places, *more, "learning_rate=0.0005")
    assert len(re.findall("^cell ", both, re.M)) == 3  # both at f0.5, and the second at f1
    assert sorted(path.name for path in file.parent.iterdir()) == ["my_recipes.py"]


def test_a_recipe_is_found_again_from_any_folder_and_in_its_copy(file: Path, tmp_path: Path) -> None:
    recipe = find_recipe(f"{file}:styles")
    assert (recipe.sweep, recipe.name) == ("styles", f"{file}:styles")
    assert recipe.source is not None
    copy = recipe.source.copied_into(tmp_path / "sweep")
    assert re.search(r"/sweep/code/recipe_[0-9a-f]{12}/recipe\.py:styles$", copy)
    file.write_text(FILE.replace("(2, 4)", "(8,)"))
    assert {run.model.style_size for run in find_recipe(copy).runs()} == {2, 4}  # type: ignore[union-attr]
    assert {run.model.style_size for run in find_recipe(recipe.name).runs()} == {8}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("my_recipes.py:style", r"my_recipes.py has no function style; did you mean styles\?"),
        ("my_recipes.py:zzz", r"no function zzz \(it has: styles, bad_value, nothing, broken, long\)"),
        ("my_recipes.py", r"names no function of that file: write my_recipes.py:NAME"),
        ("my_recipes.py:", r"names no function of that file: write my_recipes.py:NAME"),
        ("my_recipes.py:my-styles", r"names no function of that file: write my_recipes.py:NAME"),
        (
            "my_recipes.py:long",
            r"must return a list of RunConfig, but returned list \[0, 1, 2, 3, 4, 5, ...\]$",
        ),
        ("missing.py:styles", r"recipe missing.py:styles: /\S+/missing.py cannot be read: No such file"),
        ("my_recipes.py:bad_value", r"my_recipes.py:bad_value fails: epochs is 0; it must be at least 1"),
        ("my_recipes.py:nothing", r"must return a list of RunConfig, but returned NoneType None"),
        ("my_recipes.py:broken", r"fails: ZeroDivisionError: division by zero \(\S+/my_recipes.py:23\)"),
    ],
)
def test_what_is_wrong_with_it_is_one_sentence(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, sentence: str
) -> None:
    monkeypatch.chdir(file.parent)
    with pytest.raises(LaunchError, match=sentence) as error:
        find_recipe(name).runs()
    assert "\n" not in str(error.value)


def test_a_packages_recipes_are_found_by_name_and_ours_stay_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        EntryPoint(name, "launch.recipes.swiss_roll:swiss_roll_quick", named.ENTRY_POINTS)
        for name in ("theirs", "mnist")
    ]
    monkeypatch.setattr(named, "entry_points", lambda group: entries if group == "traitvae.recipes" else [])
    theirs = find_recipe("theirs")
    assert theirs.runs() == RECIPES["swiss-roll-quick"].runs()
    assert theirs.source is not None
    assert "launch/recipes/swiss_roll.py" in theirs.source.files
    assert find_recipe("mnist").source is None
    assert any(line.startswith("  theirs: of the package") for line in named.listed())
    with pytest.raises(LaunchError, match="did you mean theirs"):
        find_recipe("their")
