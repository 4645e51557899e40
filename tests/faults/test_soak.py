"""What ``make soak`` samples and reports; each kind of fault has its own tests, and the soak is run by hand."""

from __future__ import annotations

import random

from tests.faults.injections import KINDS
from tests.faults.soak import Fault, Report, deck, table


def test_every_kind_occurs_before_one_is_repeated():
    drawn = deck(random.Random(30), 2 * len(KINDS))
    assert sorted(drawn[: len(KINDS)]) == sorted(drawn[len(KINDS) :]) == sorted(KINDS)
    assert deck(random.Random(30), 4) == drawn[:4]


def test_a_report_is_good_if_all_continued_and_no_cell_differs():
    fault = Fault(kind="preempted", moment_s=12.0, cell="soak/a", step=40, stood_still_s=7.5)
    lost = Fault(kind="rank killed", moment_s=30.0, cell="soak/b", step=90, stood_still_s=None)
    good = Report(seed=3, faults=[fault], cells=4, seconds=99.0)
    assert good.is_good
    assert "4 of 4 cells" in table(good)
    assert "7.5 s" in table(good)
    bad = Report(seed=3, faults=[fault, lost], cells=4, different={"soak/b": "step 100 is missing"})
    assert not bad.is_good
    assert "forever" in table(bad)
    assert "3 of 4 cells" in table(bad)
    assert "soak/b: step 100 is missing" in table(bad)
    assert not Report(seed=3, launcher_status=1).is_good
