"""Where and when an evaluation was made, for the pages that show it."""

import datetime
import platform

import flax
import jax


def environment(seconds: float) -> dict[str, object]:
    """Date, devices and versions, by what they are called on a page.

    Args:
        seconds: that the evaluation took.
    """
    devices = jax.devices()
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "evaluation took": f"{seconds:.1f} s",
        "devices": f"{len(devices)} × {devices[0].device_kind}",
        "python": platform.python_version(),
        "jax": jax.__version__,
        "flax": flax.__version__,
    }
