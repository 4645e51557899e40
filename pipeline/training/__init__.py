"""The training loop and what keeps it whole: checkpoints, interruption. It does not know which model it trains."""
