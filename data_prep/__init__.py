"""Raw files → shards: the lowest floor; it imports from no other floor."""
