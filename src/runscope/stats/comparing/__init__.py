"""Checkpoints against each other over the same examples: bounds, paired tests, picking, racing."""
