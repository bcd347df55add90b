"""What a model is worth: exact metrics by named protocols, and the report."""
