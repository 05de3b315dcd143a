"""Results that other tools computed, one number for each example and checkpoint."""
