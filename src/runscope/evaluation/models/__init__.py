"""The models that are asked: loaded, and run."""
