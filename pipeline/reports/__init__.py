"""Reports: one per table and figure of the papers, made from finished runs."""
