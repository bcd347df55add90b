"""A trained model at work: catalogues of a gallery, and searches with photos."""
