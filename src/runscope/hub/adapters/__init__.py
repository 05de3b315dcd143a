"""Adapters: what they are, and the norms of their matrices."""
