r"""Formulas between delimiters in running text: `\(...\)`, `\[...\]`, `$...$`, `$$...$$`, environments, the page's own.

Which delimiters count is for the page to say (`page_config`). Where it says nothing, a single dollar delimits if
what follows looks like a formula and not like money, a variable of a shell or a call of a JavaScript library.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import accumulate

from mathwright.corpus.formulas.asciimath import asciimath_to_tex
from mathwright.corpus.formulas.dollars import (
    is_configured_formula,
    is_display_formula,
    is_inline_formula,
    is_marked_formula,
    is_symbol,
)
from mathwright.corpus.formulas.placeholders import EMPHASIS, STRONG, Formulas, without_comments
from mathwright.corpus.formulas.symbols import FILLER

_ENVIRONMENTS = (
    "equation|align|alignat|aligned|gather|gathered|multline|eqnarray|displaymath|flalign|split|math|cases|array"
    "|[pbvBV]?matrix|smallmatrix|subequations|dcases|CD|prooftree|IEEEeqnarray|tikzcd"
)
# That each alternative begins with a character of its own lets the search skip to these characters.
_OPENING = (
    rf"\\(?:(?P<escaped>\$)|(?P<paren>(?<!\\\\)\()|(?P<bracket>(?<!\\\\)\[)"
    rf"|begin\{{(?P<environment>(?:{_ENVIRONMENTS})\*?)\}})|\$(?:(?P<many>\$\$+)|(?P<dollars>\$)|(?P<dollar>))"
)
_OPENINGS = re.compile(_OPENING)
_UNESCAPED_DOLLAR = re.compile(r"\$(?<!\\\$)")
_FOREIGN_MONEY = re.compile(r"(?:\b(?:US|AU|CA|NZ|HK|SG|NT|MX|[ACRS])|[€£¥])\Z")
MAX_DISPLAY = 8000
MAX_INLINE = 1000
"""Characters between delimiters; beyond that a delimiter has lost its partner."""
_MAX_TAGS = 20
_MAX_TRIES = 8
"""Closing delimiters tried where braces are open at the first (`$a \\text{ if $b$}$`)."""
_READS_PER_CHARACTER = 50
_NEAR = 200
"""A text is read about once on the look-out for partners of delimiters, and never more than so many times: behind that
(thousands of openings before one closing) partners are looked for within _NEAR characters alone."""


_TAGS = r"tex|itex|latex|math|imath|dmath|inlinemath|displaymath|blockmath|mathjax|mathjaxinline"
_DISPLAY_TAGS = frozenset({"dmath", "displaymath", "blockmath", "mathjax"})
TAG = re.compile(rf"\[/?(?:{_TAGS})\]|\{{/?eq\}}|\[;|;\]", re.IGNORECASE)
"""Tags of forums and of courses around TeX that is typeset later: `[tex]x[/tex]`, `{eq}x{/eq}`, `[;x;]`."""
_BARS = (("|$$", "$$|", True, False), ("|$", "$|", False, False))
"""What Oxford University Press writes: `|$x$|`."""
_FEWEST_BARS = 3
"""So many formulas between bars are no cardinalities or absolute values whose bars stand outside the dollars."""
_MANY = (3, 6)
"""Dollars around a formula and around a display at Codeforces."""
_LATEX = "latex "
"""What WordPress writes behind the dollar: `$latex x$`."""


def has_delimiters(text: str, formulas: Formulas | None = None) -> bool:
    """Whether a text may hold formulas between delimiters."""
    if "$" in text or "\\(" in text or "\\[" in text or "\\begin{" in text or has_tags(text):
        return True
    return formulas is not None and any(opening in text for opening, _, _, _ in _own_delimiters(formulas))


def has_tags(text: str) -> bool:
    return ("[/" in text or "{/eq" in text or ";]" in text) and TAG.search(text) is not None


def _marks(text: str) -> list[tuple[str, str, bool, bool]]:
    """Tags and other marks of platforms, as the text spells them, with what `_own_delimiters` says of each."""
    marks: list[tuple[str, str, bool, bool]] = []
    num_bars = min(text.count("|$"), text.count("$|"))
    if num_bars >= _FEWEST_BARS and text.count("$") <= 4 * num_bars:
        marks += _BARS
    if has_tags(text):
        opening = dict.fromkeys(tag for tag in TAG.findall(text) if tag[1] not in "/]")
        marks += [(tag, _closing_tag(tag), tag[1:-1].lower() in _DISPLAY_TAGS, False) for tag in opening]
    return marks[:_MAX_TAGS]


def _closing_tag(tag: str) -> str:
    return ";]" if tag == "[;" else f"{tag[0]}/{tag[1:]}"


def _own_delimiters(formulas: Formulas) -> list[tuple[str, str, bool, bool]]:
    """Delimiters that the page defines for itself: (opening, closing, display, AsciiMath)."""
    config = formulas.config
    own = [(*pair, False, True) for pair in config.asciimath if pair[0] and pair[1]]
    own += [(*pair, False) for pair in config.custom()]
    return sorted(own, key=lambda pair: len(pair[0]), reverse=True)  # where `$$$` opens, `$$$$$$` may


def find_delimited(text: str, formulas: Formulas) -> str:
    """Replace formulas between delimiters by placeholders. Money, shell variables and prices stay as they are.

    TeX comes out as the author wrote it: subscripts and stars that Markdown took for emphasis are put back, and so are
    the double backslashes of rows of which it left single ones. AsciiMath comes out as TeX.
    """
    closings = _Closings(text, formulas)
    own = _own_delimiters(formulas)
    configured = len(own)
    own += [mark for mark in _marks(text) if mark[0] not in {pair[0] for pair in own}]
    openings = _OPENINGS
    if own:
        named = "|".join(f"(?P<own{i}>(?<!\\\\){re.escape(pair[0])})" for i, pair in enumerate(own))
        openings = re.compile(f"{named}|{_OPENING}")
    inline_displays = ("$$", "$$") in (formulas.config.inline or ())
    pieces: list[str] = []
    position = copied = 0
    while (opening := openings.search(text, position)) is not None and not formulas.full():
        position = opening.end()
        kind = opening.lastgroup or ""
        if kind.startswith("own"):
            number = int(kind[3:])
            _, closing, display, asciimath = own[number]
            end = closings.own(opening, closing, asciimath)
            if end is None:
                continue
            tex = text[opening.end() : end - len(closing)]
            # What is no tag with a name may mean something else.
            is_formula = is_display_formula if closing[1:2] == "/" else is_marked_formula
            if number >= configured and not (is_symbol(tex) or is_formula(tex)):
                continue
            tex = asciimath_to_tex(tex) if asciimath else as_written(tex)
            name = "asciimath" if asciimath else "own_delimiters"
        else:
            end = closings.find(opening)
            if end is None:
                continue
            if kind == "environment":
                tex, display, name = text[opening.start() : end], True, "environment"
            else:
                many = len(opening[0]) if kind == "many" else 0
                tex = text[opening.end() : end - (many or (1 if kind == "dollar" else 2))]
                display = kind == "bracket" or (kind == "dollars" and not inline_displays) or many == max(_MANY)
                name = "tex_delimiters" if kind in ("paren", "bracket") else "own_delimiters" if many else "dollars"
            tex = as_written(tex)
            if kind == "dollar" and len(tex) > 2 and tex[0] == tex[-1] == "`":  # GitLab's $`...`$
                tex = tex[1:-1]
            if kind == "dollar" and tex.startswith(_LATEX):
                tex = tex[len(_LATEX) :]
        pieces += text[copied : opening.start()], formulas.add(tex, display, name)
        position = copied = end
    return "".join(pieces) + text[copied:]


class _Closings:
    """Where the formula ends that an opening delimiter begins.

    Remembers the next place of each closing delimiter and counts the characters between delimiters that it has read,
    so that a page of openings without partners takes linear time.
    """

    def __init__(self, text: str, formulas: Formulas) -> None:
        self._text = text
        self._dollars = formulas.config.dollars()
        self._next: dict[str, int] = {}
        self._braces: _Braces | None = None
        self.num_read = 0
        """Characters between an opening delimiter and a closing one tried for it."""
        self._num_readable = _READS_PER_CHARACTER * (len(text) + MAX_DISPLAY)

    def find(self, opening: re.Match[str]) -> int | None:
        """Offset behind the closing delimiter; None where nothing is opened after all."""
        kind = opening.lastgroup
        start = opening.end()
        if kind == "escaped":
            return None
        if kind == "many":
            return self._many(opening)
        if kind == "dollar":
            return self._dollar(opening)
        closing = {"paren": "\\)", "bracket": "\\]", "dollars": "$$"}.get(kind or "")
        end = self._after(closing or f"\\end{{{opening['environment']}}}", start, MAX_DISPLAY)
        if end is None:
            return None
        inner = self._text[start : end - 2]
        if kind == "paren" and "\n\n" in inner:
            return None
        sure = kind == "environment" or (kind in ("paren", "bracket") and is_symbol(inner))
        return end if sure or is_display_formula(inner) else None

    def own(self, opening: re.Match[str], closing: str, asciimath: bool) -> int | None:
        """Offset behind the end of a formula between the page's own delimiters."""
        end = self._after(closing, opening.end(), MAX_INLINE if asciimath else MAX_DISPLAY)
        if end is None:
            return None
        inner = self._text[opening.end() : end - len(closing)]
        escaped = len(closing) == 1 and inner.endswith("\\")
        return end if inner.strip() and not escaped and "\n\n" not in inner else None

    def _many(self, opening: re.Match[str]) -> int | None:
        """Three or six dollars on both sides of what is surely a formula; they stand for classes of prices, too."""
        closing = opening[0]
        if len(closing) not in _MANY:
            return None
        end = self._after(closing, opening.end(), MAX_DISPLAY)
        if end is None or self._text[end : end + 1] == "$":
            return None
        inner = self._text[opening.end() : end - len(closing)]
        hugged = inner.strip() == inner or len(closing) == max(_MANY)
        return end if hugged and "$" not in inner and "\n\n" not in inner and is_marked_formula(inner) else None

    def _dollar(self, opening: re.Match[str]) -> int | None:
        start = opening.end()
        if self._dollars is False:
            return None
        if self._text[start : start + 1].isdigit() and _FOREIGN_MONEY.search(self._text[max(0, start - 4) : start - 1]):
            return None
        end = self._after("$", start, MAX_INLINE)
        if end is None or (not self._dollars and self._text[end : end + 1].isdigit()):
            return None
        inner = self._text[start : end - 1]
        if "\n\n" in inner:
            return None
        if self._text[end : end + 1] == "{" and inner.startswith("{"):  # `${x} and ${y}` of a template
            return None
        if EMPHASIS in inner or STRONG in inner:
            inner = as_written(inner)
        if inner.startswith(_LATEX) and "\n" not in inner:
            return end
        return end if (is_configured_formula if self._dollars else is_inline_formula)(inner) else None

    def _after(self, closing: str, start: int, limit: int) -> int | None:
        """Offset behind the first `closing` at or behind `start` at which no brace is open."""
        first = self._first(closing, start)
        tries = _MAX_TRIES
        if self.num_read > self._num_readable:
            tries, limit = 1, min(limit, _NEAR)
        if first is None or first - start > limit:
            return None
        end: int | None = first
        for _ in range(tries):
            self.num_read += end - start
            if not self._open_braces(start, end - len(closing)):
                return end
            end = self._first_within(closing, end, start + limit)
            if end is None:
                break
        return first

    def _open_braces(self, start: int, end: int) -> bool:
        """Whether more braces are opened than closed between two offsets; `\\{` is none."""
        if self._text.count("{", start, end) <= self._text.count("}", start, end):
            return False
        if self._braces is None:
            self._braces = _Braces(self._text)
        return self._braces.depth(start, end) > 0

    def _first(self, closing: str, start: int) -> int | None:
        found = self._next.get(closing, -1)
        if found < start:
            found = (self._first_within(closing, start, len(self._text)) or len(self._text) + 2) - len(closing)
            self._next[closing] = found
        return None if found + len(closing) > len(self._text) else found + len(closing)

    def _first_within(self, closing: str, start: int, stop: int) -> int | None:
        if closing == "$":
            match = _UNESCAPED_DOLLAR.search(self._text, start, stop)
            return None if match is None else match.end()
        found = self._text.find(closing, start, stop)
        return None if found < 0 else found + len(closing)


