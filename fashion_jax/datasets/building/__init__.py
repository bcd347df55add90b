"""Shared parts of dataset builders: lists, crops, counts, records, reports."""
