"""The training loop and what keeps it whole: ranks, checkpoints, interruption. It does not know which model it trains."""
