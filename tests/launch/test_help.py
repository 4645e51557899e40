"""``launch/debug.py SYSTEM --help``: every field of a run with its meaning and default."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from itertools import pairwise
from typing import Annotated, Any, get_origin, get_type_hints

import pytest

from launch.debug import Debug, main
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.registry import PRESETS
from pipeline.training.settings import TrainingConfig


def shown_fields(section: Any) -> dict[str, Any]:
    """Flag and default of each settable field, including nested sections."""
    found: dict[str, Any] = {}
    hints = get_type_hints(type(section), include_extras=True)
    for field in fields(section):
        value, hint = getattr(section, field.name), hints[field.name]
        marks = hint.__metadata__ if get_origin(hint) is Annotated else ()
        if is_dataclass(value):
            found |= shown_fields(value)
        elif not any("Suppress" in repr(mark) for mark in marks):
            names = [mark.name for mark in marks if getattr(mark, "name", None)]
            found[(names or [field.name])[0].replace("_", "-")] = value
    return found


def as_shown(value: Any) -> str:
    """A default as the help prints it."""
    if isinstance(value, tuple):
        return " ".join(as_shown(each) for each in value)
    return str(value)


def explanations(text: str) -> dict[str, str]:
    """The help text of each flag."""
    parts = re.split(r"^ *--(?=[a-z])", text, flags=re.MULTILINE)
    found = {}
    for part in parts[1:]:
        flag, _, rest = part.partition(" ") if " " in part.splitlines()[0] else part.partition("\n")
        rest = re.split(r"\n *\n", rest)[0]
        found[flag.rstrip(",").removeprefix("no-")] = " ".join(rest.split())
    return found


def early_breaks(text: str, width: int) -> list[str]:
    """The lines of meanings after which the next one's first word had room."""
    found = []
    for line, following in pairwise(text.splitlines()):
        indents = [len(each) - len(each.lstrip()) for each in (line, following)]
        if indents[0] == indents[1] >= 8 and line.strip() and following.strip():
            needed = f"{line.rstrip()} {following.split()[0]}"
            found += [line] if len(needed) <= width else []
    return found


@pytest.mark.parametrize("preset", PRESETS)
def test_every_field_is_shown_with_its_meaning_in_full_lines_and_default(
    preset: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as end:
        main([preset, "--help"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert "Raises:" not in printed
    assert early_breaks(printed, 98) == []
    shown = explanations(printed)
    made = PRESETS[preset]
    data = DataConfig(supervision_rate=0.0, one_per_class=True) if made.one_per_class else DataConfig()
    asked = Debug(run=RunConfig(data=data, model=made.config(), training=TrainingConfig(epochs=1)))
    expected = shown_fields(asked)
    assert expected.keys() >= {
        "data",
        "supervision-rate",
        "learning-rate",
        "measure-hang-seconds",
        "mlflow",
        "runs",
    }
    for flag, value in expected.items():
        assert flag in shown, flag
        meaning, _, default = shown[flag].rpartition("(default:")
        assert len(re.findall(r"[a-z]{2,}", meaning)) >= 2, f"--{flag}: {shown[flag]}"
        in_words = flag == "raw"  # where its docstring says what happens without it
        assert default.rstrip(")").strip() == as_shown(value) or in_words, f"--{flag}: {shown[flag]}"


def test_the_list_of_systems_names_each_with_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, preset in PRESETS.items():
        assert f"{name} {preset.describes}" in text
