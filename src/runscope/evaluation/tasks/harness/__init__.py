"""Tasks of lm-evaluation-harness by name, their results under our statistics."""
