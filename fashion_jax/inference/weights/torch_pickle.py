"""The pickle of a PyTorch file, read without Python's unpickler.

`pickletools` takes the pickle apart. Opcodes that describe tensors and plain values act on a stack
here; all others are refused. No opcode sets attributes or calls anything but stand-ins, and none
costs more than its own bytes: values that could contain themselves are never copied, hashed,
compared or shown.
"""

import io
import pickletools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from fashion_jax.inference.weights import WeightsError, shown
from fashion_jax.inference.weights.torch_tensors import (
    STORAGES,
    Storage,
    rebuild_parameter,
    rebuild_size,
    rebuild_tensor,
)

MOST_OPCODES = 2**20  # a tensor takes about 40
MOST_ARGUMENTS = 16
MOST_BITS = 256  # of an integer; the state of NumPy's generator has 128
LARGEST_KEY = 2**60  # larger integers can be chosen to collide in a dict

SAVE_ALONE = (
    "where you trust the file, save the weights alone with PyTorch: "
    "torch.save(model.state_dict(), 'weights.pth')"
)


class Pickled(NamedTuple):
    """Content of a pickle.

    Attributes:
        value: its value, with `TensorView` for tensors.
        storages: storages that it refers to, by key.
    """

    value: Any
    storages: dict[str, Storage]


def read_pickle(file: io.BytesIO) -> Pickled:
    """Read the pickle that begins at the file's position, and move behind it.

    Args:
        file: file in memory, whose size bounds every text.

    Raises:
        WeightsError: for a malformed pickle, or one that holds more than tensors and plain values.
    """
    stack, place = _Stack(), 0
    try:
        for opcode, argument, position in pickletools.genops(file):
            place = position or 0
            stack.spend(1)
            if opcode.name == "STOP":
                break
            if opcode.name not in _STEPS:
                raise WeightsError(
                    f"its pickle has the opcode {opcode.name} at byte {place}, which is not part "
                    f"of a tensor; nothing was run: {SAVE_ALONE}"
                )
            _STEPS[opcode.name](stack, argument)
        return Pickled(stack.values.pop(), stack.storages)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise WeightsError(
            f"its pickle is malformed at byte {place}: {shown(str(error))}"
        ) from error


class _Name(NamedTuple):
    """A name of Python that is part of a tensor."""

    full: str


class _Stack:
    """Values between the last mark and the top, and below them those of earlier marks."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}  # a dict: an index may be any number
        self.storages: dict[str, Storage] = {}
        self.left = MOST_OPCODES

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise WeightsError(f"its pickle has more than {MOST_OPCODES:,} opcodes: {SAVE_ALONE}")

    def push(self, value: Any) -> None:
        if type(value) is int and value.bit_length() > MOST_BITS:
            raise ValueError(f"an integer of {value.bit_length():,} bits")
        self.values.append(value)

    def pop(self, _: Any) -> None:
        if self.values:
            self.values.pop()
        else:
            self.values = self.below.pop()

    def mark(self, _: Any) -> None:
        self.below.append(self.values)
        self.values = []

    def pop_mark(self, _: Any = None) -> list[Any]:
        run, self.values = self.values, self.below.pop()
        return run

    def take(self, count: int) -> list[Any]:
        """Take the top values, the topmost last."""
        return [self.values.pop() for _ in range(count)][::-1]

    def append(self, values: list[Any]) -> None:
        if type(self.values[-1]) is not list:
            raise TypeError("it appends to something that is not a list")
        self.values[-1].extend(values)

    def set_items(self, values: list[Any]) -> None:
        """Set keys and values, in turn, of the dict on top."""
        if type(self.values[-1]) is not dict:
            raise TypeError("it sets items of something that is not a dict")
        _set_items(self.values[-1], zip(values[::2], values[1::2], strict=True))

    def remember(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.values[-1]

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise LookupError(f"it recalls value {index}, which it did not keep")
        self.values.append(self.memo[index])

    def name(self, full: str) -> None:
        if full not in STORAGES and full not in _FUNCTIONS:
            raise WeightsError(
                f"its pickle asks for '{shown(full)}', which is not part of a tensor; nothing "
                f"was run: {SAVE_ALONE}"
            )
        self.values.append(_Name(full))

    def stack_name(self, _: Any) -> None:
        module, attribute = self.take(2)
        if type(module) is not str or type(attribute) is not str:
            raise TypeError("it asks for a name that is not text")
        self.name(f"{module}.{attribute}")

    def call(self, _: Any) -> None:
        name, arguments = self.take(2)
        if not isinstance(name, _Name) or name.full not in _FUNCTIONS:
            raise TypeError("it calls something that is not a function")
        if type(arguments) is not tuple or len(arguments) > MOST_ARGUMENTS:
            raise TypeError(f"it calls {name.full} with other arguments than PyTorch's")
        self.values.append(_FUNCTIONS[name.full](self, *arguments))

    def ordered_dict(self, pairs: Any = ()) -> dict[Any, Any]:
        """Stand in for `OrderedDict`, which Python 2 calls with its pairs."""
        if type(pairs) not in (list, tuple):
            raise TypeError("it makes a dict of something that is not a list")
        self.spend(len(pairs))
        if not all(type(pair) in (list, tuple) and len(pair) == 2 for pair in pairs):
            raise TypeError("it makes a dict of something that is not pairs")
        made: dict[Any, Any] = {}
        _set_items(made, pairs)
        return made

    def drop_attributes(self, _: Any) -> None:
        """Drop an `OrderedDict`'s attributes: PyTorch keeps `_metadata` there, and no weights."""
        target, _ = self.take(2)
        if type(target) is not dict:
            raise WeightsError(
                "its pickle sets attributes (opcode BUILD) of something that is not a dict; "
                f"nothing was run: {SAVE_ALONE}"
            )
        self.values.append(target)

    def storage(self, _: Any) -> None:
        (described,) = self.take(1)
        kind, name, key, _, size, *view = described if type(described) is tuple else ()
        if kind != "storage" or not isinstance(name, _Name) or name.full not in STORAGES:
            raise TypeError("it refers to something that is not a tensor's storage")
        storage = Storage(key, STORAGES[name.full], size)
        if view not in ([], [None]):
            raise WeightsError(f"storage {shown(key)} is a view of another one")
        if self.storages.setdefault(key, storage) != storage:
            raise WeightsError(f"storage {shown(key)} is described in two ways")
        self.values.append(storage)


