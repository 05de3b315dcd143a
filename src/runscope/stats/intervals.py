"""Intervals of an estimate whose error is normal."""

from __future__ import annotations

WIDE = 1.959963984540054
"""Standard errors to each side of a 95% interval: the normal distribution's 97.5% quantile."""
