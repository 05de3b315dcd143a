"""What was logged, and what was not."""
