"""Answers as programs print them, in TeX: `Rational(3, 4)`, `Interval.open(0, oo)`, `Matrix([[1, 2]])`, `{x: 1}`.

Calls of a short list of functions are rewritten as text; nothing is looked up, imported or run. The reader of
answers (`structure.py`) then sees one notation only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_Handler = Callable[[list[str]], str]


def _interval(left: str, right: str) -> _Handler:
    def write(parts: list[str]) -> str:
        opened, closed = left, right
        parts = [part.rpartition("=")[2].strip() for part in parts]
        if len(parts) == 4:  # Interval(0, 1, left_open, right_open)
            opened, closed = ("(" if parts[2] == "True" else "["), (")" if parts[3] == "True" else "]")
        return f"{opened}{parts[0]},{parts[1]}{closed}" if len(parts) in (2, 4) else ""

    return write


def _joined(separator: str) -> _Handler:
    return lambda parts: separator.join(parts)


def _one(before: str, after: str) -> _Handler:
    return lambda parts: f"{before}{parts[0]}{after}" if len(parts) == 1 else ""


def _two(before: str, between: str, after: str) -> _Handler:
    return lambda parts: f"{before}{parts[0]}{between}{parts[1]}{after}" if len(parts) == 2 else ""


def _matrix(parts: list[str]) -> str:
    rows = nested_list(parts[0]) if len(parts) == 1 else None
    if rows is None and len(parts) == 1 and parts[0].startswith("[") and parts[0].endswith("]"):
        rows = [[cell] for cell in split_commas(parts[0][1:-1])]
    return _pmatrix(rows) if rows else ""


def _array(parts: list[str]) -> str:
    return parts[0] if parts else ""


def _logarithm(parts: list[str]) -> str:
    return rf"\frac{{\ln ({parts[0]})}}{{\ln ({parts[1]})}}" if len(parts) == 2 else ""


_CALLS: dict[str, _Handler] = {
    "Interval": _interval("[", "]"),
    "Interval.open": _interval("(", ")"),
    "Interval.Lopen": _interval("(", "]"),
    "Interval.Ropen": _interval("[", ")"),
    "Union": _joined(r" \cup "),
    "Intersection": _joined(r" \cap "),
    "Complement": _joined(r" \setminus "),
    "Or": _joined(r" \text{ or } "),
    "And": _joined(r" \text{ and } "),
    "FiniteSet": lambda parts: r"\{" + ",".join(parts) + r"\}",
    "set": lambda parts: r"\{\}" if parts == [""] else "",
    "EmptySet": lambda parts: r"\{\}",
    "Point": lambda parts: "(" + ",".join(parts) + ")",
    "Point2D": lambda parts: "(" + ",".join(parts) + ")",
    "Point3D": lambda parts: "(" + ",".join(parts) + ")",
    "Matrix": _matrix,
    "ImmutableMatrix": _matrix,
    "array": _array,
    "Eq": _two("", " = ", ""),
    "Ne": _two("", r" \ne ", ""),
    "Rational": _two(r"\frac{", "}{", "}"),
    "Fraction": _two(r"\frac{", "}{", "}"),
    "Integer": _one("", ""),
    "Float": _one("", ""),
    "float64": _one("", ""),
    "int64": _one("", ""),
    "Decimal": lambda parts: parts[0].strip("'\""),
    "factorial": _one("(", ")!"),
    "binomial": _two(r"\binom{", "}{", "}"),
    "comb": _two(r"\binom{", "}{", "}"),
    "Abs": _one("|", "|"),
    "abs": _one("|", "|"),
    "floor": _one(r"\lfloor ", r" \rfloor "),
    "ceil": _one(r"\lceil ", r" \rceil "),
    "ceiling": _one(r"\lceil ", r" \rceil "),
    "cbrt": _one(r"\sqrt[3]{", "}"),
    "root": lambda parts: rf"\sqrt[{parts[1]}]{{{parts[0]}}}" if len(parts) == 2 else "",
    "log": _logarithm,
    "asin": _one(r"\arcsin(", ")"),
    "acos": _one(r"\arccos(", ")"),
    "atan": _one(r"\arctan(", ")"),
}
_CALL = re.compile(
    r"(?<![\\a-zA-Z_.])(" + "|".join(re.escape(name) for name in sorted(_CALLS, key=len, reverse=True)) + r")\("
)
_MODULE = re.compile(r"(?<![\\a-zA-Z_.])(?:np|numpy|math|cmath|sp|sympy|S)\.(?=[a-zA-Z])")
_NAMES = ((re.compile(r"(?<![\\a-zA-Z])EmptySet(?![a-zA-Z(])"), r"\\{\\}"), (re.compile(r"\bReals\b"), r"\\mathbb{R}"))
_LOGIC = re.compile(r"\)\s*([&|])\s*\(")
_UNBOUNDED = re.compile(r"\((?:-oo < (\w+)|(\w+) < oo)\)\s*&\s*|\s*&\s*\((?:-oo < (\w+)|(\w+) < oo)\)")
_BUILDER = re.compile(r"\{\s*[a-zA-Z]\s*(?:\\in[^|:]*)?[|:].*(?:[<>≤≥]|\\[lg]e|\bin\b)", re.DOTALL)
_SOLUTION = re.compile(r"\s*'?([a-zA-Z]\w*)'?\s*:\s*(.+)", re.DOTALL)


def from_program(text: str) -> str:
    """The text with what programs print written as TeX; unchanged where it holds nothing of the kind."""
    text = _MODULE.sub("", text.strip())
    for pattern, replacement in _NAMES:
        text = pattern.sub(replacement, text)
    text = text.replace("==", "=")
    if "(" in text:
        text = _logic(_calls(text))
    if text == "[]":
        return r"\{\}"
    if _BUILDER.match(text):
        return r"\{" + text[1:-1] + r"\}" if text.endswith("}") else text
    if text.startswith("[{") and text.endswith("}]"):
        return _solutions(text)
    if text.startswith("{") and text.endswith("}") and ":" in text:
        return _solution(text)
    rows = nested_list(text) if text.startswith("[[") else None
    return _pmatrix(rows) if rows else text


_PUNCTUATION = re.compile(r"[\[({]|[\])}]|,")


@dataclass
class _Open:
    """A bracket that is still open: the call it belongs to, if it does, and what stands in it between commas."""

    written: str
    call: str = ""
    parts: list[list[str]] = field(default_factory=lambda: [[]])

    def as_written(self) -> str:
        return self.written + ",".join("".join(part) for part in self.parts)


def _calls(text: str) -> str:
    """Rewrite calls in one pass: what stands inside is done when its bracket is closed, before what stands around."""
    frames = [_Open("")]
    position = 0
    calls = {match.end() - 1: match for match in _CALL.finditer(text)}
    for mark in _PUNCTUATION.finditer(text):
        sign, call = mark.group(), calls.get(mark.start())
        frames[-1].parts[-1].append(text[position : call.start() if call else mark.start()])
        position = mark.end()
        if sign in "([{":
            frames.append(_Open(call.group() if call else sign, call.group(1) if call else ""))
        elif sign == ",":
            frames[-1].parts.append([])
        elif len(frames) == 1:
            frames[-1].parts[-1].append(sign)
        else:
            frame = frames.pop()
            parts = ["".join(part).strip() for part in frame.parts]
            rewritten = _CALLS[frame.call](parts) if frame.call and sign == ")" else ""
            frames[-1].parts[-1].append(rewritten or frame.as_written() + sign)
    frames[-1].parts[-1].append(text[position:])
    return "".join(frame.as_written() for frame in frames)


def _logic(text: str) -> str:
    """`(0 < x) & (x < 3)` and `(x < 0) | (x > 3)`, sympy's conditions."""
    text = _UNBOUNDED.sub("", text)
    operators = {match.group(1) for match in _LOGIC.finditer(text)}
    if len(operators) != 1 or not text.startswith("(") or not text.endswith(")"):
        return text
    word = r" \text{ and } " if operators == {"&"} else r" \text{ or } "
    return word.join(part.strip() for part in _LOGIC.split(text[1:-1])[::2])


