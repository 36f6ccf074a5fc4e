"""Whether what stands between two dollars is a formula: money, variables and program text are not."""

from __future__ import annotations

import re

_MONEY = re.compile(
    r"\s*+(?:USD?)?\s*+[\d.,]++\s*+(?:k|K|M|B|bn|million|billion|trillion|thousand|USD|dollars|per|/|-|–|to|and|or|,)?",
    re.ASCII,
)
# A run of words is looked for at the beginning of a word alone, and a word read once is not read again in parts:
# one word of 8,000 letters (base64) would take the square of its length.
_THREE_WORDS = r"(?<![A-Za-z])[A-Za-z]{3,}+(?:\s++[A-Za-z]{2,}+){2}"
_PLAIN_WORDS = re.compile(_THREE_WORDS)
_LINK = re.compile(r"\]\((?:#|https?:|/)")
_PROSE = re.compile(rf"\A[,.;]?\s*+(?:or|and|to|for|is)\b|{_THREE_WORDS}")
_TEX_SIGN = re.compile(r"\\[A-Za-z,;!{}|]|[_^{}=<>]")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_WORD = re.compile(r"(?<![A-Za-z\\{])[A-Za-z]{3,}(?![A-Za-z}])")
_CODE = re.compile(
    r"""\A\(\s*(?:['"#]|document\b|window\b|this\b|function\b)"""
    r"""|\A\.(?:each|ajax|fn|get|post|map|extend|when)\b"""
    r"""|\A[A-Za-z_]\w*\s*(?:->|=>|::|\[['"])|\A[A-Za-z_]\w*\s*=\s*(?:new\b|array\(|\Z)"""
    r"""|\A\{[A-Za-z_][\w.]*\}\s""",
)


def is_display_formula(inner: str) -> bool:
    """Whether the text between display delimiters is a formula: not `$$ to $$` of price classes, not a link."""
    if _LINK.search(inner) or not any(c.isalnum() or c == "\\" for c in inner):
        return False
    return _TEX_SIGN.search(inner) is not None or _PROSE.search(inner) is None


def is_symbol(inner: str) -> bool:
    """Whether it is a single sign, such as the operator that stands alone in the cell of an equation's table."""
    return len(inner.strip()) == 1


def is_marked_formula(inner: str) -> bool:
    """Whether it is a formula between marks that others use otherwise: one without a sign of TeX holds no word."""
    if not is_display_formula(inner):
        return False
    return _TEX_SIGN.search(inner) is not None or _WORD.search(inner) is None


def is_configured_formula(inner: str) -> bool:
    """Whether it is a formula on a page that says that single dollars delimit; prices may stand there all the same."""
    if not inner.strip():
        return False
    if _COMMAND.search(inner):
        return True
    return not (_PLAIN_WORDS.search(inner) or (_MONEY.match(inner) and inner[-1].isspace() and _WORD.search(inner)))


def is_inline_formula(inner: str) -> bool:
    """Whether the text between two single dollars is a formula, and not what stands between two prices."""
    if not inner.strip(" –—") or _CODE.match(inner):
        return False
    if _TEX_SIGN.search(inner):
        return not (inner[-1].isspace() and _before_a_second_dollar(inner))
    if inner[0].isspace() or inner[-1].isspace():
        return False
    return not (_PLAIN_WORDS.search(inner) or (_MONEY.match(inner) and " " in inner))


def _before_a_second_dollar(inner: str) -> bool:
    """Whether text that ends in a space leads up to another price or variable, though it holds a sign of TeX."""
    if _PLAIN_WORDS.search(inner) and inner[0].isdigit():
        return True  # "$5 to $10 (x < y)": a sign of TeX far behind a price does not make it a formula
    if inner[0].isspace() or _COMMAND.search(inner):
        return _MONEY.match(inner) is not None and _COMMAND.search(inner) is None and _WORD.search(inner) is not None
    return _WORD.search(inner) is not None or inner.rstrip()[-1] in "=;+,("
