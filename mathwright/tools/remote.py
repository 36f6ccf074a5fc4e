"""Objects of another process: tests call what a program defined without sharing an interpreter with it.

The tests run where the program never was. They see its global names; a function is called by a message to the
program's process, with its arguments, and gives a copy of its result (`values`), which the tests compare with what
they expect in their own process. So a program knows what it was asked, never what is expected, and nothing it has
changed, left running or hidden changes how it is judged.

What is not data stays where it is, and the other side has a `Remote` of it. One of the program's can be called, asked
for its attributes, items, length and text, and computed with and compared to others of the program. With data it is
neither compared nor computed: an object that claims to equal everything would be told the expected value.
"""

from __future__ import annotations

import builtins
import collections
import contextlib
import importlib
import operator
import os
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mathwright.tools import values, wire
from mathwright.tools.proxies import BETWEEN_REMOTES, OF_ONE, WITH_DATA, Remote

_ALIASES = {"np": "numpy", "pd": "pandas", "sp": "sympy", "plt": "matplotlib.pyplot"}
# Of the tests' own objects these are for calling, or for taking the next item: their attributes lead to the tests.
_CLOSED = (
    type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.GeneratorType,
    types.CoroutineType, types.AsyncGeneratorType, types.FrameType, types.TracebackType, types.CodeType,
)  # fmt: skip


class ProgramError(Exception):
    """The program's process does not answer as ours would."""


