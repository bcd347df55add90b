"""The same or nearly the same photo under two names, two products or two splits."""
