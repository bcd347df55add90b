"""DeepFashion2 (Ge et al. 2019)."""
