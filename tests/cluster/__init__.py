"""A real SLURM of several nodes on this one machine, for tests and for trying ``--cluster slurm`` on a laptop.

``python -m tests.cluster up`` for a person, the fixture ``slurm_cluster`` (``tests.cluster.fixture``) for tests.
Nothing of the system is used or touched: every daemon is our own, on loopback, with its state under one folder.
"""
