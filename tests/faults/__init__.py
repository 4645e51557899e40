"""Faults done to real runs on a real SLURM, and the proof that they change nothing of what a run leaves."""
