"""Pure functions on arrays: smoothing, trend, change point, paired tests, intervals, racing."""
