r"""Formulas between delimiters in running text: `\(...\)`, `\[...\]`, `$...$`, `$$...$$`, environments."""

from __future__ import annotations

import re

from mathwright.corpus.formulas import Formulas

_ENVIRONMENTS = (
    "equation|align|alignat|aligned|gather|gathered|multline|eqnarray|displaymath|flalign|split|math|cases|array"
)
_OPENING = re.compile(
    rf"(?P<escaped>\\\$|\${{3,}})|(?P<paren>\\\()|(?P<bracket>\\\[)|(?P<dollars>\$\$)|(?P<dollar>\$)"
    rf"|\\begin\{{(?P<environment>(?:{_ENVIRONMENTS})\*?)\}}"
)
_UNESCAPED_DOLLAR = re.compile(r"(?<!\\)\$")
MAX_DISPLAY = 8000
MAX_INLINE = 1000
"""Characters between delimiters; beyond that a delimiter has lost its partner."""
_MONEY = re.compile(
    r"\s*(?:US|USD)?\s*[\d.,]+\s*(?:k|K|M|B|bn|million|billion|trillion|thousand|USD|dollars|per|/|-|–|to|and|or|,)?",
    re.ASCII,
)
_PLAIN_WORDS = re.compile(r"[A-Za-z]{3,}(?:\s+[A-Za-z]{2,}){2,}")
_LINK = re.compile(r"\]\((?:#|https?:|/)")
_PROSE = re.compile(r"\A[,.;]?\s*(?:or|and|to|for|is)\b|[A-Za-z]{3,}(?:\s+[A-Za-z]{2,}){2,}")
_TEX_SIGN = re.compile(r"\\[A-Za-z,;!{}|]|[_^{}=<>]")


def has_delimiters(text: str) -> bool:
    """Whether a text may hold formulas between delimiters."""
    return "$" in text or "\\(" in text or "\\[" in text or "\\begin{" in text


def find_delimited(text: str, formulas: Formulas) -> str:
    """Replace formulas between delimiters by placeholders. Money, shell variables and prices stay as they are."""
    closings = _Closings(text)
    pieces: list[str] = []
    position = copied = 0
    while (opening := _OPENING.search(text, position)) is not None and not formulas.full():
        position = opening.end()
        end = closings.find(opening)
        if end is None:
            continue
        kind = opening.lastgroup or ""
        if kind == "environment":
            tex, display, name = text[opening.start() : end], True, "environment"
        else:
            tex = text[opening.end() : end - (1 if kind == "dollar" else 2)]
            display = kind in ("bracket", "dollars")
            name = "tex_delimiters" if kind in ("paren", "bracket") else "dollars"
        pieces += text[copied : opening.start()], formulas.add(tex, display, name)
        position = copied = end
    return "".join(pieces) + text[copied:]


class _Closings:
    """Where the formula ends that an opening delimiter begins.

    Remembers the next place of each closing delimiter, so that a page of openings without partners takes linear
    time.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._next: dict[str, int] = {}

    def find(self, opening: re.Match[str]) -> int | None:
        """Offset behind the closing delimiter; None where nothing is opened after all."""
        kind = opening.lastgroup
        start = opening.end()
        if kind == "escaped":
            return None
        if kind == "dollar":
            end = self._after("$", start)
            inline = end is not None and end - start <= MAX_INLINE and not self._text[end : end + 1].isdigit()
            return end if inline and end is not None and self._inline(start, end - 1) else None
        closing = {"paren": "\\)", "bracket": "\\]", "dollars": "$$"}.get(kind or "")
        end = self._after(closing or f"\\end{{{opening['environment']}}}", start)
        if end is None or end - start > MAX_DISPLAY:
            return None
        inner = self._text[start : end - 2]
        if kind == "paren" and "\n\n" in inner:
            return None
        return end if kind == "environment" or is_display_formula(inner) else None

    def _inline(self, start: int, end: int) -> bool:
        inner = self._text[start:end]
        return "\n\n" not in inner and is_inline_formula(inner)

    def _after(self, closing: str, start: int) -> int | None:
        """Offset behind the first `closing` at or behind `start`."""
        found = self._next.get(closing, -1)
        if found < start:
            if closing == "$":
                match = _UNESCAPED_DOLLAR.search(self._text, start)
                found = len(self._text) + 1 if match is None else match.start()
            else:
                found = self._text.find(closing, start)
                found = len(self._text) + 1 if found < 0 else found
            self._next[closing] = found
        return None if found > len(self._text) else found + len(closing)


def is_display_formula(inner: str) -> bool:
    """Whether the text between display delimiters is a formula: not `$$ to $$` of price classes, not a link."""
    if _LINK.search(inner) or not any(c.isalnum() or c == "\\" for c in inner):
        return False
    return _TEX_SIGN.search(inner) is not None or _PROSE.search(inner) is None


def is_inline_formula(inner: str) -> bool:
    """Whether the text between two single dollars is a formula, and not what stands between two prices."""
    if not inner.strip():
        return False
    if _TEX_SIGN.search(inner):
        # "$5 to $10 (x < y)": a sign of TeX far behind a price does not make it a formula.
        return not (inner[0].isdigit() and inner[-1].isspace() and _PLAIN_WORDS.search(inner))
    if inner[0].isspace() or inner[-1].isspace():
        return False
    return not (_PLAIN_WORDS.search(inner) or (_MONEY.match(inner) and " " in inner))
