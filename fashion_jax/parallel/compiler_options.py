"""How XLA compiles for CPUs what takes most of the time there."""

import functools

import jax
from jax.sharding import Mesh

# As of jaxlib 0.10 XLA's CPU backend hands convolutions, products and sums to YNNPACK, whose sums
# over a batch run on one core, and whose gradients of kernels are slow. oneDNN, which it also
# has, runs what PyTorch runs. docs/runs.md has the times.
_CPU: dict[str, bool | str] = {
    "xla_cpu_experimental_onednn_custom_call": True,
    "xla_cpu_experimental_ynn_fusion_type": "",
}


def compiler_options(mesh: Mesh) -> dict[str, bool | str] | None:
    """Returns the options to compile for the mesh with; `None` for XLA's own on accelerators."""
    if mesh.devices.flat[0].platform != "cpu" or not _known():
        return None
    return dict(_CPU)


@functools.cache
def _known() -> bool:
    """Whether this jaxlib has these options, which are experimental."""
    try:
        jax.jit(lambda: 0, compiler_options=_CPU).lower().compile()
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):
            raise
        return False
    return True
