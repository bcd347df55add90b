"""Templates, style and script of the search page."""
