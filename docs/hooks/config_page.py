"""The page of all config fields: `fashion_jax.config.reference`, with links to the guides."""

from fashion_jax.config import reference

_HEAD = """\
# Config fields

Every field of an experiment. Set a field in a config file (`config.training.epochs = 3`) or on the
command line (`--config.training.epochs=3`). The message about a wrong name or value lists the
allowed ones. [Write a config](../configs.md) shows how. A run's `config.json` holds all of them.
"""


def config_page() -> str:
    """Return the page in Markdown: one table per section."""
    return _HEAD + reference.page().removeprefix("# Config fields\n")
