"""The order of names by their hashes, which decides splits and choices and so must never change."""

from __future__ import annotations

import numpy as np

from data_prep.hash_order import hash64, hash_order, hashes64


def test_hashes_are_those_that_published_data_sets_were_made_with() -> None:
    assert f"{hash64(b'000001.jpg'):016x}" == "aedfdc635e4c87f1"


def test_the_order_depends_on_the_names_and_equal_ones_keep_theirs() -> None:
    names = [f"{number:06d}.jpg".encode() for number in range(200)]
    order = hash_order(names)
    assert sorted(order.tolist()) == list(range(200))
    hashes = [hash64(names[position]) for position in order]
    assert hashes == sorted(hashes)
    backwards = hash_order(names[::-1])
    np.testing.assert_array_equal(199 - backwards, order)
    assert hash_order([b"a", b"a", b"a"]).tolist() == [0, 1, 2]
    assert hash_order([]).tolist() == []


def test_hashes_of_many_texts_are_those_of_each() -> None:
    names = [f"{number:06}.jpg".encode() for number in range(300)]
    assert hashes64(iter(names)).tolist() == [hash64(name) for name in names]
    assert hashes64([]).tolist() == []
