"""One file a place that runs come from."""