_BRACES = re.compile(r"\\[\\{}]|[{}]")


class _Braces:
    """The braces of a text, read once: how many are open between two offsets."""

    def __init__(self, text: str) -> None:
        marks = [(match.start(), match[0]) for match in _BRACES.finditer(text) if len(match[0]) == 1]
        self._places = [place for place, _ in marks]
        self._depths = list(accumulate((1 if mark == "{" else -1 for _, mark in marks), initial=0))

    def depth(self, start: int, end: int) -> int:
        """Braces opened less braces closed from `start`, where no escape is cut, up to `end`."""
        return self._depths[bisect_left(self._places, end)] - self._depths[bisect_left(self._places, start)]


# --- TeX that Markdown changed -------------------------------------------------------------------------

_TYPED = {"’": "'", "‘": "'", "–": "-"}
_TEXT_OR_TYPOGRAPHY = re.compile(r"\\(?:text\w*|mbox|hbox|mathrm|tag)\s*\{[^{}]*\}|[’‘–]")
"""What a blog's typography made of a prime and a minus; in words of a formula they may be meant."""
_EMPHASIS_PAIR = re.compile(f"(.?){EMPHASIS}([^{EMPHASIS}]*){EMPHASIS}(?=(.?))", re.DOTALL)
_ROWS = re.compile(r"\\begin\{(?:aligned|align|array|[pbvBV]?matrix|smallmatrix|d?cases|split|gather|eqnarray)")
_EATEN_ROW_END = re.compile(r"(?<!\\)\\(?=\s)[ \t]*")


