"""Reference, factors and ids of a batch: correct for every loader and rank, and read only on demand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_prep.drawing.faces.expression import is_neutral
from data_prep.errors import DataSetError
from data_prep.sources import source_named
from data_prep.sources.options import Option
from data_prep.stages import prepare
from pipeline.data import dataset
from pipeline.data.batch import Batch
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.data.loaders import LoaderName
from pipeline.world import World
from tests.pipeline.data.colour_rows import ROWS, ColourRows, prepare_colour_rows
from tests.pipeline.runs import small_run, with_loader

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[3]
TRUTH = ColourRows().rows("train", 0, ROWS["train"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_colour_rows(tmp_path_factory.mktemp("colour"), "arrow")


@pytest.fixture(scope="module")
def with_ffcv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("ffcv", reason="FFCV is not installed", exc_type=ImportError)
    return prepare_colour_rows(tmp_path_factory.mktemp("colour"), "both")


def examples_of(folder: Path, loader: LoaderName, rank: int = 0, ranks: int = 1) -> TrainingExamples:
    world = World(rank=rank, size=ranks, device=CPU)
    return TrainingExamples(with_loader(small_run(folder, rate=0.5), loader), DataSet(folder), world)


def assert_columns_are_those_of_the_rows(folder: Path, loader: LoaderName) -> None:
    seen: list[str] = []
    for rank in range(2):
        examples = examples_of(folder, loader, rank, 2)
        for batch, _ in examples.epoch(1):
            rows = [int(name.removeprefix("train-")) for name in batch.ids]
            assert torch.equal(batch.image, torch.from_numpy(TRUTH.image[rows]))
            assert torch.equal(batch.reference, torch.from_numpy(TRUTH.reference[rows]))
            assert torch.equal(batch.factors, torch.from_numpy(TRUTH.factors[rows]))
            seen += batch.ids
        examples.close()
    assert sorted(seen) == sorted(TRUTH.ids)


@pytest.mark.parametrize("loader", ["resident", "arrow"])
def test_further_columns_of_a_batch_are_those_of_its_rows(folder: Path, loader: LoaderName) -> None:
    assert_columns_are_those_of_the_rows(folder, loader)


@pytest.mark.ffcv
def test_further_columns_are_those_of_the_rows_that_ffcv_reads(with_ffcv: Path) -> None:
    assert_columns_are_those_of_the_rows(with_ffcv, "ffcv")


def test_nothing_is_read_before_its_first_use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    column = DataSet.column

    def noticed(self: DataSet, split: str, name: Any) -> Any:
        read.append(name)
        return column(self, split, name)

    monkeypatch.setattr(dataset.DataSet, "column", noticed)
    monkeypatch.setattr(dataset.DataSet, "ids", lambda *_: read.append("ids"))
    examples = examples_of(folder, "resident")
    batches = [batch for epoch in range(2) for batch, _ in examples.epoch(epoch)]
    assert all(len(repr(batch)) and len(batch) for batch in batches)
    assert read == []
    for batch in batches:
        assert batch.factors.shape == (len(batch), 2)
    assert read == ["factors"]  # once for all batches


def test_a_column_of_one_shard_is_mapped_and_read_only(folder: Path) -> None:
    data = DataSet(folder)
    for name in ("reference", "factors"):
        found = data.column("test", name)
        assert not found.flags.owndata
        assert not found.flags.writeable
        whole = data.column("train", name)
        np.testing.assert_array_equal(whole, getattr(TRUTH, name))
    assert data.ids("train").to_pylist() == list(TRUTH.ids)


def test_a_data_set_without_factors_has_none(tiny_data_set: Path) -> None:
    batch = examples_of(tiny_data_set, "resident").first()
    assert batch.factors.shape == (len(batch), 0)
    assert not batch.reference.any()


COMPILED = """
import sys
from pathlib import Path
import torch
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.world import World
from tests.pipeline.runs import small_run

folder = Path(sys.argv[1])
examples = TrainingExamples(small_run(folder), DataSet(folder), World(rank=0, size=1, device=torch.device("cpu")))
compiled = torch.compile(lambda batch: batch.factors.sum(1) + batch.reference)
for batch, _ in examples.epoch(0):
    assert torch.equal(compiled(batch), batch.factors.sum(1) + batch.reference)
"""


@pytest.mark.slow(20)
def test_a_compiled_model_reads_the_columns_of_its_rows(folder: Path) -> None:
    # In a process without the run-time checks of shapes, which cannot be compiled.
    subprocess.run([sys.executable, "-c", COMPILED, str(folder)], check=True, cwd=ROOT)


def test_regions_of_a_batch_are_those_of_its_rows_and_neutral_faces_the_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    options: dict[str, Option] = {"count": 20, "reference": "neutral"}
    drawn = prepare("drawn_faces", root=tmp_path, workers=1, formats="arrow", progress=False, options=options)
    examples = examples_of(drawn, "resident")
    regions, ids = DataSet(drawn).column("train", "regions"), DataSet(drawn).ids("train").to_pylist()
    assert regions.shape == (16, 18, 4)
    for batch, _ in examples.epoch(0):
        expected = regions[[ids.index(name) for name in batch.ids]]
        assert torch.equal(batch.regions, torch.from_numpy(expected))
    data = DataSet(drawn)
    factors, reference = data.column("train", "factors"), data.column("train", "reference")
    named = [dict(zip(data.manifest.factors, values.tolist(), strict=True)) for values in factors]
    assert reference.tolist() == [is_neutral(face) for face in named]
    assert 0 < reference.sum() < len(reference) / 2
    assert (
        "reference" not in source_named("drawn_faces", None, {}).options
    )  # data sets from before it are the same


@pytest.mark.parametrize(
    ("name", "value"), [("smile", 0.8), ("mouth_opening", 0.3), ("brow_slope", 1.5), ("eye_opening", 0.25)]
)
def test_a_neutral_face_has_neutral_mouth_brows_and_eyes(name: str, value: float) -> None:
    face = {"smile": 0.0, "mouth_opening": 0.0, "brow_slope": 0.3, "eye_opening": 0.38, "beard": 3.0}
    assert is_neutral(face)
    assert not is_neutral(face | {name: value})


def test_data_without_regions_say_so(tiny_data_set: Path) -> None:
    batch = examples_of(tiny_data_set, "resident").first()
    with pytest.raises(DataSetError, match="has no regions"):
        _ = batch.regions


def test_a_batch_that_was_not_read_from_shards_says_so() -> None:
    labels = torch.zeros(1, 1, dtype=torch.uint8)
    batch = Batch(
        image=torch.zeros(1, 1, 2, 2, dtype=torch.uint8), labels=labels, observed=labels.bool(), labelled=0
    )
    for name in ("reference", "factors", "regions", "ids"):
        with pytest.raises(LookupError, match="not read from shards"):
            getattr(batch, name)
