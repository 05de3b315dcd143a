"""Findings and evaluated checkpoints become one calibrated answer and one recommendation."""
