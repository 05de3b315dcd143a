"""Rules about what a resume did: each looks at every join of a line."""
