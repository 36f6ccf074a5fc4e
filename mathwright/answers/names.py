"""What names values: `x`, `f(x)`, `AB`, `(x, y)`; the labels of several answers; unit vectors."""

from __future__ import annotations

import re

from mathwright.answers.brackets import split_top
from mathwright.answers.nodes import NOBODY

_SYMBOL = r"(?:[a-zA-Z]|\\(?!text|frac|sqrt|pi(?![a-zA-Z])|infty|le|ge)[a-zA-Z]+)(?:_(?:\{[^{}]*\}|\w))?'*"
_NAME = re.compile(
    r"P\([^()]*\)|\\(?:sin|cos|tan)\s*(?:\\[a-z]+|[A-Z]{1,3})\s*|m\s*\\angle\s*\{?\s*[A-Z]{1,3}\s*\}?|"
    rf"{_SYMBOL}(?:\^\{{-1\}}|\^-1)?(?:\s*\([^()=]*\))?|\\text\{{[^{{}}]*\}}|[A-Z]{{2,4}}|[a-zA-Z]{{1,3}}"
    rf"|\|[A-Z]{{1,3}}\||\\(?:angle|overline|triangle|overrightarrow|vec|mathbf|hat|bar|widehat)\s*\{{?\s*[a-zA-Z]{{1,4}}\}}?"
    r"|\(\s*[a-zA-Z](?:_\w)?(?:\s*(?:,\s*)?[a-zA-Z](?:_\w)?)*\s*,?\s*\)|\[[A-Z]{3,6}\]"
)


def is_name(text: str) -> bool:
    """Whether a side of an equation only names what the other side is: `x`, `f(x)`, `AB`, `(x, y)`, `a:b`."""
    text = text.strip()
    if text == NOBODY or _NAME.fullmatch(text):
        return True
    fraction = re.fullmatch(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", text)
    parts = fraction.groups() if fraction else re.split(r"[:/]", text)
    return len(parts) > 1 and all(_NAME.fullmatch(part.strip()) for part in parts)


_LABEL = re.compile(r"(?:\\text\{\s*)?(?:\(([A-Za-z]|\d|[ivx]{1,4})\)|([A-H])[.:)](?=\s))\s*\}?")
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii")
_NO_ANSWER = re.compile(r"(?:\\text\{)?[\s,;.&]*(?:and|or|和|或)?[\s,;.&]*\}?")


def labelled_parts(text: str) -> list[tuple[str, str]] | None:
    """`(a) 3 (b) 4` or `A: 1, B: 2` as pairs of label and answer; None where no two labels follow each other."""
    labels = [match for match in _LABEL.finditer(text) if match.start() == 0 or text[match.start() - 1] in " ,;"]
    if len(labels) < 2 or labels[0].start() != 0:
        return None
    spelled = [match.group(1) or match.group(2) for match in labels]
    first = spelled[0]
    rows = (_ROMAN, "ABCDEFGH", "abcdefgh", "123456789")
    row = next((row for row in rows if row[0] == first), ())
    kept = [
        label
        for label, expected in zip(labels, row, strict=False)
        if label.group(1) == expected or label.group(2) == expected
    ]
    if len(kept) != len(labels):
        return None
    ends = [match.start() for match in labels[1:]] + [len(text)]
    parts = [text[match.end() : end].strip(" ,;") for match, end in zip(labels, ends, strict=True)]
    if any(_NO_ANSWER.fullmatch(part) for part in parts):
        return None
    return list(zip(spelled, parts, strict=True))


_UNIT_VECTOR = re.compile(
    r"(.*?)\s*\\(?:hat|vec|mathbf|boldsymbol|widehat)\s*\{?\s*\\?(i|j|k)(?:math)?\s*\}?\s*", re.DOTALL
)
_SIGN = re.compile(r"[+-]")


def unit_vectors(text: str) -> list[str] | None:
    """The coordinates of `3\\hat{i} - \\hat{j}`; None for anything but a sum of multiples of unit vectors."""
    if not re.search(r"\\(?:hat|vec|mathbf|boldsymbol|widehat)\s*\{?\s*\\?[ijk]", text):
        return None
    terms, signs = split_top(text, _SIGN)
    if not terms[0].strip():
        terms = terms[1:]
    else:
        signs = ["+", *signs]
    found: dict[str, str] = {}
    for term, sign in zip(terms, signs, strict=True):
        match = _UNIT_VECTOR.fullmatch(term.strip())
        if match is None or match.group(2) in found:
            return None
        found[match.group(2)] = sign + (match.group(1) or "1")
    return [found.get(letter, "0") for letter in ("ijk" if "k" in found else "ij")]
