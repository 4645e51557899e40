"""An ensemble of label readers: what each member reads, together and apart, and how well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from data_prep.errors import RunError
from pipeline.cells.folder import CellFolder
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.label_readers import LabelReaders, as_pixels, ensemble
from pipeline.measures.plan import needs_readers, planned
from pipeline.measures.settings import MeasuresConfig
from pipeline.models.interface import DataSpec
from pipeline.models.label_reader import LabelReaderConfig
from pipeline.trained_readers import load_readers

FULL = tuple(
    f"/runs/readers-faces-01234567/label_reader-faces-f1-seed{seed}-{seed}{seed:07d}" for seed in (1, 0)
)


@pytest.fixture
def readers(examples: MeasuredSplit) -> LabelReaders:
    torch.manual_seed(0)
    spec = DataSpec.of(examples.data.manifest)
    members = tuple(LabelReaderConfig(channels=4).build(spec).eval().requires_grad_(False) for _ in range(2))
    return LabelReaders(("one", "other"), members, 16)


def test_each_member_reads_as_it_classifies_in_batches_of_any_size(
    readers: LabelReaders, examples: MeasuredSplit
) -> None:
    image = examples.rows(0, 41)
    read = readers.log_probabilities(as_pixels(image))
    for number, member in enumerate(readers.members):
        for label, log_q in enumerate(member.classify(image)):
            assert read[label].shape[0] == 2
            torch.testing.assert_close(read[label][number], log_q)
    features = readers.features(as_pixels(image))
    assert features.shape == (2, 41, 16)
    again = readers.members[1].log_probabilities(features[1])
    torch.testing.assert_close(again[3], read[3][1])


def test_the_ensemble_is_the_mean_probability() -> None:
    first, second = torch.tensor([[0.2, 0.8]]), torch.tensor([[0.6, 0.4]])
    (together,) = ensemble([torch.stack([first, second]).log()])
    torch.testing.assert_close(together.exp(), torch.tensor([[0.4, 0.6]]))


def test_quality_is_the_members_mean_share_of_observed_labels(
    readers: LabelReaders, examples: MeasuredSplit
) -> None:
    known = examples.known_labels(0, len(examples))
    right = [
        (log_q.argmax(1) == known.labels[:, label])[known.observed[:, label]]
        for member in readers.members
        for label, log_q in enumerate(member.classify(examples.rows(0, len(examples))))
    ]
    assert readers.quality(examples) == pytest.approx(float(torch.cat(right).float().mean()))
    readers.members[0].head.bias.fill_(torch.nan)  # computed once
    assert readers.quality(examples) == readers.quality(examples)


def test_a_reader_that_is_not_trained_is_named(tmp_path: Path, examples: MeasuredSplit) -> None:
    folder = tmp_path / "label_reader-faces-f1-seed0-01234567"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model": {"system": "label_reader"}}))
    with pytest.raises(RunError, match=r"label_reader-faces-f1-seed0-01234567 is not trained yet"):
        load_readers([str(folder)], examples)
    CellFolder(folder).mark_trained()
    with pytest.raises(Exception, match="data set"):  # its own is not named
        load_readers([str(folder)], examples)


def test_the_key_of_a_result_has_the_readers_it_rests_on() -> None:
    measures = MeasuresConfig(take=("classification", "generation_accuracy"), readers=FULL)
    plain, judged = planned(measures)
    assert needs_readers(measures)
    assert not needs_readers(MeasuresConfig(take=("classification",), readers=FULL))
    assert plain.key.rests_on == {}
    assert judged.key.rests_on == {"label_readers": "00000000+10000001"}
    keys = {
        planned(MeasuresConfig(take=("generation_accuracy",), readers=readers))[0].key.digest
        for readers in ((), FULL, FULL[:1], FULL[::-1])
    }
    assert len(keys) == 3  # none, both in any order, one
