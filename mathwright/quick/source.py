"""A recipe as the Python file that gives it: what is not a default, each value with its reason beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from mathwright.recipe import Recipe

WIDTH = 110
"""Characters of a line before its comment."""


def as_python(recipe: Recipe, *, about: str, reasons: Mapping[str, str] | None = None) -> str:
    """The text of a Python file whose `recipe()` returns this recipe.

    Args:
        about: the docstring of the file.
        reasons: comments by dotted path, such as {"rl.group_size": "..."}.
    """
    classes = {type(record) for record in _records(recipe, "", reasons or {})}
    modules: dict[str, list[str]] = {}
    for cls in classes:
        modules.setdefault(cls.__module__, []).append(cls.__name__)
    imports = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(modules.items())]
    body = "\n".join(_call(recipe, "", "    ", reasons or {}, before="return "))
    quoted = about.replace("\\", "\\\\").replace('"""', "'''").strip()
    return f'"""{quoted}\n"""\n\n' + "\n".join(imports) + f"\n\n\ndef recipe() -> Recipe:\n    {body}\n"


def given(record: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a record that have another value than their default."""
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        default = field.default_factory() if callable(field.default_factory) else field.default
        if default is dataclasses.MISSING or value != default or type(value) is not type(default):
            yield field.name, value


def _shown(record: Any, path: str, reasons: Mapping[str, str]) -> list[tuple[str, Any]]:
    """The fields that are written out: those that are given, and a default of which there is something to be said."""
    said = {key for key, _ in given(record)}
    told = {reason.removeprefix(path).partition(".")[0] for reason in reasons if reason.startswith(path)}
    names = [field.name for field in dataclasses.fields(record)]
    return [(name, getattr(record, name)) for name in names if name in said or name in told]


def _records(record: Any, path: str, reasons: Mapping[str, str]) -> Iterator[Any]:
    """The records that are written out."""
    yield record
    for key, value in _shown(record, path, reasons):
        for item in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(item):
                yield from _records(item, f"{path}{key}.", reasons)


def _call(record: Any, path: str, indent: str, reasons: Mapping[str, str], *, before: str) -> list[str]:
    """The lines of the call that makes a record, without their first indent; the last one has no comma."""
    name = type(record).__name__
    fields = _shown(record, path, reasons)
    alone = all(not dataclasses.is_dataclass(value) and f"{path}{key}" not in reasons for key, value in fields)
    line = f"{before}{name}({', '.join(f'{key}={_literal(value)}' for key, value in fields)})"
    if alone and not any(_has_records(value) for _, value in fields) and len(indent + line) < WIDTH:
        return [line]
    inner = indent + "    "
    lines = [f"{before}{name}("]
    for key, value in fields:
        lines += _field(key, value, f"{path}{key}", inner, reasons)
    return [*lines, f"{indent})"]


def _field(key: str, value: Any, path: str, indent: str, reasons: Mapping[str, str]) -> list[str]:
    if dataclasses.is_dataclass(value):
        lines = _call(value, path + ".", indent, reasons, before=f"{key}=")
    elif _has_records(value):
        lines = [f"{key}=("]
        for number, item in enumerate(value):
            inner = _call(item, f"{path}.{number}.", indent + "    ", reasons, before="")
            lines += [f"{indent}    {inner[0]}", *inner[1:]]
            lines[-1] += ","
        lines.append(f"{indent})")
    elif isinstance(value, tuple) and len(f"{indent}{key}={_literal(value)}") >= WIDTH:
        lines = [f"{key}=(", *(f"{indent}    {_literal(item)}," for item in value), f"{indent})"]
    else:
        lines = [f"{key}={_literal(value)}"]
    lines[0] = indent + lines[0]
    reason = reasons.get(path)
    lines[-1] += f",  # {reason}" if reason and len(lines) == 1 else ","
    return [f"{indent}# {reason}", *lines] if reason and len(lines) > 1 else lines


def _literal(value: Any) -> str:
    """A value as people write it: texts in double quotes, large numbers in groups of three."""
    if isinstance(value, str):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text and "\\'" not in text else text
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return f"{value:_}" if type(value) is int and value >= 10_000 else repr(value)


def _has_records(value: Any) -> bool:
    return isinstance(value, tuple) and any(dataclasses.is_dataclass(item) for item in value)
