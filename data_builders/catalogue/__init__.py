"""A team's own photos, listed in one CSV or Parquet file."""
