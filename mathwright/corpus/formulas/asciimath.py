r"""AsciiMath as TeX, by the grammar its makers publish (asciimath.org):

    S ::= v | l E r | u S | b S S          simple expression (l, r: brackets; u, b: unary and binary symbols)
    I ::= S_S | S^S | S_S^S | S            with scripts
    E ::= I E | I / I                      expression

Brackets around an argument, a script or a part of a fraction are left out, as AsciiMath leaves them out. Differences:
brackets stretch only where what they hold is tall, as one writes TeX by hand.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mathwright.corpus.formulas.asciimath_symbols import BINARY, CLOSE, FUNCTIONS, OPEN, UNARY, Token, longest, symbols
from mathwright.corpus.formulas.symbols import join, to_tex

MAX_LENGTH = 5_000
"""Longer input is cut off: no formula is so long."""
_MAX_DEPTH = 60
_NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+")
_QUOTED = re.compile(r'"([^"]*)"')
_TALL = re.compile(r"\\(?:frac|begin|underset|overset|underbrace|overbrace|sum|prod|int|left)\b")
_TEXT_ESCAPES = str.maketrans({c: "\\" + c for c in "#%&_{}$"} | {"\\": r"\backslash "})
_SIGNS = (("infix", "-"), ("infix", "+"), ("infix", r"\pm"))
_MATRICES = {("(", ")"): "pmatrix", ("[", "]"): "bmatrix", ("|", "|"): "vmatrix", ("||", "||"): "Vmatrix",
             ("{", ":}"): "cases", ("{:", ":}"): "matrix", ("{", "}"): "Bmatrix"}  # fmt: skip


def asciimath_to_tex(source: str) -> str:
    """TeX of an AsciiMath expression. Never raises; the braces of what comes out are balanced."""
    parser = _Parser(_tokens(source[:MAX_LENGTH]))
    return re.sub(r" {2,}", " ", parser.expression(len(parser.tokens), 0)).strip()


def _tokens(source: str) -> list[Token]:
    """The longest symbols from left to right; what is no symbol is a letter or a character of its own."""
    table, width = symbols(), longest()
    tokens: list[Token] = []
    position = 0
    while position < len(source):
        character = source[position]
        if character.isspace():
            position += 1
            continue
        if character == "\\" and source[position + 1 : position + 2].isalpha():  # \alpha for alpha
            position += 1
            continue
        if (found := _NUMBER.match(source, position)) is not None:
            tokens.append(("constant", found[0]))
            position = found.end()
            continue
        if (found := _QUOTED.match(source, position)) is not None:
            tokens.append(("constant", _words(found[1])))
            position = found.end()
            continue
        size = next((n for n in range(width, 0, -1) if source[position : position + n] in table), 0)
        token = table[source[position : position + size]] if size else ("constant", to_tex(character))
        position += size or 1
        if token[0] == "words":
            token, position = _words_in_brackets(source, position)
        tokens.append(token)
    return tokens


def _words(text: str) -> str:
    return f"\\text{{{text.translate(_TEXT_ESCAPES)}}}"


def _words_in_brackets(source: str, position: int) -> tuple[Token, int]:
    """`text(...)`: what the brackets hold is no AsciiMath."""
    start = position
    while source[start : start + 1].isspace():
        start += 1
    closing = {"(": ")", "[": "]", "{": "}"}.get(source[start : start + 1], "")
    end = source.find(closing, start + 1) if closing else -1
    if end < 0:
        return ("constant", _words("text")), position
    return ("constant", _words(source[start + 1 : end])), end + 1


class _Simple(NamedTuple):
    tex: str
    bare: str
    """Without the brackets around it, where it has some."""
    infix: bool = False


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self._position = 0
        self._partner = self._match_brackets()

    def _match_brackets(self) -> dict[int, int]:
        """Opening bracket -> closing bracket, by position; a bar closes the last bar of the same level."""
        partner: dict[int, int] = {}
        open_brackets: list[int] = []
        for index, (kind, name) in enumerate(self.tokens):
            if kind == "open":
                open_brackets.append(index)
            elif kind == "close":
                while open_brackets and self.tokens[open_brackets[-1]][0] == "bar":
                    open_brackets.pop()  # a bar that nothing closes before its brackets end
                if open_brackets:
                    partner[open_brackets.pop()] = index
            elif kind == "bar":
                if open_brackets and self.tokens[open_brackets[-1]] == (kind, name):
                    partner[open_brackets.pop()] = index
                else:
                    open_brackets.append(index)
        return partner

    def expression(self, stop: int, depth: int) -> str:
        """E: everything before the token `stop`."""
        tex = ""
        while self._position < stop:
            part = self._scripted(stop, depth)
            if self._kind(stop) == "fraction":
                self._position += 1
                below = self._scripted(stop, depth)
                tex = join(tex, f"\\frac{{{part.bare}}}{{{below.bare}}}")
            elif part.infix and tex:
                tex = f"{tex.rstrip()} {part.tex} " if not tex.endswith(("(", "[", "{", "= ", ", ")) else tex + part.tex
            else:
                tex = join(tex, part.tex)
        return tex

    def _kind(self, stop: int, ahead: int = 0) -> str:
        index = self._position + ahead
        return self.tokens[index][0] if index < stop else ""

    def _scripted(self, stop: int, depth: int) -> _Simple:
        """I: a simple expression with its scripts."""
        base = self._simple(stop, depth)
        scripts = ""
        for kind, mark in (("sub", "_"), ("sup", "^")):
            if self._kind(stop) == kind:
                self._position += 1
                sign = ""
                if self._position < stop and self.tokens[self._position] in _SIGNS:
                    sign = self.tokens[self._position][1]  # x^-1
                    self._position += 1
                script = join(sign, self._simple(stop, depth).bare.strip())
                scripts += f"{mark}{script}" if len(script) == 1 and script.isalnum() else f"{mark}{{{script}}}"
        if not scripts:
            return base
        tex = base.tex.strip() + scripts
        return _Simple(tex, tex)

    def _simple(self, stop: int, depth: int) -> _Simple:
        """S: a constant, something in brackets, or a symbol with its arguments."""
        if self._position >= stop:
            return _Simple("", "")
        kind, name = self.tokens[self._position]
        self._position += 1
        if depth > _MAX_DEPTH:
            return self._plain(kind, name)
        if kind in ("open", "bar") and self._partner.get(self._position - 1, stop) < stop:
            return self._bracketed(self._position - 1, depth)
        if kind == "unary":
            argument = self._simple(stop, depth + 1)
            tex = UNARY[name] % argument.bare.strip()
            return _Simple(tex, tex)
        if kind == "binary":
            first, second = self._simple(stop, depth + 1).bare.strip(), self._simple(stop, depth + 1).bare.strip()
            if name == "root" and "]" in first:
                first = f"{{{first}}}"
            tex = BINARY[name] % (first, second)
            return _Simple(tex, tex)
        if kind == "function":
            return self._function(name, stop, depth)
        return self._plain(kind, name)

    def _plain(self, kind: str, name: str) -> _Simple:
        """What stands for itself, among it brackets without partner and marks without arguments."""
        if kind == "infix":
            return _Simple(name, name, infix=True)
        tex = {"open": OPEN.get(name, ""), "close": CLOSE.get(name, ""), "function": FUNCTIONS.get(name, ""),
               "sub": r"\_", "sup": r"\hat{}", "bar": r"\|" if name == "||" else "|"}.get(kind, name)  # fmt: skip
        return _Simple(tex, tex)

    def _function(self, name: str, stop: int, depth: int) -> _Simple:
        tex = FUNCTIONS[name]
        follows = self._kind(stop)
        single = len(name) == 1
        if follows in ("", "sub", "sup", "fraction", "bar", "close", "infix") or (single and follows != "open"):
            return _Simple(tex, tex)
        argument = self._scripted(stop, depth + 1) if not single else self._simple(stop, depth + 1)
        tex = join(tex, argument.tex)
        return _Simple(tex, tex)

    def _bracketed(self, opening: int, depth: int) -> _Simple:
        closing = self._partner[opening]
        left, right = self.tokens[opening][1], self.tokens[closing][1]
        rows = self._rows(opening, closing, depth)
        if rows is not None:
            tex = _matrix(left, right, rows)
            self._position = closing + 1
            return _Simple(tex, tex)
        self._position = opening + 1
        inner = self.expression(closing, depth + 1)
        self._position = closing + 1
        if left in ("|", "||"):
            bar = r"\|" if left == "||" else "|"
            tex = f"\\left{bar}{inner}\\right{bar}" if _TALL.search(inner) else join(bar, inner) + bar
            return _Simple(tex, tex)
        start, end = OPEN[left], CLOSE[right]
        if (_TALL.search(inner) and (start or end)) or bool(start) != bool(end):
            tex = f"{join(chr(92) + 'left', start or '.')}{inner}\\right{end or '.'}"
        else:
            tex = join(start, inner) + end
        return _Simple(tex, inner if left != "(:" and left != "<<" and left != "langle" else tex)

    def _rows(self, opening: int, closing: int, depth: int) -> list[list[str]] | None:
        """The cells of a matrix such as ((a,b),(c,d)); None where the brackets hold no matrix."""
        index = opening + 1
        row_bracket = self.tokens[index][1]
        if row_bracket not in ("(", "[") or (self.tokens[closing][1] == "}" and row_bracket == "("):
            return None
        spans: list[list[tuple[int, int]]] = []
        while index < closing:
            end = self._partner.get(index)
            if end is None or self.tokens[index] != ("open", row_bracket) or self.tokens[end][1] not in (")", "]"):
                return None
            spans.append(self._cells(index, end))
            index = end + 1
            if index < closing and self.tokens[index] != ("constant", ","):
                return None
            index += 1
        if len({len(row) for row in spans}) != 1 or (len(spans) == 1 and len(spans[0]) == 1):
            return None
        return [[self._cell(start, end, depth) for start, end in row] for row in spans]

    def _cells(self, opening: int, closing: int) -> list[tuple[int, int]]:
        """Where the cells of a row lie, between commas outside brackets."""
        cells: list[tuple[int, int]] = []
        start = index = opening + 1
        while index < closing:
            if self.tokens[index] == ("constant", ","):
                cells.append((start, index))
                start = index + 1
            index = self._partner.get(index, index) + 1
        return [*cells, (start, closing)]

    def _cell(self, start: int, end: int, depth: int) -> str:
        self._position = start
        return self.expression(end, depth + 1).strip()


def _matrix(left: str, right: str, rows: list[list[str]]) -> str:
    bars = [i for i in range(len(rows[0])) if all(row[i] == "|" for row in rows)]
    columns = "".join("|" if i in bars else "c" for i in range(len(rows[0])))
    body = r" \\ ".join(" & ".join(cell for i, cell in enumerate(row) if i not in bars) for row in rows)
    environment = _MATRICES.get((left, right))
    if environment is not None and not bars:
        return f"\\begin{{{environment}}} {body} \\end{{{environment}}}"
    start = {"|": "|", "||": r"\|"}.get(left) or OPEN.get(left, "")
    end = {"|": "|", "||": r"\|"}.get(right) or CLOSE.get(right, "")
    return (
        f"{join(chr(92) + 'left', start or '.')}\\begin{{array}}{{{columns}}} {body} \\end{{array}}\\right{end or '.'}"
    )
