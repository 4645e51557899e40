"""From a trained model to numbers: one file per measure, each of which states the capabilities it needs."""
