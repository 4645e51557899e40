"""A sweep on a SLURM cluster: planned as chained arrays, registered, submitted once, and monitored."""
