"""Terminals and Markdown."""
