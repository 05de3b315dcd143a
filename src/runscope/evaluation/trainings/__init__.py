"""Trainings beside one another: against an earlier good one, and groups of seeds."""
