"""Logs as documents: JSON in its shapes, what Python prints, notebooks and model cards."""
