"""Measurements of speed: ``python -m tests.benchmarks``. Nothing here asserts a time."""
