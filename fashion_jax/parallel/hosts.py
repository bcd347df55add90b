"""Several hosts, one program: who reads what, and how parts become global arrays."""

import dataclasses
import os
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from fashion_jax.errors import FashionJaxError
from fashion_jax.parallel.mesh import batch_sharding


@dataclasses.dataclass(frozen=True)
class Host:
    """This host's number and how many there are."""

    index: int = 0
    count: int = 1

    def part(self, batch_size: int) -> slice:
        """This host's slots of a global batch.

        Raises:
            FashionJaxError: if the batch cannot be divided among the hosts.
        """
        if batch_size % self.count:
            raise FashionJaxError(
                f"a batch of {batch_size} photos cannot be divided among {self.count} hosts"
            )
        size = batch_size // self.count
        return slice(self.index * size, (self.index + 1) * size)


def this_host() -> Host:
    """This process's number among the processes of the job."""
    return Host(jax.process_index(), jax.process_count())


def check_batch_size(batch_size: int, mesh: Mesh, what: str) -> None:
    """Refuses a batch that the mesh cannot divide evenly.

    Raises:
        FashionJaxError: naming `what` has to change.
    """
    devices = mesh.shape["data"]
    if batch_size % devices:
        raise FashionJaxError(
            f"{what} is {batch_size}, which the {devices} devices of the mesh's data axis "
            f"cannot divide evenly; make it a multiple of {devices} or set mesh.data"
        )


def global_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, Any]:
    """Joins the parts that the hosts have read into arrays divided over the mesh's data axis."""
    sharding = batch_sharding(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, part) for name, part in batch.items()
    }


def join_job() -> None:
    """Joins the other hosts of the job, where the environment names any (a TPU pod, SLURM, ...).

    `JAX_COORDINATOR_ADDRESS`, `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID` join processes by hand.
    """
    if os.environ.get("JAX_COORDINATOR_ADDRESS"):
        jax.distributed.initialize(
            num_processes=int(os.environ["JAX_NUM_PROCESSES"]),
            process_id=int(os.environ["JAX_PROCESS_ID"]),
        )
    elif "TPU_WORKER_HOSTNAMES" in os.environ and "," in os.environ["TPU_WORKER_HOSTNAMES"]:
        jax.distributed.initialize()
