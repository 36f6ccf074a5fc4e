"""The token stream in which contamination is looked for, so that layout cannot hide a match.

A gram is a word, a number or a CJK character (paper silent on what a gram is in Chinese). Case, white space,
line breaks, punctuation, TeX spacing and sizing (`\\left`, `\\,`), Markdown emphasis and the marks before a quoted or
bulleted line are not seen. An operator before a number or a single letter belongs to that gram: `3 + 4` and `3 - 4`
differ. Full-width forms, the signs for minus, times and division and their TeX commands are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mathwright.corpus.normalise import CJK, INVISIBLE

_LETTER = rf"[^\W\d_{CJK}]"
_GRAM = re.compile(
    rf"(?:([-+*/=<>^])[\s${{}}(\\]{{0,4}}(?=\d|{_LETTER}(?!{_LETTER})))?"  # operator of the gram
    rf"(\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?|[{CJK}]|{_LETTER}+)"
)

# Every replacement has the length of what it replaces, so that offsets into the folded text are offsets into the text.
_FULL_WIDTH = {chr(c + 0xFEE0): chr(c) for c in range(0x21, 0x7F)}
_SIGNS = dict(zip("−–×·⋅÷∕≤≥", "--***//<>", strict=True))
_ONE_FORM = {**_FULL_WIDTH, **_SIGNS}
_OTHER_FORM = re.compile("[" + "".join(map(re.escape, _ONE_FORM)) + "]")
_TEX_LAYOUT = (
    "left right big Big bigg Bigg bigl bigr Bigl Bigr quad qquad displaystyle textstyle text textbf textit mathrm "
    "mathbf mathit mbox operatorname limits nolimits"
)
_TEX_FORM = {
    **dict.fromkeys(("times", "cdot", "ast"), "*"),
    **dict.fromkeys(("div",), "/"),
    **dict.fromkeys(("le", "leq", "leqslant", "lt"), "<"),
    **dict.fromkeys(("ge", "geq", "geqslant", "gt"), ">"),
    **dict.fromkeys(("dfrac", "tfrac", "cfrac"), " frac"),
    **dict.fromkeys(_TEX_LAYOUT.split(), ""),
}
_TEX_COMMAND = re.compile(rf"\\(?:{'|'.join(sorted(_TEX_FORM, key=len, reverse=True))})(?![a-zA-Z])")
_LINE_MARKS = re.compile(rf"^[ \t]*(?:[-*+>|#]+[ \t]+)+(?={_LETTER}{{2}})", re.MULTILINE)
_EMPHASIS = re.compile(r"\*{2,}")


def fold(text: str) -> str:
    """The text in lower case and in one form of each sign; as long as `text`, which must hold nothing invisible."""
    lower = text.lower()
    if len(lower) != len(text):  # "İ" becomes two characters
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    if not lower.isascii():
        lower = _OTHER_FORM.sub(lambda m: _ONE_FORM[m[0]], lower)
    if "\\" in lower:
        lower = _TEX_COMMAND.sub(lambda m: _TEX_FORM[m[0][1:]].ljust(len(m[0])), lower)
    lower = _LINE_MARKS.sub(lambda m: " " * len(m[0]), lower)
    return _EMPHASIS.sub(lambda m: " " * len(m[0]), lower)


def grams(text: str) -> list[str]:
    """The grams of a text in order, operators in front of the grams they belong to."""
    return [operator + word for operator, word in _GRAM.findall(fold(remove_invisible(text)))]


def spellings(gram: str) -> Iterator[str]:
    """The grams that mean the same as `gram`: 1,000 and 1000."""
    yield gram
    number = re.fullmatch(r"([-+*/=<>^]?)([\d,]{4,})(\.\d+)?", gram)
    if number:
        operator, whole, fraction = number.groups(default="")
        digits = whole.replace(",", "")
        yield operator + digits + fraction
        yield f"{operator}{int(digits):,}{fraction}"


def gram_spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each gram of `grams(text)` in `text`."""
    if INVISIBLE.search(text):
        origin = [i for i, char in enumerate(text) if not INVISIBLE.match(char)]
        for match in _GRAM.finditer(fold(remove_invisible(text))):
            yield origin[match.start()], origin[match.end() - 1] + 1
    else:
        for match in _GRAM.finditer(fold(text)):
            yield match.span()


def remove_invisible(text: str) -> str:
    """The text without soft hyphens and zero-width characters, which can stand inside a word."""
    return text if text.isascii() else INVISIBLE.sub("", text)


def count_identifying_words(text: str) -> int:
    """Words of a text that can identify it: two or more letters, not a TeX command; two CJK characters are one word.

    Numbers and formulas do not count: `\\frac{3}{4}` has three grams and stands on every other page.
    """
    folded = re.sub(r"\\[a-z]+", " ", fold(remove_invisible(text)))
    words = [word for _, word in _GRAM.findall(folded)]
    num_cjk = sum(1 for word in words if re.match(f"[{CJK}]", word))
    return num_cjk // 2 + sum(1 for word in words if len(word) > 1 and word[0].isalpha())
