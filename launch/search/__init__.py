"""``sweep.py --search``: trials of fields' values, suggested by Optuna; each trial is a cell of the sweep."""
