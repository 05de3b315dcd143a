"""Trackers that keep runs in a database or a folder of their own: MLflow, Trackio."""
