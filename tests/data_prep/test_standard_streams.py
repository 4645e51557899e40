"""Programs that are started without standard output, and the numbers of things in what they print."""

from __future__ import annotations

import os
import sys

import pytest

from data_prep.counted import counted
from data_prep.errors import RawDataError, report_user_errors


def test_without_standard_streams_a_program_prints_into_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    kept = os.dup(0)
    os.close(0)
    try:
        with report_user_errors():
            print("to nobody")
            assert not sys.stdout.isatty()
        assert os.path.samestat(os.fstat(0), os.stat(os.devnull)), "no file may get the number of stdin"
    finally:
        os.dup2(kept, 0)
        os.close(kept)
    sys.stdout.close()
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(SystemExit) as end, report_user_errors():
        raise RawDataError("nobody reads this")
    assert end.value.code == 2
    sys.stderr.close()
    assert capsys.readouterr() == ("", "")


def test_one_is_singular() -> None:
    said = [counted(number, "cell") for number in (0, 1, 2, 1000)]
    assert said == ["0 cells", "1 cell", "2 cells", "1,000 cells"]
    assert counted(1, "job that runs", "jobs that run") == "1 job that runs"
    assert counted(2, "job that runs", "jobs that run") == "2 jobs that run"