def as_written(tex: str) -> str:
    r"""TeX before Markdown and typography: `_`, `*` and `**` where emphasis stands, `\\` at the ends of rows, `'`, `-`.

    An underscore and a star leave the same element behind. A star is what stands behind `^` or between white space
    (`x^* + y^*`); anything else is far more often a subscript.
    """
    if EMPHASIS in tex or STRONG in tex:
        tex = _EMPHASIS_PAIR.sub(_emphasis, tex.replace(STRONG, "**").replace(FILLER, ""))
        tex = tex.replace(EMPHASIS, "_")  # the other end lies outside the formula
    if "’" in tex or "–" in tex or "‘" in tex:
        tex = _TEXT_OR_TYPOGRAPHY.sub(lambda match: _TYPED.get(match[0], match[0]), tex)
    if "\\\\" not in tex and _ROWS.search(tex) is not None:
        tex = _EATEN_ROW_END.sub(lambda match: "\\\\" + match[0][1:], tex)
    return without_comments(tex)


def _emphasis(match: re.Match[str]) -> str:
    before, inner, after = match.groups()
    star = before in ("^", "", " ", "(", ",") or inner.endswith("^") or (not after.strip() and not inner[-1:].isalnum())
    mark = "*" if star and inner else "_"
    return f"{before}{mark}{inner}{mark}"
