"""Exact Street2Shop (Kiapour et al. 2015)."""
