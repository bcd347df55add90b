"""Experiments, one per file: `get_config()` returns a ConfigDict that depends on no default.

Installed as `fashion_jax.configs`; `recipes.py` has the published recipes that they start from.
"""
