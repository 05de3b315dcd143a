"""What is said beside the verdict on the checkpoints: of the base, of averages, of what was forgotten or memorised."""
