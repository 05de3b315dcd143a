"""Who computes what: each result once, here or on many machines."""
