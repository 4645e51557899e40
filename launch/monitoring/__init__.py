"""Looking at a sweep, and seeing after it: live table, status, logs, cancel, retry. Only retry imports torch."""
