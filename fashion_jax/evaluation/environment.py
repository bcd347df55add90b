"""Date, devices and versions of an evaluation, for its page."""

import datetime
import platform

import flax
import jax


def environment(seconds: float) -> dict[str, object]:
    """Return date, duration, devices and versions, by their names on a page.

    Args:
        seconds: duration of the evaluation.
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
