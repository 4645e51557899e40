"""What a person types: ``python launch/sweep.py``, ``debug.py``, ``prepare.py``, ``compare.py``."""
