"""Values as JSON, to be handed from a program to the tests that judge it: data is copied, never run.

A value is itself (None, booleans, strings, floats, ordinary integers) or a list of a tag and what belongs to it. Only
the types named here become data; whatever else a program has stays with it, and is spoken of by a number (`remote`).
"""

from __future__ import annotations

import builtins
import collections
import datetime
import fractions
import re
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

Encode = Callable[[Any], Any]
"""Of the parts of a value."""

_PLAIN_INT = 1 << 53
_NUMPY_TYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|c(8|16)|[SU][0-9]{1,6})")
_CONTAINERS: dict[str, type] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
_MAPPINGS: dict[str, type] = {"dict": dict, "OrderedDict": collections.OrderedDict, "Counter": collections.Counter}
_DATES: dict[str, Any] = {"date": datetime.date, "datetime": datetime.datetime, "time": datetime.time}
_BYTES: dict[str, type] = {"bytes": bytes, "bytearray": bytearray}
_NAMES = {kind: name for table in (_CONTAINERS, _MAPPINGS, _DATES, _BYTES) for name, kind in table.items()}
BASES = (str, int, float, tuple, list, dict, set, frozenset, bytes)
"""Types of data whose subclasses, those of a program among them, are handed over as that data."""
BUILTIN_TYPES = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and (issubclass(kind, BaseException) or kind in (*BASES, bool, complex, bytearray, range))
}
"""Types that are the same for both sides."""
MUTABLE = (list, dict, set, bytearray, collections.deque, collections.OrderedDict, collections.Counter)
"""Containers that a function may change: they are handed back."""


class NotDataError(Exception):
    """A value is none of the types that are handed over."""


def encode(value: Any, parts: Encode) -> Any:
    """A value as JSON; `parts` encodes what it consists of. Raises NotDataError for what is not data."""
    kind = type(value)
    if value is None or kind in (bool, str, float):
        return value
    if kind is int:
        return value if -_PLAIN_INT < value < _PLAIN_INT else ["int", hex(value)]
    name = _NAMES.get(kind)
    if name in _CONTAINERS:
        return [name, [parts(item) for item in value]]
    if name in _MAPPINGS:
        return [name, [[parts(key), parts(item)] for key, item in value.items()]]
    if name in _BYTES:
        return [name, value.hex()]
    if name in _DATES:
        return [name, value.isoformat()]
    encoder = _ENCODERS.get(kind)
    if encoder is not None:
        return encoder(value, parts)
    if kind is type and BUILTIN_TYPES.get(value.__name__) is value:
        return ["type", value.__name__]
    return _encode_of_libraries(value, parts)


_ENCODERS: dict[type, Callable[[Any, Encode], Any]] = {
    complex: lambda value, _: ["complex", value.real, value.imag],
    range: lambda value, parts: ["range", parts(value.start), parts(value.stop), parts(value.step)],
    slice: lambda value, parts: ["slice", parts(value.start), parts(value.stop), parts(value.step)],
    type(...): lambda _value, _: ["..."],
    fractions.Fraction: lambda value, parts: ["Fraction", parts(value.numerator), parts(value.denominator)],
    Decimal: lambda value, _: ["Decimal", str(value)],
    datetime.timedelta: lambda value, _: ["timedelta", value.days, value.seconds, value.microseconds],
    collections.deque: lambda value, parts: ["deque", [parts(item) for item in value], value.maxlen],
    collections.defaultdict: lambda value, parts: [
        "defaultdict",
        value.default_factory.__name__ if BUILTIN_TYPES.get(getattr(value.default_factory, "__name__", "")) else None,
        [[parts(key), parts(item)] for key, item in value.items()],
    ],
}


def _encode_of_libraries(value: Any, parts: Encode) -> Any:
    numpy, sympy = sys.modules.get("numpy"), sys.modules.get("sympy")
    if numpy is not None and type(value) is numpy.ndarray and _NUMPY_TYPE.fullmatch(value.dtype.str):
        return ["ndarray", value.dtype.str, list(value.shape), [parts(item) for item in value.ravel().tolist()]]
    if numpy is not None and isinstance(value, numpy.generic) and _NUMPY_TYPE.fullmatch(value.dtype.str):
        return ["numpy", value.dtype.str, parts(value.item())]
    if sympy is not None and isinstance(value, sympy.Integer):
        return ["Integer", parts(int(value))]
    if sympy is not None and isinstance(value, sympy.Rational):
        return ["Rational", parts(int(value.p)), parts(int(value.q))]
    if sympy is not None and type(value) is sympy.Float:
        return ["Float", str(value), int(value._prec)]
    if sympy is not None and type(value) is sympy.Symbol:
        return ["Symbol", value.name, [[name, known] for name, known in value.assumptions0.items()]]
    if sympy is not None and isinstance(value, sympy.Basic) and _expression_type(sympy, type(value).__name__):
        return ["sympy", type(value).__name__, [parts(argument) for argument in value.args]]
    raise NotDataError


