"""The level of a noisy curve: the local level, filters, and how a curve goes on across a join."""
