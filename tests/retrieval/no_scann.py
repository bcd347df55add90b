"""A machine without ScaNN."""

import builtins


def hide_scann(monkeypatch):
    """Make every import of ScaNN fail, as where it has no wheel."""
    real_import = builtins.__import__

    def no_scann(name, *args, **kwargs):
        if name.startswith("scann"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_scann)
