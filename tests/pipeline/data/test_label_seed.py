"""Which examples keep their labels: one set of shards serves every label seed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep.shards.arrow import open_split
from data_prep.stages import prepare
from data_prep.supervision import supervision_rank
from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.world import World
from tests.data_prep.fixtures import TINY_ROWS_PER_SHARD
from tests.pipeline.data.colour_rows import prepare_colour_rows
from tests.pipeline.runs import small_run

CPU = torch.device("cpu")
SEEDS = range(4)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """A data set with several labels, whose ranks are not stratified."""
    return DataSet(prepare_colour_rows(tmp_path_factory.mktemp("colour"), "arrow"))


def seeded(data_set: Path, seed: int, label_seed: int | None, rate: float = 0.1) -> RunConfig:
    config = small_run(data_set, rate=rate)
    return replace(config, seed=seed, data=replace(config.data, label_seed=label_seed))


def labelled(config: RunConfig, epoch: int = 0, ranks: int = 1) -> set[bytes]:
    """The labelled images of an epoch, over all ranks."""
    data, found = DataSet(Path(config.data.folder)), set()
    for rank in range(ranks):
        examples = TrainingExamples(config, data, World(rank=rank, size=ranks, device=CPU))
        for batch, _ in examples.epoch(epoch):
            found |= {image.numpy().tobytes() for image in batch.image[: batch.labelled]}
        examples.close()
    return found


def test_the_seed_of_the_shards_gives_their_own_ranks_and_any_seed_what_preparing_with_it_gives(
    tiny_raw: Path, tiny_data_set: Path, tmp_path: Path
) -> None:
    stored = DataSet(tiny_data_set)
    for seed in SEEDS:
        other = DataSet(
            prepare(
                "idx_folder", raw=tiny_raw, root=tmp_path, workers=1, formats="arrow", seed=seed,
                rows_per_shard=TINY_ROWS_PER_SHARD, progress=False,
            )
        )  # fmt: skip
        for split in ("train", "test"):
            expected = other.columns(split).supervision_rank
            np.testing.assert_array_equal(stored.columns(split, seed).supervision_rank, expected)
            np.testing.assert_array_equal(other.columns(split, seed).supervision_rank, expected)
            own = stored.columns(split).supervision_rank
            np.testing.assert_array_equal(other.columns(split, 0).supervision_rank, own)
            assert np.array_equal(own, expected) == (seed == 0)


def test_several_labels_are_ranked_by_their_ids_alone(colours: DataSet) -> None:
    stored = colours.columns("train")
    np.testing.assert_array_equal(colours.columns("train", 0).supervision_rank, stored.supervision_rank)
    rank = colours.columns("train", 7).supervision_rank
    shards = open_split(colours.folder, colours.manifest, "train")
    ids = [name for shard in shards for name in shard.ids.to_pylist()]
    np.testing.assert_array_equal(rank, supervision_rank(ids, seed=7))
    assert not np.array_equal(rank, stored.supervision_rank)


def test_each_seed_is_fair_to_every_class_and_nested_over_the_rates(tiny_data_set: Path) -> None:
    data = DataSet(tiny_data_set)
    for seed in SEEDS:
        columns = data.columns("train", seed)
        masks = [columns.used_labels(rate)[:, 0] for rate in (0.05, 0.1, 0.5, 1.0)]
        for mask, per_class in zip(masks, (3, 6, 30, 60), strict=True):
            assert np.bincount(columns.labels[mask, 0], minlength=10).tolist() == [per_class] * 10
        for small, large in pairwise(masks):
            assert not (small & ~large).any()


def test_labels_vary_with_the_seed_of_the_run_or_with_their_own(tiny_data_set: Path) -> None:
    varying = [labelled(seeded(tiny_data_set, seed, None)) for seed in SEEDS]
    assert {len(images) for images in varying} == {60}
    assert len({frozenset(images) for images in varying}) == len(SEEDS)
    assert all(labelled(seeded(tiny_data_set, seed, 0)) == varying[0] for seed in SEEDS)
    assert [labelled(seeded(tiny_data_set, 0, seed)) for seed in SEEDS] == varying


def test_all_ranks_and_epochs_agree_on_the_labels_of_a_seed(tiny_data_set: Path) -> None:
    config = seeded(tiny_data_set, 0, 3)
    assert labelled(config, ranks=2) == labelled(config) == labelled(config, epoch=2)


def test_the_examples_that_a_model_keeps_follow_the_label_seed_where_labels_are_hidden(
    tiny_data_set: Path,
) -> None:
    def kept(rate: float, label_seed: int, *, one_per_class: bool = False) -> list[bytes]:
        config = seeded(tiny_data_set, 0, label_seed, rate)
        config = replace(config, data=replace(config.data, one_per_class=one_per_class))
        alone = World(rank=0, size=1, device=CPU)
        batch = TrainingExamples(config, DataSet(tiny_data_set), alone).of_each_class()
        return [image.numpy().tobytes() for image in batch.image]

    assert kept(0.1, 0) != kept(0.1, 1)
    assert kept(0.0, 1, one_per_class=True) == kept(0.1, 1)
    assert kept(1.0, 1) == kept(1.0, 0)
