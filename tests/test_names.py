"""Every global name that a function uses exists: jaxtyping's shapes hide this from the linters."""

import builtins
import dis
import importlib
import pkgutil
import types
from collections.abc import Iterator

import fashion_jax


def functions(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of a module and of all functions and classes in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from functions(constant)


def unknown_names(module: types.ModuleType) -> set[str]:
    code = module.__loader__.get_code(module.__name__)
    known = vars(module).keys() | vars(builtins).keys()
    used = {
        instruction.argval
        for part in functions(code)
        for instruction in dis.get_instructions(part)
        if instruction.opname == "LOAD_GLOBAL"
    }
    return used - known


def test_all_names_are_known():
    found = {}
    for info in pkgutil.walk_packages(fashion_jax.__path__, "fashion_jax."):
        if not info.name.endswith("__main__"):
            module = importlib.import_module(info.name)
            found |= {f"{info.name}: {name}": None for name in unknown_names(module)}
    assert list(found) == []


def test_an_unknown_name_is_found():
    source = "def f():\n    class C:\n        def g(self):\n            return nowhere + len(f)\n"
    module = types.ModuleType("made")
    exec(compile(source, "made", "exec"), vars(module))
    module.__loader__ = types.SimpleNamespace(get_code=lambda name: compile(source, name, "exec"))
    assert unknown_names(module) == {"nowhere"}
