"""Tests in lanes side by side (``make test``): a pytest plugin, named in ``tests/conftest.py``.

All that needs a SLURM is one lane's, which has the one cluster of the session, and waits for it most of the time. The other
lane takes the rest test by test, the slow ones first, so that none of them is left over for the end. Without ``-n`` nothing
changes.
"""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in this hook, too
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        if needs_slurm(item):
            item.add_marker(pytest.mark.xdist_group("slurm"))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def needs_slurm(item: pytest.Item) -> bool:
    """Whether a test is marked so, or takes the cluster or what looks for it."""
    fixtures = getattr(item, "fixturenames", ())
    return item.get_closest_marker("slurm") is not None or "slurm_installed" in fixtures
