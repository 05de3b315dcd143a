"""What a checkpoint is asked, and how its answers are scored."""
