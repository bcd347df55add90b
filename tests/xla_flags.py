"""XLA's flags for tests."""

from importlib import metadata


def xla_flags(devices: int) -> str:
    """Virtual CPU devices, and programs that compile in a third of the time.

    Most programs of the tests run once or twice, which does not repay optimising them. Programs
    as users have them are what `nox -s wheel` and `make demo` run.
    """
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    major, minor = map(int, metadata.version("jaxlib").split(".")[:2])
    # Newer ones, where it was not tried or is unknown, end at once for a flag that they lack.
    return flags + " --xla_cpu_use_fusion_emitters=false" * ((major, minor) < (0, 11))
