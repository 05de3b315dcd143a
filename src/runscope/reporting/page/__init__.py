"""Pages, pictures and notebooks."""
