"""Shards → model → measures: trains and measures one run, independently of how it was launched."""
