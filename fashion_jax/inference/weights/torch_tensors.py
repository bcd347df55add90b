"""Tensors and storages as the pickle of a PyTorch file describes them.

A description proves its bounds when it is made and cannot change afterwards.
"""

import dataclasses
import math
from typing import Any

import ml_dtypes
import numpy as np

from fashion_jax.inference.weights import WeightsError, shown

MOST_AXES = 32
LARGEST = 2**63 - 1  # of any size, stride or offset, and of a tensor's bytes
LONGEST_KEY = 255

STORAGES = {
    f"torch.{name}": np.dtype(dtype)
    for name, dtype in {
        "BFloat16Storage": ml_dtypes.bfloat16,
        "BoolStorage": np.bool_,
        "ByteStorage": np.uint8,
        "CharStorage": np.int8,
        "DoubleStorage": np.float64,
        "FloatStorage": np.float32,
        "HalfStorage": np.float16,
        "IntStorage": np.int32,
        "LongStorage": np.int64,
        "ShortStorage": np.int16,
    }.items()
}


@dataclasses.dataclass(frozen=True, slots=True)
class Storage:
    """A run of numbers in the file.

    Attributes:
        key: its name within the file.
        dtype: dtype of the numbers.
        size: number of elements.
    """

    key: str
    dtype: np.dtype
    size: int

    def __post_init__(self) -> None:
        """Refuse a key or a size that no storage has."""
        if type(self.key) is not str or len(self.key) > LONGEST_KEY:
            raise WeightsError(f"a storage has the key {shown(self.key)}")
        if type(self.size) is not int or not 0 <= self.size <= LARGEST:
            raise WeightsError(f"storage {shown(self.key)} has the size {shown(self.size)}")


@dataclasses.dataclass(frozen=True, slots=True)
class TensorView:
    """A view of a storage; offset and strides count numbers.

    Attributes:
        storage: the storage.
        offset: index of the first number.
        shape: size of each axis.
        strides: distance between neighbours along each axis; 0 repeats the same numbers.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        """Prove that every number lies inside the storage."""
        if not isinstance(self.storage, Storage):
            raise WeightsError("a tensor's description is malformed: it has no storage")
        if type(self.shape) is not tuple or type(self.strides) is not tuple:
            raise WeightsError("a tensor's description is malformed: its shape is not a tuple")
        if len(self.shape) != len(self.strides) or len(self.shape) > MOST_AXES:
            raise WeightsError(
                f"a tensor has {len(self.shape)} axes and {len(self.strides)} strides; "
                f"at most {MOST_AXES} are read"
            )
        numbers = (self.offset, *self.shape, *self.strides)
        if not all(type(number) is int for number in numbers):
            raise WeightsError("a tensor's description is malformed: a size is not an integer")
        if not all(0 <= number <= LARGEST for number in numbers):
            raise WeightsError("a tensor has a negative or huge size, offset or strides")
        self._require_bounds()

    def _require_bounds(self) -> None:
        last = self.offset + sum(
            (size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)
        )
        beyond = last >= self.storage.size if self.size else self.offset > self.storage.size
        extent = math.prod(max(size, 1) for size in self.shape)
        if beyond or extent * self.storage.dtype.itemsize > LARGEST:
            raise WeightsError(
                f"a tensor of shape {self.shape}, strides {self.strides} and offset "
                f"{self.offset} reaches beyond its storage of {self.storage.size} numbers"
            )

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of a copy of the tensor."""
        return self.size * self.storage.dtype.itemsize

    def read(self, data: bytes) -> np.ndarray:
        """Return the tensor as a view of its storage's bytes, which NumPy checks again."""
        dtype = self.storage.dtype
        if len(data) != self.storage.size * dtype.itemsize:
            raise WeightsError(
                f"storage {shown(self.storage.key)} holds {len(data)} bytes, "
                f"not {self.storage.size} x {dtype.itemsize}"
            )
        strides = [
            stride * dtype.itemsize if size > 1 else 0  # of one number, any stride is legal
            for size, stride in zip(self.shape, self.strides, strict=True)
        ]
        if self.size == 0:
            return np.empty(self.shape, dtype)
        return np.ndarray(self.shape, dtype, data, self.offset * dtype.itemsize, strides)


def rebuild_tensor(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    requires_grad: Any = None,
    hooks: Any = None,
    metadata: Any = None,
) -> TensorView:
    """Stand in for PyTorch's functions of this name.

    Args:
        storage: see `TensorView`.
        offset: see `TensorView`.
        shape: see `TensorView`.
        strides: see `TensorView`.
        requires_grad: ignored.
        hooks: ignored.
        metadata: says that the numbers are to be negated or conjugated.

    Raises:
        WeightsError: for a malformed description, or a negated or conjugated view.
    """
    del requires_grad, hooks
    if metadata is not None and metadata != {}:
        raise WeightsError(
            "a tensor is a negated or conjugated view of its storage; save tensor.resolve_neg()"
        )
    return TensorView(storage, offset, shape, strides)


def rebuild_parameter(tensor: Any, *_: Any) -> TensorView:
    """Stand in for PyTorch's function of this name: a parameter is its tensor."""
    if not isinstance(tensor, TensorView):
        raise WeightsError("a parameter's description is malformed: it has no tensor")
    return tensor


def rebuild_size(numbers: Any) -> tuple[Any, ...]:
    """Stand in for `torch.Size`, a tuple."""
    if type(numbers) is not tuple:
        raise WeightsError("a tensor's shape is malformed")
    return numbers
