r"""Formulas of a page on their way through text extraction: as TeX, and as the placeholders that stand for them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html import unescape

from mathwright.corpus.formulas.macros import find_definitions, used_definitions
from mathwright.corpus.formulas.page_config import MathConfig
from mathwright.corpus.formulas.symbols import FILLER, ends_in_backslash, join, trim

MAX_FORMULAS = 50_000
"""Formulas beyond this many on one page are left as the text they are."""

_OPEN, _CLOSE = "\ue000", "\ue001"
_DOLLAR, _BACKSLASH, _BACKTICK = "\ue002", "\ue003", "\ue007"
PROTECT = str.maketrans({"$": _DOLLAR, "\\": _BACKSLASH, "`": _BACKTICK})
"""Hides the characters that begin a formula; `restore` shows them again."""
EMPHASIS, STRONG = "\ue005", "\ue006"
"""Where an element of emphasis began or ended, in pages whose Markdown may have taken it out of a formula."""
LINE_END = "\ue008"
"""Stands before the end of a line that has a `%`: the text of a page has a space there, and in TeX a comment ends."""
LABEL = "\ue009"
"""Around the label of an item of a list, before its text."""
RESERVED = re.compile(f"[\ue000-\ue009{FILLER}]")
"""Characters of the private use area that placeholders are made of; pages that hold them lose them."""
_ESCAPED = re.compile(r"&(?:lt|gt|amp|quot|nbsp|#\d{2,5}|#x[\da-fA-F]{2,5});")
"""What was escaped once more than the page is: TeX has no such thing."""
_BLANK_LINES = re.compile(r"\n\s*\n+")
# Where lines were joined, a label that was commented out would comment out the formula behind it.
_COMMENTED_LABEL = re.compile(r"(?<!\\)%\s*\\label\{[^{}]*\}")
_DISPLAY_ENVIRONMENT = re.compile(r"\\begin\{(?:equation|align|gather|eqnarray|multline|flalign|alignat)\*?\}")
_EQUATION = re.compile(r"\\begin\{(equation\*?|displaymath)\}(.*)\\end\{\1\}", re.DOTALL)


@dataclass(slots=True)
class Formulas:
    """The formulas found on a page, in the order in which they were found."""

    tex: list[str] = field(default_factory=list)
    display: list[bool] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    config: MathConfig = field(default_factory=MathConfig)
    typeset: bool = False
    """Whether the page mentions a program that typesets formulas in a reader's browser."""
    definitions: dict[str, str] = field(default_factory=dict)
    """TeX macros defined on the page: name -> definition."""

    def add(self, tex: str, display: bool, kind: str) -> str:
        """Keep a formula; returns its placeholder."""
        if "&" in tex:
            tex = _ESCAPED.sub(lambda escaped: unescape(escaped[0]), tex)
        tex = _BLANK_LINES.sub("\n", trim(_COMMENTED_LABEL.sub("", tex.replace("\xa0", " "))))
        display = display or _DISPLAY_ENVIRONMENT.match(tex) is not None
        if (equation := _EQUATION.fullmatch(tex)) is not None and "\\begin{equation" not in equation[2]:
            tex = trim(equation[2])  # two dollars say the same
        if ends_in_backslash(tex):
            tex += " "  # the page cut an escape in two: alone, the backslash would escape the dollar that closes
        self.tex.append(tex)
        self.display.append(display)
        self.kinds.append(kind)
        return f"{_OPEN}{len(self.tex) - 1}{_CLOSE}"

    def full(self) -> bool:
        return len(self.tex) >= MAX_FORMULAS

    def extend_last(self, text: str, tex: str, kind: str) -> bool:
        """Add to the formula of that kind whose placeholder ends `text`; False where there is none."""
        found = _PLACEHOLDER_AT_END.search(text)
        if found is None or int(found[1]) >= len(self.tex) or self.kinds[int(found[1])] != kind:
            return False
        self.tex[int(found[1])] = join(self.tex[int(found[1])], tex)
        return True


PLACEHOLDER_END = _CLOSE
"""The character that ends a placeholder."""
_PLACEHOLDER_AT_END = re.compile(f"{_OPEN}(\\d+){_CLOSE}\\Z")


