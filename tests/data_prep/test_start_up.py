from __future__ import annotations

import gc

import pytest

from data_prep.start_up import importing


def test_no_garbage_is_collected_while_something_is_imported():
    with importing():
        with importing():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_failed_import_leaves_the_collection_on():
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled()
