"""Market-1501 (Zheng et al. 2015)."""