def has_placeholder(text: str) -> bool:
    return _OPEN in text


def is_placeholder(text: str) -> bool:
    """Whether a text is one formula and nothing else."""
    return _ONE_PLACEHOLDER.fullmatch(text) is not None


_ONE_PLACEHOLDER = re.compile(f"{_OPEN}\\d+{_CLOSE}")
_SURELY = re.compile(r"\\[(\[]|\$\$|\\begin\{")


def holds_formulas(text: str) -> bool:
    """Whether a text holds formulas of elements, or surely some between delimiters."""
    return _OPEN in text or _SURELY.search(text) is not None


# --- putting the TeX back ----------------------------------------------------------------------------

_IN_DOLLARS = re.compile(f"{_DOLLAR}+({_OPEN}\\d+{_CLOSE}){_DOLLAR}+")
"""A formula that was read as an element and has dollars of its own around it, which nothing typesets."""
_PLACEHOLDER = re.compile(f"{_OPEN}(\\d+){_CLOSE}([ \\t]*)")


def restore(text: str, formulas: Formulas, *, definitions: bool = False) -> tuple[str, Counter[str]]:
    r"""Put TeX between dollars where the placeholders are; displays on lines of their own. Counts by kind.

    A formula whose place the extraction threw away with the boilerplate is not counted. With `definitions`, the
    definitions of macros that the formulas use, and that stand nowhere in the text, come first, between dollars
    (kind `macros`).
    """
    counts: Counter[str] = Counter()
    kept: list[str] = []

    def put(match: re.Match[str]) -> str:
        number, after = match.groups()
        index = int(number)
        if index >= len(formulas.tex):
            return after
        tex = formulas.tex[index]
        # A formula found in text may have been cut in pieces by elements that are formulas themselves.
        tex = _PLACEHOLDER.sub(lambda inner: _bare(inner, formulas), tex)
        counts[formulas.kinds[index]] += 1
        kept.append(tex)
        if formulas.display[index]:
            return f"\n$${tex}$$\n"
        beside_another = not after and text[match.end() : match.end() + 1] == _OPEN  # two dollars would be a display
        return f"${tex}${' ' if beside_another else after}"

    if _DOLLAR in text:
        text = _IN_DOLLARS.sub(r"\1", text)
    text = _PLACEHOLDER.sub(put, text)
    if _DOLLAR in text or _BACKSLASH in text:
        text = text.replace(_DOLLAR, "$").replace(_BACKSLASH, "\\")
    if _BACKTICK in text:
        text = text.replace(_BACKTICK, "`")
    if definitions:
        text = _with_definitions(text, kept, formulas, counts)
    return RESERVED.sub("", text), counts


def _with_definitions(text: str, kept: list[str], formulas: Formulas, counts: Counter[str]) -> str:
    definitions = {**formulas.config.macros, **formulas.definitions}
    if not definitions:
        return text
    shown: set[str] = set()
    for tex in kept:
        if "def" in tex or "newcommand" in tex or "Declare" in tex or "\\let" in tex:
            shown |= find_definitions(tex).keys()
    missing = {name: definition for name, definition in definitions.items() if name not in shown}
    used = used_definitions(kept, missing)
    if not used:
        return text
    counts["macros"] = len(used)
    return f"${' '.join(used)}$\n\n{text.lstrip()}"


def _bare(match: re.Match[str], formulas: Formulas) -> str:
    number, after = match.groups()
    index = int(number)
    return (formulas.tex[index] if index < len(formulas.tex) else "") + after


# --- TeX, cleaned of what surrounds it in markup -----------------------------------------------------

