"""Pages that open from disk in a browser, each a single file; what runs in them is in ``explorer/``, plain JavaScript."""
