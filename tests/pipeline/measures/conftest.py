from __future__ import annotations

import pytest
import torch

from pipeline.data.dataset import DataSet
from pipeline.measures.examples import MeasuredSplit
from tests.pipeline.data.colour_rows import prepare_colour_rows


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> MeasuredSplit:
    """41 colour images with three binary labels and one of five values, read 16 at a time."""
    data = DataSet(prepare_colour_rows(tmp_path_factory.mktemp("colour"), "arrow"))
    return MeasuredSplit(data, "test", torch.device("cpu"), 16)
