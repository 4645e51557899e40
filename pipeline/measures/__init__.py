"""From a trained model to numbers: one file per measure; each asks for the capability it needs."""