class _Peer:
    """One side. It speaks when it asks, and hears the other's questions while it waits: strictly nested."""

    def __init__(self, read: int, write: int, namespace: dict[str, Any] | None) -> None:
        """`namespace` is the program's, for the side of the program; None for the side of the tests, which is wary."""
        self._read, self._write = read, write
        self._namespace = namespace
        self._objects: dict[int, Any] = {}
        self._keys: dict[int, int] = {}
        self._exceptions: dict[tuple[str, ...], type[BaseException]] = {}

    # --- asking

    def ask(self, what: str, *operands: Any) -> Any:
        """Have the other side do something; what came out. Raises what it raised there."""
        return self.decode(self._exchange(what, [self.encode(operand) for operand in operands])[0])

    def call(self, function: Remote, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a function of the other side. Lists and the like among the arguments are as it left them."""
        given = [*arguments, *named.values()]
        sent = [self.encode(function), len(arguments), list(named), *map(self.encode, given)]
        result, *changes = self._exchange("call", sent)
        for index, content in changes:
            if type(index) is int and 0 <= index < len(given):
                _assign(given[index], self.decode(content))
        return self.decode(result)

    def lookup(self, name: str) -> Any:
        """A global name of the program. Raises KeyError where it has none."""
        found = self._exchange("name", [name])
        if not found:
            raise KeyError(name)
        [value] = found
        module = _ALIASES.get(name, name)
        if isinstance(value, list) and value[:2] == ["module", module]:
            # A module is that of this process, and only under its own name: the program's may be changed.
            with contextlib.suppress(ImportError):
                return importlib.import_module(module)
        return self.decode(value)

    def _exchange(self, what: str, operands: list[Any]) -> list[Any]:
        self._send({"ask": what, "with": operands})
        while True:
            message = self._receive()
            if message is None:
                raise ProgramError("the program ended its interpreter while the tests ran")
            if "ask" in message:
                self._answer(message)
            elif isinstance(message.get("gave"), list):
                return message["gave"]
            else:
                raise self._exception(message)

    # --- answering

    def answer_all(self) -> None:
        """Answer what the other side asks until it is gone."""
        while (message := self._receive()) is not None:
            self._answer(message)

    def _answer(self, message: dict[str, Any]) -> None:
        try:
            answer = {"gave": self._do(message["ask"], message["with"])}
        except BaseException as error:  # it is the other side's to handle, SystemExit too
            answer = self._told(error)
        self._send(answer)

    def _do(self, what: Any, operands: list[Any]) -> list[Any]:
        if what == "name":
            if self._namespace is None or operands[0] not in self._namespace:
                return []
            return [self.encode(self._namespace[operands[0]])]
        if what == "call":
            encoded_function, num_positional, names, *encoded = operands
            if self._namespace is None and encoded_function[0] != "yours":
                raise PermissionError("not for the program to call")
            function = self.decode(encoded_function)
            given = [self.decode(item) for item in encoded]
            named = dict(zip(names, given[num_positional:], strict=True))
            result = self.encode(function(*given[:num_positional], **named))
            contents = [(i, self.encode(item)) for i, item in enumerate(given) if isinstance(item, values.MUTABLE)]
            return [result, *([i, content] for i, content in contents if content != encoded[i])]
        target, *rest = [self.decode(operand) for operand in operands]
        if self._namespace is None:
            _check_open(what, operands[0], target, rest)
        if what in OF_ONE:
            return [self.encode(OF_ONE[what][0](target))]
        if what in BETWEEN_REMOTES:
            return [self.encode(BETWEEN_REMOTES[what](target, *rest))]
        plain = {
            "getattr": getattr,
            "setattr": setattr,
            "getitem": operator.getitem,
            "setitem": operator.setitem,
            "delitem": operator.delitem,
            "isinstance": isinstance,
        }
        return [self.encode(plain[what](target, *rest))]

    # --- values

    def encode(self, value: Any) -> Any:
        """A value as JSON, or a number for it where it is not data."""
        if isinstance(value, Remote):
            if value._peer is not self:
                raise TypeError("an object of another program")
            return ["yours", value._key]
        if getattr(type(value), "_remote_class", None) is True and isinstance(value._remote, Remote):
            return ["yours", value._remote._key]
        try:
            return values.encode(value, self.encode)
        except values.NotDataError:
            return self._refer(value)

    def _refer(self, value: Any) -> Any:
        if self._namespace is None and getattr(builtins, getattr(value, "__name__", ""), None) is value:
            return ["builtin", value.__name__]  # tests may hand over sorted, or max: the program has its own
        key = self._keys.setdefault(id(value), len(self._keys))
        self._objects[key] = value  # and so it lives, and no other object gets its id
        if isinstance(value, types.ModuleType):
            return ["module", value.__name__, key]
        if isinstance(value, type) and issubclass(value, BaseException):
            return ["exception", _chain(value)]
        for base in values.BASES if not isinstance(value, type) else ():
            if isinstance(value, base):
                return ["data", key, base.__name__, values.encode(_stripped(value, base), self.encode)]
        return ["mine", key]

    def decode(self, value: Any) -> Any:
        """The value JSON stands for. Raises an exception for what no `encode` made."""
        return values.decode(value, self._decode_other)

    def _decode_other(self, tag: str, rest: list[Any]) -> Any:
        if tag == "yours":
            return self._objects[rest[0]]
        if tag == "exception":
            return self._exception_type(rest[0])
        if tag == "builtin" and self._namespace is not None:
            return getattr(builtins, rest[0])
        if tag == "data":
            value = WITH_DATA[rest[1]](self.decode(rest[2]))
            value._remote = Remote(self, rest[0])
            return value
        if tag in ("mine", "module") and type(rest[-1]) is int:
            return Remote(self, rest[-1])
        raise ProgramError("the program's process answered with what is no value")

    # --- exceptions

    def _told(self, error: BaseException) -> dict[str, Any]:
        try:
            arguments = [values.encode(argument, self.encode) for argument in error.args]
        except Exception:  # not data, or of a class that cannot even be looked at
            arguments = []
        try:
            text = str(error)[:1000]
        except Exception:
            text = ""
        return {"raised": _chain(type(error)), "arguments": arguments, "text": text}

    def _exception(self, message: dict[str, Any]) -> BaseException:
        kind = self._exception_type(message["raised"])
        try:
            return kind(*map(self.decode, message["arguments"]))
        except Exception:  # a class that wants other arguments
            return ProgramError(f"{kind.__name__}: {message['text']}")

    def _exception_type(self, chain: list[str]) -> type[BaseException]:
        names = tuple(map(str, chain))
        if names not in self._exceptions:
            bases = (values.BUILTIN_TYPES.get(name) for name in names)
            base = next((kind for kind in bases if kind and issubclass(kind, BaseException)), Exception)
            own = base.__name__ == names[0]
            above = base if own or names[1] == base.__name__ else self._exception_type(chain[1:])
            self._exceptions[names] = base if own else type(names[0], (above,), {"__module__": "__main__"})
        return self._exceptions[names]

    # --- messages

    def _send(self, message: dict[str, Any]) -> None:
        view = memoryview(wire.pack(message))
        while view:
            view = view[os.write(self._write, view) :]

    def _receive(self) -> dict[str, Any] | None:
        return wire.receive(lambda size: os.read(self._read, size))


def _chain(kind: type) -> list[str]:
    """The names of an exception's class and of those above it that are exceptions."""
    return [str(each.__name__) for each in kind.__mro__ if issubclass(each, BaseException)]


def _stripped(value: Any, base: type) -> Any:
    """The data in an object of a subclass, taken out without what the subclass defines."""
    if base in (str, int, float):
        return {str: str.__str__, int: int.__int__, float: float.__float__}[base](value)
    if base is bytes:
        return bytes(memoryview(value))
    return base(dict.items(value) if base is dict else base.__iter__(value))  # pyright: ignore[reportAttributeAccessIssue]


def _assign(container: Any, content: Any) -> None:
    """Make what the tests handed over equal to what the program made of it."""
    if isinstance(container, list | bytearray):
        container[:] = content
    elif isinstance(container, collections.deque):
        container.clear()
        container.extend(content)
    elif isinstance(container, dict | set):
        container.clear()
        container.update(content)


def _check_open(what: str, encoded: Any, target: Any, rest: list[Any]) -> None:
    """Raise where a program asks the tests for more than what they handed it is for.

    Only what was handed over is asked, no data of the program's own (the `format` of a text reads any attribute).
    """
    handed = isinstance(encoded, list) and encoded[0] == "yours"
    private = what in ("getattr", "setattr") and (not isinstance(rest[0], str) or rest[0].startswith("_"))
    method_of_data = what == "getattr" and isinstance(target, values.BASES) and hasattr(type(target).__base__, rest[0])
    closed = isinstance(target, _CLOSED) and what not in ("__iter__", "__next__")
    if not handed or private or method_of_data or closed:
        raise PermissionError("not for the program to see")


class _ProgramNames(dict[str, Any]):
    """Global names of tests, and behind them those of the program as they are now."""

    def __init__(self, peer: _Peer, hidden: Iterable[str], modules: Mapping[str, Sequence[str]]) -> None:
        super().__init__({"__builtins__": builtins, "__name__": "__main__"})
        self._peer, self._hidden, self._modules = peer, frozenset(hidden), modules

    def __missing__(self, name: str) -> Any:
        if name in self._hidden or name.startswith("__"):
            raise KeyError(name)
        if (module := self._module(name)) is not None:
            return module
        return self._peer.lookup(name)

    def _module(self, name: str) -> Any:
        """The module of the standard library that tests mean which leave its import to the program."""
        if name not in self._modules or name not in sys.stdlib_module_names:
            return None
        module = importlib.import_module(name)
        return module if all(hasattr(module, attribute) for attribute in self._modules[name]) else None


def names_of_program(
    write: int, read: int, *, hidden: Iterable[str], modules: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """A namespace for tests in which the global names of the program at the other ends of the pipes are found.

    `hidden` are not looked for. `modules` are names, with the attributes the tests use of them: where a module of the
    standard library is called so and has them it is meant, whatever the program has of that name.
    """
    return _ProgramNames(_Peer(read, write, None), hidden, modules)


def answer_calls(read: int, write: int, namespace: dict[str, Any]) -> None:
    """Let the tests at the other ends of the pipes use what a program defined in `namespace`, until they are gone."""
    _Peer(read, write, namespace).answer_all()