# LaTeXML breaks long lines behind a comment sign, and writes out the colours it has set.
_BROKEN_LINE = re.compile(r"(\\[A-Za-z]+)%\n(?=[A-Za-z])|(?<!\\)%\n")
_STROKE_COLOUR = re.compile(
    r"(?:\\color\[rgb\]\{[^{}]*\})?\\definecolor\[named\]\{pgfstrokecolor\}\{rgb\}\{[^{}]*\}(?:%?\s)?"
)
_PGF_COLOUR = re.compile(r"\\pgfsys@color@\w+@(?:stroke|fill)(?:\{[\d.]*\})+(?:%\n)?")
_CDATA = re.compile(r"(?:%\s*+|(?<!\s)\s*+)(?:<!\[CDATA\[|\]\]>)")
_DELIMITERS = (("\\(", "\\)", False), ("\\[", "\\]", True), ("$$", "$$", True), ("$", "$", False))
_WRAPPED = re.compile(r"\{\\(?:displaystyle|textstyle)\s++(.*)\}\s*\Z", re.DOTALL)
_STYLE = re.compile(r"\\(?:displaystyle|textstyle)(?![A-Za-z])\s*")


_LINE_END = re.compile(f"([\n{LINE_END}])")
_COMMENT = re.compile(r"(?<!\\)(?:\\\\)*+%")
_MATHTYPE = re.compile(r"%\s*+MathType!MTEF!\S*+")


def without_comments(tex: str) -> str:
    r"""TeX without what `%` comments out up to the end of its line, and without MathType's copy in `% MathType!...`.

    A `%` after which no line ends is kept: more often somebody forgot its backslash.
    """
    if "%" not in tex:
        return tex
    *pieces, last = _LINE_END.split(_MATHTYPE.sub("", tex))
    read = ""
    continued = False
    for line, end in zip(pieces[::2], pieces[1::2], strict=True):
        comment = _COMMENT.search(line)
        if comment is not None and line.count("}", comment.end()) > line.count("{", comment.end()):
            comment = None  # `\text{ %*% }`: what ends there began before it
        code = line if comment is None else line[: comment.end() - 1]
        read = _joined(read, code) if continued else read + code
        continued = comment is not None
        read += "\n" if end == "\n" and not continued else ""
    return _joined(read, last) if continued else read + last


def _joined(before: str, line: str) -> str:
    """A line after one that ended in a comment: its indentation does not count."""
    line = line.lstrip()
    apart = before[-1:].isalpha() and line[:1].isalpha()
    return f"{before} {line}" if apart else before + line


def _without_last_row_end(tex: str) -> str:
    r"""TeX without the `\\` after its last row, which shows nothing (Zhihu ends its displays so)."""
    while tex.endswith("\\\\"):
        rest = tex.rstrip("\\")
        if (len(tex) - len(rest)) % 2:  # the last backslash escapes the space that was trimmed
            return tex
        tex = rest.rstrip()
    return tex


def clean_tex(tex: str) -> tuple[str, bool | None]:
    r"""TeX without delimiters, CDATA marks and outer \displaystyle; and whether delimiters said it is a display."""
    if "CDATA" in tex or "]]>" in tex:
        tex = _CDATA.sub("", tex)
    _, begun, document = tex.partition("\\begin{document}")  # JATS
    document, ended, _ = document.rpartition("\\end{document}")
    if begun and ended:
        tex = document
    if "\\pgfsys@" in tex:
        tex = _PGF_COLOUR.sub("", tex)
    if "%\n" in tex:
        tex = _BROKEN_LINE.sub(lambda match: f"{match[1]} " if match[1] else "", tex)
    if "pgfstrokecolor" in tex:
        tex = _STROKE_COLOUR.sub("", tex)
    tex = _without_last_row_end(trim(without_comments(tex)))
    display: bool | None = None
    for opening, closing, is_display in _DELIMITERS:
        if len(tex) > len(opening) + len(closing) and tex.startswith(opening) and tex.endswith(closing):
            inner = tex[len(opening) : -len(closing)]
            if opening not in inner.replace("\\" + opening, "") and not ends_in_backslash(inner):
                tex, display = trim(inner), is_display
            break
    wrapped = _WRAPPED.match(tex)
    if wrapped is not None and _balanced(wrapped[1]) and not ends_in_backslash(wrapped[1]):
        tex = trim(wrapped[1])
    elif (style := _STYLE.match(tex)) is not None:
        tex = tex[style.end() :]
    return tex, display


def _balanced(tex: str) -> bool:
    depth = 0
    for mark in re.findall(r"(?<!\\)[{}]", tex):
        depth += 1 if mark == "{" else -1
        if depth < 0:
            return False
    return depth == 0
