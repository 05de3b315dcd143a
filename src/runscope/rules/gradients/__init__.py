"""Gradients that vanish, explode, or are not numbers."""
