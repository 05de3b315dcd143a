"""Commits, checkpoints, adapters: which commit is which step, what is in it, which run it belongs to."""
