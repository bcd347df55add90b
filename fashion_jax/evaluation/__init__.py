"""Evaluation of a model on a dataset: embedded test splits, refinements, results."""
