"""Errors that a user can act on."""


class FashionJaxError(Exception):
    """Says what was found, where, and what to do; commands print it without a traceback."""
