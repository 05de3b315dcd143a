"""Clones and bundles on this disk, read without obeying them."""
