"""Opens a prepared data set and yields batches from it."""
