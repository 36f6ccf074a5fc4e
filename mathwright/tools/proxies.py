"""Stand-ins for objects of another process: what is done to one is asked of its peer (see `remote`)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Protocol

from mathwright.tools import values

_OPERATORS = "eq ne lt le gt ge add sub mul truediv floordiv mod pow and or xor matmul lshift rshift"
BETWEEN_REMOTES = {f"__{name}__": getattr(operator, f"__{name}__") for name in _OPERATORS.split()}
OF_ONE: dict[str, tuple[Callable[[Any], Any], type | None]] = {
    "__str__": (str, str),
    "__repr__": (repr, str),
    "__len__": (len, int),
    "__bool__": (bool, bool),
    "__int__": (int, int),
    "__float__": (float, float),
    "__index__": (operator.index, int),
    "__iter__": (iter, None),
    "__next__": (next, None),
    "__neg__": (operator.neg, None),
    "__abs__": (abs, None),
}


class Peer(Protocol):
    """The other process, as a stand-in sees it."""

    def ask(self, what: str, *operands: Any) -> Any:
        """Have something done there."""
        ...

    def call(self, function: Remote, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Have a function called there."""
        ...


class Remote:
    """An object of the other process."""

    __slots__ = ("_key", "_peer")

    def __init__(self, peer: Peer, key: int) -> None:
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_key", key)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._peer.call(self, arguments, named)

    def __getattr__(self, name: str) -> Any:
        return self._peer.ask("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._peer.ask("setattr", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._peer.ask("getitem", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._peer.ask("setitem", self, key, value)

    def __delitem__(self, key: Any) -> None:
        self._peer.ask("delitem", self, key)

    def __enter__(self) -> Any:
        return self.__getattr__("__enter__")()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        return self.__getattr__("__exit__")(kind, error, None)

    def __contains__(self, item: Any) -> bool:
        return any(item == own for own in self)

    def __instancecheck__(self, instance: Any) -> bool:
        key = getattr(type(instance), "_remote_class", None)  # not of the instance: it may be a Remote
        is_remote = isinstance(instance, Remote) if key is None else True
        return is_remote and self._peer.ask("isinstance", _as_remote(instance), self) is True

    def __hash__(self) -> int:
        return hash(self._key)


def _as_remote(value: Any) -> Any:
    return value if isinstance(value, Remote) else value._remote


def _forward_one(name: str, kind: type | None) -> Callable[[Remote], Any]:
    def method(self: Remote) -> Any:
        value = self._peer.ask(name, self)
        if kind is not None and type(value) is not kind:
            raise TypeError(f"{name} of the program's object gave no {kind.__name__}")
        return value

    return method


def _forward_two(name: str) -> Callable[[Remote, Any], Any]:
    def method(self: Remote, other: Any) -> Any:
        return self._peer.ask(name, self, other) if isinstance(other, Remote) else NotImplemented

    return method


Remote.__doc__ = property(lambda self: self.__getattr__("__doc__"))  # pyright: ignore[reportAttributeAccessIssue]
for _name, (_, _kind) in OF_ONE.items():
    setattr(Remote, _name, _forward_one(_name, _kind))
for _name in BETWEEN_REMOTES:
    setattr(Remote, _name, _forward_two(_name))


def _with_data(base: type) -> type:
    """A subclass of a type of data, for the data in an object of a class of the program: a named tuple, an IntEnum."""

    def forward(self: Any, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_remote"), name)

    return type(f"Remote_{base.__name__}", (base,), {"__getattr__": forward, "_remote_class": True})


WITH_DATA = {base.__name__: _with_data(base) for base in values.BASES}