def _set_items(target: dict[Any, Any], pairs: Iterable[Any]) -> None:
    for key, value in pairs:
        plain = key is None or type(key) in (str, bytes, bool, int, float)
        if not plain or (type(key) is int and abs(key) >= LARGEST_KEY):
            raise TypeError(f"a dict has the key {shown(key)}")
        target[key] = value


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _Stack.ordered_dict,
    "torch._utils._rebuild_parameter": lambda _, *parts: rebuild_parameter(*parts),
    "torch._utils._rebuild_tensor": lambda _, *parts: rebuild_tensor(*parts),
    "torch._utils._rebuild_tensor_v2": lambda _, *parts: rebuild_tensor(*parts),
    "torch.Size": lambda _, *parts: rebuild_size(*parts),
}

_VALUES = (
    "BINBYTES BINBYTES8 BINFLOAT BININT BININT1 BININT2 BINSTRING BINUNICODE BINUNICODE8 LONG1 "
    "LONG4 SHORT_BINBYTES SHORT_BINSTRING SHORT_BINUNICODE"
)
_STEPS: dict[str, Callable[[_Stack, Any], Any]] = {
    **dict.fromkeys(_VALUES.split(), _Stack.push),
    "PROTO": lambda stack, _: None,
    "FRAME": lambda stack, _: None,
    "NONE": lambda stack, _: stack.push(None),
    "NEWTRUE": lambda stack, _: stack.push(True),
    "NEWFALSE": lambda stack, _: stack.push(False),
    "MARK": _Stack.mark,
    "POP": _Stack.pop,
    "POP_MARK": _Stack.pop_mark,
    "EMPTY_TUPLE": lambda stack, _: stack.push(()),
    "TUPLE1": lambda stack, _: stack.push(tuple(stack.take(1))),
    "TUPLE2": lambda stack, _: stack.push(tuple(stack.take(2))),
    "TUPLE3": lambda stack, _: stack.push(tuple(stack.take(3))),
    "TUPLE": lambda stack, _: stack.push(tuple(stack.pop_mark())),
    "EMPTY_LIST": lambda stack, _: stack.push([]),
    "LIST": lambda stack, _: stack.push(stack.pop_mark()),
    "APPEND": lambda stack, _: stack.append(stack.take(1)),
    "APPENDS": lambda stack, _: stack.append(stack.pop_mark()),
    "EMPTY_DICT": lambda stack, _: stack.push({}),
    "SETITEM": lambda stack, _: stack.set_items(stack.take(2)),
    "SETITEMS": lambda stack, _: stack.set_items(stack.pop_mark()),
    "BINPUT": _Stack.remember,
    "LONG_BINPUT": _Stack.remember,
    "MEMOIZE": _Stack.remember,
    "BINGET": _Stack.recall,
    "LONG_BINGET": _Stack.recall,
    "GLOBAL": lambda stack, name: stack.name(name.replace(" ", ".", 1)),
    "STACK_GLOBAL": _Stack.stack_name,
    "REDUCE": _Stack.call,
    "BUILD": _Stack.drop_attributes,
    "BINPERSID": _Stack.storage,
}
