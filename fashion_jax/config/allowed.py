"""Allowed values of a field's type, in words: for messages and for the reference."""

import typing

from msgspec import inspect

_BOUNDS = {"gt": "> {:g}", "ge": ">= {:g}", "lt": "< {:g}", "le": "<= {:g}"}
_NOUNS: dict[type, tuple[str, str]] = {
    inspect.IntType: ("an integer", "integers"),
    inspect.FloatType: ("a number", "numbers"),
    inspect.StrType: ("a string", "strings"),
    inspect.BoolType: ("True or False", "True or False"),
    inspect.NoneType: ("None", "None"),
}


def allowed_values(kind: typing.Any) -> str:
    """Describe a type that `msgspec.convert` checks.

    Examples:
        >>> from typing import Annotated
        >>> from msgspec import Meta
        >>> allowed_values(tuple[Annotated[float, Meta(gt=0)], ...])
        'a list of numbers > 0'
    """
    if literals := choices(kind):
        return f"one of {', '.join(map(repr, literals))}"
    return _describe(inspect.type_info(kind), plural=False)


def choices(kind: typing.Any) -> tuple[typing.Any, ...]:
    """The values of a `Literal`, in its order; of other types none."""
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()


def _describe(info: inspect.Type, plural: bool) -> str:
    if isinstance(info, inspect.Metadata):
        examples = (info.extra_json_schema or {}).get("examples", [])
        such = f" such as {', '.join(map(repr, examples))}" if examples else ""
        return _describe(info.type, plural) + such
    if isinstance(info, inspect.UnionType):
        return " or ".join(_describe(option, plural) for option in info.types)
    if isinstance(info, inspect.VarTupleType):
        return f"a list of {_describe(info.item_type, plural=True)}"
    if isinstance(info, inspect.TupleType):
        return f"a list of {len(info.item_types)} {_describe(info.item_types[0], plural=True)}"
    noun = _NOUNS[type(info)][plural]
    return " ".join([noun, " and ".join(_bounds(info))]).strip()


def _bounds(info: inspect.Type) -> list[str]:
    values = {name: getattr(info, name, None) for name in _BOUNDS}
    return [_BOUNDS[name].format(value) for name, value in values.items() if value is not None]
