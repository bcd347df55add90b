"""Whole runs joined together: train, evaluate, compare, report."""
