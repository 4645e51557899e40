"""What a launcher reads of a cell: its folder, its lease, its checkpoints. Nothing here imports torch."""
