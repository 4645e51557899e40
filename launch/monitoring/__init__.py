"""Monitoring and managing a sweep: live table, status, logs, cancel, retry. Only retry imports torch."""
