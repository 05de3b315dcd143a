"""What there is to draw, as plain data: charts, curves, marks."""
