"""No two threads import MLflow at once."""

from __future__ import annotations

import threading
import time

from pipeline.importing_mlflow import importing_mlflow


def test_one_thread_waits_for_the_other() -> None:
    inside, seen = [0], []

    def one() -> None:
        with importing_mlflow():
            inside[0] += 1
            time.sleep(0.02)
            seen.append(inside[0])
            inside[0] -= 1

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1, 1, 1, 1]
