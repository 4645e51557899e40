"""``launch/sweep.py`` with recipes for faults: ``python -m tests.faults.recipes --recipe faults ...``."""

from __future__ import annotations

import sys

from launch import recipes
from launch.sweep import main
from tests.faults.runs import alike, impatient, run

recipes.RECIPES["faults"] = recipes.Recipe("one run", lambda: [run()])
recipes.RECIPES["faults-alike"] = recipes.Recipe("two runs that are trained alike", alike)
recipes.RECIPES["faults-impatient"] = recipes.Recipe("one run that waits for no rank", lambda: [impatient()])
recipes.RECIPES["faults-seeds"] = recipes.Recipe(
    "the run from eight seeds", lambda: [run(s) for s in range(8)]
)

if __name__ == "__main__":
    main(sys.argv[1:])
