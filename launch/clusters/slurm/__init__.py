"""A sweep on a SLURM cluster: planned as chained arrays, registered, submitted once, and looked at."""

from launch.clusters.slurm_old import SlurmBackend

__all__ = ["SlurmBackend"]
