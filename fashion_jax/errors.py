"""Errors that a user can act on."""


class FashionJaxError(Exception):
    """What was found, where, and what to do; the command line prints it without a traceback."""
