"""DeepFashion In-Shop Clothes Retrieval (Liu et al. 2016)."""