def _expression_type(sympy: Any, name: str) -> Any:
    """A class of sympy that is made anew from its arguments: functions, sums, relations, finite sets, constants."""
    places = (sympy, sympy.core.numbers, sympy.logic.boolalg)
    kind = next((found for place in places if (found := getattr(place, name, None)) is not None), None)
    if isinstance(kind, type) and issubclass(kind, sympy.Basic) and kind.__module__.startswith("sympy."):
        return kind
    return None


def decode(value: Any, others: Callable[[str, list[Any]], Any]) -> Any:
    """The value that JSON stands for; `others` makes those of the tags that are not known here.

    Raises an exception for what no `encode` has made: it may be written by a program.
    """
    if not isinstance(value, list):
        if isinstance(value, dict):
            raise ValueError("not a value")
        return value
    tag, *rest = value
    if not isinstance(tag, str):
        raise ValueError("not a value")

    def parts(item: Any) -> Any:
        return decode(item, others)

    if tag in _CONTAINERS:
        return _CONTAINERS[tag](parts(item) for item in rest[0])
    if tag in _MAPPINGS:
        return _MAPPINGS[tag]({parts(key): parts(item) for key, item in rest[0]})
    if tag in _BYTES:
        return _BYTES[tag].fromhex(rest[0])  # pyright: ignore[reportAttributeAccessIssue]
    if tag in _DATES:
        return _DATES[tag].fromisoformat(rest[0])
    decoder = _DECODERS.get(tag)
    return decoder(rest, parts) if decoder is not None else others(tag, rest)


_DECODERS: dict[str, Callable[[list[Any], Encode], Any]] = {
    "int": lambda rest, _: int(rest[0], 16),
    "complex": lambda rest, _: complex(rest[0], rest[1]),
    "range": lambda rest, parts: range(*map(parts, rest)),
    "slice": lambda rest, parts: slice(*map(parts, rest)),
    "...": lambda _rest, _: ...,
    "Fraction": lambda rest, parts: fractions.Fraction(parts(rest[0]), parts(rest[1])),
    "Decimal": lambda rest, _: Decimal(rest[0]),
    "timedelta": lambda rest, _: datetime.timedelta(*rest),
    "deque": lambda rest, parts: collections.deque(map(parts, rest[0]), rest[1]),
    "defaultdict": lambda rest, parts: _with_default(rest[0], {parts(key): parts(item) for key, item in rest[1]}),
    "type": lambda rest, _: BUILTIN_TYPES[rest[0]],
    "ndarray": lambda rest, parts: _array(rest[0], rest[1], [parts(item) for item in rest[2]]),
    "numpy": lambda rest, parts: _array(rest[0], [], [parts(rest[1])])[()],
    "Integer": lambda rest, parts: _sympy().Integer(_number(parts(rest[0]))),
    "Rational": lambda rest, parts: _sympy().Rational(_number(parts(rest[0])), _number(parts(rest[1]))),
    "Float": lambda rest, _: _sympy().Float(str(rest[0]), precision=_number(rest[1])),
    "Symbol": lambda rest, _: _sympy().Symbol(str(rest[0]), **{str(name): bool(known) for name, known in rest[1]}),
    "sympy": lambda rest, parts: _expression(rest[0], [parts(argument) for argument in rest[1]]),
}


def _with_default(factory: str, items: dict[Any, Any]) -> Any:
    default: Any = BUILTIN_TYPES.get(factory)
    return collections.defaultdict(default, items)


def _array(kind: str, shape: list[int], items: list[Any]) -> Any:
    import numpy

    if not _NUMPY_TYPE.fullmatch(kind):
        raise ValueError(f"no such kind of array: {kind}")
    return numpy.array(items, dtype=kind).reshape(shape)


def _sympy() -> Any:
    import sympy

    return sympy


def _number(value: Any) -> int:
    if type(value) is not int:  # sympy would read text as an expression, which runs it
        raise ValueError("not an integer")
    return value


def _expression(name: str, arguments: list[Any]) -> Any:
    sympy = _sympy()
    kind = _expression_type(sympy, name)
    if kind is None or not all(isinstance(argument, sympy.Basic) for argument in arguments):
        raise ValueError("not an expression")
    return kind(*arguments)
