"""Pictures of the user's own: what a folder and its table hold is found out, said, and turned into labels."""
