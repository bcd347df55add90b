"""Drawn garments in shop and street photos: a dataset that needs no download."""
