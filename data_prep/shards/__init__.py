"""Formats of shards: Arrow IPC always, FFCV's .beton where FFCV is installed."""
