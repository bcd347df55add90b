"""XLA's compiler options for training and embedding on CPUs."""

import functools

import jax
from jax.sharding import Mesh

# From jaxlib 0.10 on, XLA's CPU backend hands convolutions, products and sums to YNNPACK, whose
# sums over a batch run on one core, and whose gradients of kernels are several times slower than
# XLA's older ones. Without it a training step takes about half the time (docs/runs.md).
_CPU: dict[str, str] = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def compiler_options(mesh: Mesh) -> dict[str, str] | None:
    """Return the options to compile with for a mesh; `None` for XLA's own on accelerators."""
    if mesh.devices.flat[0].platform != "cpu":
        return None
    try:
        jax.jit(lambda: 0, compiler_options=_CPU).lower().compile()
    except jax.errors.JaxRuntimeError as error:  # the option is experimental
        if "No such compile option" not in str(error):
            raise
        return None
    return _CPU
