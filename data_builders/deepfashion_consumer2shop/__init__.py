"""DeepFashion Consumer-to-Shop (Liu et al. 2016)."""
