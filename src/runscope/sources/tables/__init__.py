"""Tables of every kind: CSV, JSON lines, JSON, Parquet."""
