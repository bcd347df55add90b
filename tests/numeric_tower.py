"""A type checker for which `int` is a `float` (PEP 484, "the numeric tower")."""

from beartype import BeartypeConf, beartype

typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))
