"""The saved checkpoints: which, how often, and whether they hold what they should."""
