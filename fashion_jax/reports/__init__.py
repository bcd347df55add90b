"""Pages and pictures, made from plain results."""
