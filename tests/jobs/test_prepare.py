"""A preparation split into separate processes, as in a SLURM array."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.plan import data_set_folder, make_plan
from data_prep.progress import Progress
from data_prep.sources import source_named
from data_prep.stages import find_prepared
from jobs.prepare import main
from tests.data_prep.fixtures import TINY_ROWS_PER_SHARD, content


def plan_tiny(raw: Path, root: Path) -> tuple[Path, int]:
    source = source_named("idx_folder", raw)
    folder = data_set_folder(source, root, rows_per_shard=TINY_ROWS_PER_SHARD)
    plan, file = make_plan(
        source, folder, seed=0, rows_per_shard=TINY_ROWS_PER_SHARD, progress=Progress(shown=False)
    )  # fmt: skip
    return file, len(plan.tasks)


def test_tasks_in_any_order_and_a_merge_give_the_same_bytes(
    tiny_raw: Path, tiny_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, tasks = plan_tiny(tiny_raw, tmp_path)
    assert tasks == 7
    for task in (5, 0, 6, 2, 1, 3, 2):
        main(["--config", str(plan), "--task", str(task)])
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "4")
    main(["--config", str(plan)])
    main(["--config", str(plan), "--merge"])
    folder = find_prepared("idx_folder", tiny_raw, tmp_path, rows_per_shard=TINY_ROWS_PER_SHARD)
    assert folder is not None
    shards = {name: data for name, data in content(folder).items() if not name.startswith(".work/")}
    assert shards == content(tiny_data_set)


def test_a_merge_before_the_last_task_names_the_missing_shard(
    tiny_raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, tasks = plan_tiny(tiny_raw, tmp_path)
    for task in range(tasks - 1):
        main(["--config", str(plan), "--task", str(task)])
    with pytest.raises(SystemExit, match="2"):
        main(["--config", str(plan), "--merge"])
    assert "test-00001.arrow is not written yet" in capsys.readouterr().err
    assert not (plan.parent.parent / "manifest.json").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "no shard given"),
        (["--task", "7"], "has tasks 0 to 6, but 7 was given"),
        (["--task", "-1"], "has tasks 0 to 6"),
    ],
)
def test_an_invalid_task_is_refused(
    tiny_raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    plan, _ = plan_tiny(tiny_raw, tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["--config", str(plan), *arguments])
    assert sentence in capsys.readouterr().err


def test_a_missing_plan_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--config", str(tmp_path / "plan.json"), "--merge"])
    assert f"{tmp_path / 'plan.json'} is missing" in capsys.readouterr().err
