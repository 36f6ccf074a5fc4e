r"""Definitions of TeX macros on a page, and which of them its formulas use.

An author's `\RR` means nothing without its definition, and the definition often stands where no reader sees it: in the
configuration of MathJax, in a hidden block. Macros are not expanded in formulas, since that would no longer be the TeX
that was written (and the author's names carry meaning); the definitions in use are put above the text instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MAX_DEFINITION = 2_000
"""Characters of one definition."""
MAX_DEFINITIONS = 500
"""Definitions looked at on one page."""

_DEFINITION = re.compile(
    r"\\(?:(?P<command>(?:re|provide)?newcommand|DeclareMathOperator|DeclarePairedDelimiter)\*?\s*+"
    r"(?:\{\s*\\(?P<braced>[A-Za-z@]+|[^A-Za-z\s])\s*\}|\\(?P<bare>[A-Za-z@]+|[^A-Za-z\s]))"
    r"|[gex]?def\s*+\\(?P<defined>[A-Za-z@]+|[^A-Za-z\s])(?:\#[1-9])*"
    r"|let\s*+\\(?P<let>[A-Za-z@]+)\s*+=?\s*+(?:\\[A-Za-z@]+|\\[^A-Za-z\s]))"
)
_OPTIONS = re.compile(r"\s*+(?:\[[^\[\]{}]{0,200}(?:\{[^{}]*\})?[^\[\]{}]{0,50}\]\s*+){0,2}(?=\{)")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_NAMES = re.compile(r"\\([A-Za-z@]+)")


def find_definitions(text: str) -> dict[str, str]:
    r"""Macro name -> its whole definition (`\newcommand`, `\def`, `\DeclareMathOperator`, `\let`); the last one counts.

    Definitions that are cut off are left out.
    """
    found: dict[str, str] = {}
    position = 0
    while len(found) < MAX_DEFINITIONS and (match := _DEFINITION.search(text, position)) is not None:
        position = end = match.end()
        if match["let"] is None:
            for _ in range(2 if (match["command"] or "").startswith("DeclareP") else 1):
                options = _OPTIONS.match(text, end)
                end = None if options is None else _closing_brace(text, options.end())
                if end is None:
                    break
        if end is None:
            continue
        name = match["braced"] or match["bare"] or match["defined"] or match["let"]
        found[name] = re.sub(r"\s+", " ", text[match.start() : end])
        position = end
    return found


def _closing_brace(text: str, start: int) -> int | None:
    """Offset behind the brace that closes the one at `start`."""
    depth = 0
    for match in _BRACES.finditer(text, start, start + MAX_DEFINITION):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return None


def used_definitions(formulas: Iterable[str], definitions: Mapping[str, str]) -> list[str]:
    """Those definitions that the formulas use, directly or through other macros, in the order in which they stand."""
    wanted: set[str] = set()
    todo = [name for tex in formulas for name in _NAMES.findall(tex)]
    while todo:
        name = todo.pop()
        if name in definitions and name not in wanted:
            wanted.add(name)
            todo += _NAMES.findall(definitions[name])
    return [definition for name, definition in definitions.items() if name in wanted]
