"""Lets a process on a CPU keep the memory that each step needs again.

XLA's CPU backend allocates a program's temporary memory at every call. Blocks that large
come straight from the operating system and go straight back, so that every page of gigabytes is
mapped and zeroed in every training step: a third of the step's time.
"""

import ctypes
import glob
import os
import sys

# Of glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
M_ARENA_MAX = -8


# Of NVIDIA GPUs, of TPUs (two generations of drivers) and of AMD GPUs.
ACCELERATORS = ("/dev/nvidia[0-9]*", "/dev/accel*", "/dev/vfio/[0-9]*", "/dev/kfd")


def keep_freed_memory() -> bool:
    """Tells glibc to keep freed memory for the next allocation instead of unmapping it.

    The process never shrinks after that; a training run wants that. With an accelerator, nothing
    happens: on a GPU (H200, 16 cores), the demo's step was not compiled after 90 seconds with these
    settings, and was within 35 without them.

    Returns:
        Whether it worked: it does on Linux with glibc.
    """
    if sys.platform != "linux" or not computes_on_cpu():
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_ARENA_MAX, 1))
    return all(mallopt(name, value) == 1 for name, value in settings)


def computes_on_cpu() -> bool:
    """Tell whether JAX will compute on the CPU, without starting it.

    `JAX_PLATFORMS` decides if it is set; otherwise whether the machine has an accelerator.
    """
    platforms = os.environ.get("JAX_PLATFORMS")
    return platforms == "cpu" if platforms else not any(map(glob.glob, ACCELERATORS))
