"""Several hosts, one program: each host's part of a batch, and global arrays of all parts."""

import contextlib
import dataclasses
import pathlib
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from fashion_jax.config import ConfigError
from fashion_jax.errors import FashionJaxError
from fashion_jax.locks import sole_writer
from fashion_jax.parallel.mesh import batch_sharding


@dataclasses.dataclass(frozen=True)
class Host:
    """A host among those of the job.

    Attributes:
        index: number of the host, from 0.
        count: number of hosts.
    """

    index: int = 0
    count: int = 1

    def part(self, batch_size: int) -> slice:
        """Return this host's slots of a global batch.

        Raises:
            FashionJaxError: for a batch that the hosts cannot divide evenly.
        """
        if batch_size % self.count:
            raise FashionJaxError(
                f"a batch of {batch_size} photos cannot be divided among {self.count} hosts; "
                f"make it a multiple of {self.count}, such as {_nearest(batch_size, self.count)}"
            )
        size = batch_size // self.count
        return slice(self.index * size, (self.index + 1) * size)


def this_host() -> Host:
    """Return the host of this process."""
    return Host(jax.process_index(), jax.process_count())


def sole_job(path: pathlib.Path, doing: str) -> contextlib.AbstractContextManager[None]:
    """Hold a lock for all processes of this job: the first one takes it; see `sole_writer`."""
    if jax.process_index() > 0:
        return contextlib.nullcontext()
    return sole_writer(path, doing)


def check_batch_size(batch_size: int, mesh: Mesh, what: str) -> None:
    """Refuse a batch that the mesh cannot divide evenly.

    Args:
        batch_size: number of photos in the global batch.
        mesh: mesh whose data axis divides it.
        what: field or flag that sets the batch size, for the message.

    Raises:
        ConfigError: naming `what`.
    """
    devices = mesh.shape["data"]
    if batch_size % devices:
        raise ConfigError(
            f"{what} is {batch_size}, which the {devices} devices of the mesh's data axis "
            f"cannot divide evenly; make it a multiple of {devices}, such as "
            f"{_nearest(batch_size, devices)}, or set mesh.data"
        )


def global_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, Any]:
    """Join the parts that the hosts have read into arrays sharded over the mesh's data axis."""
    sharding = batch_sharding(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, part) for name, part in batch.items()
    }


def _nearest(size: int, divisor: int) -> str:
    """The nearest multiples of a divisor, in words."""
    below = size // divisor * divisor
    return f"{below} or {below + divisor}" if below else str(divisor)