def _solution(text: str) -> str:
    """`{x: 1, y: 2}` as `x = 1, y = 2`."""
    pairs = [_SOLUTION.fullmatch(part) for part in split_commas(text[1:-1])]
    if not all(pairs):
        return text
    return ", ".join(f"{pair.group(1)} = {pair.group(2)}" for pair in pairs if pair)


def _solutions(text: str) -> str:
    """`[{x: 1}, {x: 2}]` as `x = 1, x = 2`; several unknowns as tuples."""
    solutions = split_commas(text[1:-1])
    written = [_solution(solution) for solution in solutions]
    if len(solutions) > 1 and any("," in solution for solution in written):
        values = [", ".join(part.partition("=")[2] for part in split_commas(solution)) for solution in written]
        return ", ".join(f"({value})" for value in values)
    return ", ".join(written)


def nested_list(text: str) -> list[list[str]] | None:
    """Rows of `[[1, 2], [3, 4]]`, or None."""
    text = text.strip()
    if not (text.startswith("[[") and text.endswith("]]")):
        return None
    rows = [row.strip() for row in split_commas(text[1:-1])]
    if not all(row.startswith("[") and closing(row, 0) == len(row) - 1 for row in rows):
        return None
    return [split_commas(row[1:-1]) for row in rows]


def _pmatrix(rows: list[list[str]]) -> str:
    return r"\begin{pmatrix}" + r" \\ ".join(" & ".join(row) for row in rows) + r"\end{pmatrix}"


def closing(text: str, start: int) -> int:
    """Index of the bracket that closes the one at `start`, or -1."""
    depth = 0
    for index in range(start, len(text)):
        depth += (text[index] in "([{") - (text[index] in ")]}")
        if depth == 0:
            return index
    return -1


def split_commas(text: str) -> list[str]:
    """The parts between commas outside all brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]
