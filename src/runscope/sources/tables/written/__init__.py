"""Tables as text: separators, header lines, numbers and layouts as people and programs write them."""
