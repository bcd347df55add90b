"""A trained model: its card, its weights, preprocessing and embedding."""
