"""Many runs at once: found, joined, judged, counted and remembered."""
