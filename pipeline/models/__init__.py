"""From raw pixels of a batch to the objective: one file per system."""
