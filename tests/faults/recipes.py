"""``launch/sweep.py`` with recipes for faults: ``python -m tests.faults.recipes --recipe faults ...``."""

from __future__ import annotations

import gc
import sys

if __name__ == "__main__":
    gc.disable()  # while it imports: see data_prep.start_up

from data_prep.start_up import imports_are_done
from launch import recipes, start
from launch.sweep import main
from tests.faults.runs import alike, for_soak, impatient, packed, run

start.SECONDS_BETWEEN_POLLS["slurm"] = 1.0  # tests wait for what the launcher sees
recipes.RECIPES["faults"] = recipes.Recipe("one run", lambda: [run()])
recipes.RECIPES["faults-alike"] = recipes.Recipe("two runs that are trained alike", lambda: alike(run()))
recipes.RECIPES["faults-packed"] = recipes.Recipe("three runs of one rank that are trained alike", packed)
recipes.RECIPES["faults-impatient"] = recipes.Recipe("one run that waits for no rank", lambda: [impatient()])
recipes.RECIPES["faults-soak"] = recipes.Recipe("four runs of two seeds", for_soak)

if __name__ == "__main__":
    imports_are_done()
    main(sys.argv[1:])
