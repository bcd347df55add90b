"""Errors that a user can act on."""


class FashionJaxError(Exception):
    """An error that says what is wrong, where, and what to do; printed without a traceback."""
