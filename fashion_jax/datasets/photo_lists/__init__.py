"""Lists of photos, CSV or Parquet: one reader for every command that takes one."""
