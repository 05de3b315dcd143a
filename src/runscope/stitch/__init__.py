"""Which run continues which, from what step, and what was thrown away."""
