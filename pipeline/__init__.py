"""Shards → model → measures: knows how to train and measure one run, and nothing of how it was launched."""
