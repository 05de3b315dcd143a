"""What checkpoints are evaluated on: rows read, and turned into tokens."""
