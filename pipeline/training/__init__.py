"""The training loop, checkpoints and interruption, independent of the model."""
