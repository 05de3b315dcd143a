"""The verbs behind the public names."""
