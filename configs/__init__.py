"""Experiments, one a file: `get_config()` returns a ConfigDict."""
