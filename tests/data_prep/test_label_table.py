"""The label table: counts over several shards equal those of a loop over the rows, with partly observed labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep.contact_sheet import write_contact_sheet
from data_prep.label_table import LabelTable, count_labels, values_of
from data_prep.manifest import LabelSpec, Manifest
from data_prep.shards.arrow import open_split
from data_prep.stages import prepare
from launch.prepare import main
from tests.data_prep.sources.raw_pictures import write_celeba, write_chexpert


@pytest.fixture(scope="module")
def hair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hair")
    raw = write_celeba(folder / "raw", 60)
    return prepare(
        "celeba_hair", raw=raw, root=folder, workers=1, formats="arrow", rows_per_shard=11, progress=False
    )


def test_binary_labels_have_one_line_and_others_one_per_value() -> None:
    labels = (LabelSpec("a", 2, ("no", "yes")), LabelSpec("b", 3, ("x", "y", "z")))
    assert [(v.label, v.value, v.name) for v in values_of(labels)] == [
        (0, 1, "a"), (1, 0, "b: x"), (1, 1, "b: y"), (1, 2, "b: z"),
    ]  # fmt: skip


def test_counts_are_those_of_a_loop_over_the_rows(hair: Path) -> None:
    manifest = Manifest.load(hair)
    counts = count_labels(hair, manifest, "train")
    shards = open_split(hair, manifest, "train")
    assert len(shards) > 2
    rows = [(s.labels[i], s.observed[i]) for s in shards for i in range(len(s))]
    assert counts.known.tolist() == [sum(int(observed[k]) for _, observed in rows) for k in range(16)]
    assert counts.known[0] < len(rows)
    for i, one in enumerate(counts.values):
        for j, other in enumerate(counts.values):
            has = [(labels, o) for labels, o in rows if o[one.label] and labels[one.label] == one.value]
            others = [labels for labels, observed in has if observed[other.label]]
            both = sum(labels[other.label] == other.value for labels in others)
            assert counts.shown[i, j] == both
            assert counts.known_both[i, j] == len(others)
            if others:
                assert counts.together()[i, j] == pytest.approx(both / len(others))


def test_shares_agree_with_the_manifest(hair: Path) -> None:
    manifest = Manifest.load(hair)
    for name, split in manifest.splits.items():
        counts = count_labels(hair, manifest, name)
        for i, value in enumerate(counts.values):
            share = counts.shown[i, i] / max(counts.known[value.label], 1)
            assert split.label_frequencies[value.label][value.value] == pytest.approx(share)


def test_a_value_without_rows_gives_no_division_by_zero() -> None:
    zeros = np.zeros((2, 2), dtype=np.int64)
    values = values_of((LabelSpec("a", 2, ("no", "yes")), LabelSpec("b", 2, ("no", "yes"))))
    assert np.isnan(LabelTable(values, np.zeros(2, dtype=np.int64), zeros, zeros).together()).all()


def test_inspect_shows_frequencies_co_occurrences_and_the_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = prepare(
        "chexpert",
        raw=write_chexpert(tmp_path / "raw"),
        root=tmp_path,
        workers=1,
        formats="arrow",
        progress=False,
    )
    capsys.readouterr()
    main(["inspect", str(folder)])
    message = capsys.readouterr().out
    for part in (
        "Pleural Effusion",
        "known",
        "f=0.06",
        "official_valid",
        "row's label",
        "contact sheet: ",
    ):
        assert part in message
    assert folder.with_name(f"{folder.name}.png").is_file()


def test_every_split_gets_a_contact_sheet(hair: Path, tmp_path: Path) -> None:
    manifest = Manifest.load(hair)
    for split in manifest.splits:
        write_contact_sheet(hair, tmp_path / f"{split}.png", split)
        assert (tmp_path / f"{split}.png").stat().st_size > 1000
