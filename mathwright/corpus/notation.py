r"""Finding the mathematics of a page, in whatever markup it was written, as TeX.

Two places hold it. Elements (MathML, MathJax's scripts, KaTeX, images) are replaced in the tree by placeholders,
which pass through text extraction unharmed: `replace_elements`. Delimiters (`\(...\)`, `$...$`, environments) are
found in the extracted text, where a formula is whole even if markup cut it in pieces: `restore`.
"""

from __future__ import annotations

import re
import urllib.parse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.katex import katex_to_tex
from mathwright.corpus.mathml import mathml_to_tex
from mathwright.corpus.symbols import FILLER

Node = Any
"""An element of resiliparse's tree (its classes have no common public type with the attributes used here)."""

MAX_FORMULAS = 50_000
"""Formulas beyond this many on one page are left as the text they are."""

_OPEN, _CLOSE = "\ue000", "\ue001"
_DOLLAR, _BACKSLASH = "\ue002", "\ue003"
_PROTECT = str.maketrans({"$": _DOLLAR, "\\": _BACKSLASH})
RESERVED = re.compile(f"[\ue000-\ue003{FILLER}]")
"""Characters of the private use area that placeholders are made of; pages that hold them lose them."""


@dataclass(slots=True)
class Formulas:
    """The formulas found on a page, in the order in which they were found."""

    tex: list[str] = field(default_factory=list)
    display: list[bool] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    def add(self, tex: str, display: bool, kind: str) -> str:
        """Keep a formula; returns its placeholder."""
        self.tex.append(tex)
        self.display.append(display)
        self.kinds.append(kind)
        return f"{_OPEN}{len(self.tex) - 1}{_CLOSE}"


# --- TeX, cleaned of what surrounds it in markup -----------------------------------------------------

_CDATA = re.compile(r"%?\s*<!\[CDATA\[|%?\s*\]\]>")
_BLANK_LINES = re.compile(r"\n\s*\n+")
_DELIMITERS = (("\\(", "\\)", False), ("\\[", "\\]", True), ("$$", "$$", True), ("$", "$", False))
_WRAPPED = re.compile(r"\{\\(?:displaystyle|textstyle)\s+(.*)\}\s*\Z", re.DOTALL)
_STYLE = re.compile(r"\\(?:displaystyle|textstyle)(?![A-Za-z])\s*")


def clean_tex(tex: str) -> tuple[str, bool | None]:
    r"""TeX without delimiters, CDATA marks and outer \displaystyle; and whether delimiters said it is a display."""
    if "CDATA" in tex or "]]>" in tex:
        tex = _CDATA.sub("", tex)
    tex = tex.strip()
    display: bool | None = None
    for opening, closing, is_display in _DELIMITERS:
        if len(tex) > len(opening) + len(closing) and tex.startswith(opening) and tex.endswith(closing):
            inner = tex[len(opening) : -len(closing)]
            if opening not in inner.replace("\\" + opening, ""):
                tex, display = inner.strip(), is_display
            break
    wrapped = _WRAPPED.match(tex)
    if wrapped is not None and _balanced(wrapped[1]):
        tex = wrapped[1].strip()
    elif (style := _STYLE.match(tex)) is not None:
        tex = tex[style.end() :]
    return _BLANK_LINES.sub("\n", tex), display


def _balanced(tex: str) -> bool:
    depth = 0
    for mark in re.findall(r"(?<!\\)[{}]", tex):
        depth += 1 if mark == "{" else -1
        if depth < 0:
            return False
    return depth == 0


# --- elements ----------------------------------------------------------------------------------------


def replace_elements(tree: HTMLTree, source: str) -> Formulas:
    """Put placeholders where the tree holds formulas as elements; returns what they stand for.

    source: the HTML that was parsed. A kind of markup is looked for only where the source holds a sign of it.
    """
    formulas = Formulas()
    document = tree.document
    if document is None:
        return formulas
    present = {sign for sign in _SIGNS if sign in source}
    if not present:
        return formulas
    for signs, selector, read in _READERS:
        if present.isdisjoint(signs):
            continue
        nested = 0  # elements that went away together with the one around them
        for node in document.query_selector_all(selector).values():
            if nested:
                nested -= 1
                continue
            if len(formulas.tex) >= MAX_FORMULAS:
                return formulas
            found = read(node)
            if found is None:
                continue
            nested = len(node.query_selector_all(selector))
            tex, display, kind = found
            tex, delimited = clean_tex(tex)
            text = formulas.add(tex, display or bool(delimited), kind) if tex else ""
            node.replace_with(tree.create_text_node(text))
    return formulas


def protect_code(tree: HTMLTree) -> None:
    """Hide dollars and backslashes of program text, so that they do not look like delimiters."""
    if tree.document is None:
        return
    for node in tree.document.query_selector_all("pre, code, kbd, samp, tt, textarea").values():
        text = node.text or ""
        if "$" not in text and "\\" not in text:
            continue
        if node.first_element_child is None or node.query_selector("br, div, p, li, tr, math, img") is None:
            node.text = text.translate(_PROTECT)  # drops the highlighter's spans, which plain text does not show
            continue
        for leaf in list(node):  # a tree must not change while it is walked
            if leaf.tag == "#text" and leaf.value:
                leaf.value = leaf.value.translate(_PROTECT)


_Found = tuple[str, bool, str]


def _script(node: Node) -> _Found | None:
    kind = node.getattr("type") or ""
    display = "mode=display" in kind.replace(" ", "")
    if "mml" in kind or "mathml" in kind:
        return _mathml_text(node.text or "", "mathjax_script")
    if "asciimath" in kind:
        return None
    return node.text or "", display, "mathjax_script"


def _mathjax_output(node: Node) -> _Found | None:
    """MathJax 2's output; where its scripts stand beside it, they are the source and this is a copy."""
    markup = node.getattr("data-mathml")
    if markup:
        display = "Display" in (node.getattr("class") or "")
        found = _mathml_text(markup, "mathjax_output")
        return found if found is None else (found[0], found[1] or display, found[2])
    return None


def _mathml_text(markup: str, kind: str) -> _Found | None:
    """MathML written as text, in a script or an attribute."""
    math = HTMLTree.parse(markup[:1_000_000]).document.query_selector("math")  # pyright: ignore[reportOptionalMemberAccess]
    if math is None:
        return None
    tex, display, _ = _math(math)
    return tex, display, kind


def _mjx_container(node: Node) -> _Found | None:
    display = node.getattr("display") in ("true", "block")
    for inner in (node.query_selector("mjx-math[data-latex]"), node.query_selector("math[data-latex]")):
        if inner is not None:
            return inner.getattr("data-latex"), display, "mathjax_output"
    math = node.query_selector("math")
    if math is not None:
        tex, block, _ = _math(math)
        return tex, display or block, "mathjax_output"
    math = node.query_selector("mjx-math")
    return None if math is None else (mathml_to_tex(math), display, "mathjax_output")


def _katex(node: Node) -> _Found | None:
    parent = node.parent_element
    display = parent is not None and "katex-display" in (parent.getattr("class") or "")
    annotation = node.query_selector("annotation")
    if annotation is not None:
        return annotation.text or "", display, "katex"
    math = node.query_selector("math")
    if math is not None:
        return mathml_to_tex(math), display, "katex"
    html = node.query_selector(".katex-html")
    return None if html is None else (katex_to_tex(html), display, "katex_html")


def _annotation(math: Node) -> str | None:
    for annotation in math.query_selector_all("annotation").values():
        if "tex" in (annotation.getattr("encoding") or "").lower():
            return annotation.text or ""
    return None


def _math(node: Node) -> _Found:
    display = node.getattr("display") == "block" or node.getattr("mode") == "display"
    latexml = "ltx_" in (node.getattr("class") or "")
    alttext = node.getattr("alttext")
    if latexml and alttext:
        return alttext, display, "latexml"
    tex = _annotation(node)
    if tex and tex.strip():
        return tex, display, "mathml_annotation"
    if alttext and not alttext.isspace():
        return alttext, display, "mathml_alttext"
    return mathml_to_tex(node), display, "mathml"


def _wiki(node: Node) -> _Found | None:
    """MediaWiki's wrapper around MathML and its fallback image."""
    math = node.query_selector("math")
    image = node.query_selector("img[alt]")
    if math is None and image is None:
        return None
    display = (
        "display" in (node.getattr("class") or "")
        or node.query_selector(".mwe-math-fallback-image-display") is not None
    )
    tex = _math(math)[0] if math is not None else image.getattr("alt")
    return tex, display, "wikimedia"


_IMAGE_CLASSES = re.compile(r"\b(?:math|tex|latex|mwe-math\S*|mathimg|ee_img|ql-img\S*|equation)\b", re.IGNORECASE)
_IMAGE_SOURCES = re.compile(
    r"codecogs\.com|latex\.php|mimetex|mathtex|quicklatex|cht=tx|/math/render/|/images/math/|wp-latex|s0\.wp\.com/latex"
    r"|texify|/teximages?/|latex\.(?:gif|png|svg|download)|eq\.(?:latex|png)\?|/equation\?tex=|/tex/|render\.githubusercontent",
    re.IGNORECASE,
)
_TEX_IN_URL = re.compile(
    r"(?:latex\.php\?(?:.*&)?latex=|cht=tx&(?:.*&)?chl=|/equation\?tex=|math\?math=|latex\?tex=)([^&]+)"
    r"|(?:codecogs\.com/(?:gif|png|svg|eq)\.\w+\?|mimetex\.cgi\?|mathtex\.cgi\?)(.+)"
)
_LOOKS_LIKE_TEX = re.compile(r"\\[A-Za-z]+|[_^]\{|[_^]\w|^\$.*\$$|=")


def _image(node: Node) -> _Found | None:
    """An image of a formula whose alt text, title or address holds the TeX."""
    source = node.getattr("src") or node.getattr("data-src") or ""
    css = node.getattr("class") or ""
    alt = (node.getattr("alt") or node.getattr("title") or "").strip()
    delimited = alt.startswith(("$", "\\(", "\\[")) and alt.endswith(("$", "\\)", "\\]")) and len(alt) > 2
    if not (delimited or _IMAGE_CLASSES.search(css) or _IMAGE_SOURCES.search(source)):
        return None
    if not delimited and "mathjax" in source:
        return None
    in_url = _TEX_IN_URL.search(source)
    if in_url is not None and not _LOOKS_LIKE_TEX.search(alt):
        alt = urllib.parse.unquote_plus(in_url[1]) if in_url[1] else urllib.parse.unquote(in_url[2])
    if not alt or (not delimited and len(alt) > 12 and not _LOOKS_LIKE_TEX.search(alt)):
        return None
    return alt, "display" in css, "image"


def _attribute(node: Node) -> _Found | None:
    """An element that a script of the page turns into mathematics, its TeX in an attribute."""
    for name in ("data-tex", "data-latex", "data-math", "data-formula", "data-expr"):
        tex = node.getattr(name)
        if tex:
            if name in ("data-math", "data-expr", "data-formula") and not _LOOKS_LIKE_TEX.search(tex):
                return None
            display = (node.getattr("data-display") or node.getattr("data-math-style") or "") in (
                "true",
                "display",
                "block",
            )
            return tex, display, "attribute"
    return None


_SPAN = re.compile(r"\s*(?:\\\((.+)\\\)|\\\[(.+)\\\]|\$\$(.+)\$\$|\$([^$]+)\$)(?:\s*\([\w.]+\))?[\s¶#]*\Z", re.DOTALL)


def _span(node: Node) -> _Found | None:
    """`<span class="math">` of Sphinx, docutils, pandoc and their kin: delimiters inside, or bare TeX."""
    if node.first_element_child is not None:
        for extra in node.query_selector_all(".eqno, .headerlink, script").values():
            extra.remove()
    text = node.text or ""
    if _OPEN in text:  # an image or MathML, read before
        return None
    css = node.getattr("class") or ""
    display = node.tag == "div" or "display" in css
    spelled = _SPAN.match(text)
    if spelled is not None:
        tex = next(group for group in spelled.groups() if group is not None)
        if not any(mark in tex for mark in ("\\)", "\\]", "$")) or text.count("$") == 2:
            return tex, spelled[2] is not None or spelled[3] is not None, "math_span"
        return None
    if any(mark in text for mark in ("\\(", "\\[", "$")):
        return None
    if (node.first_element_child is None and _LOOKS_LIKE_TEX.search(text)) or len(text.strip()) == 1:
        return text, display, "math_span"
    return None


def _drop(node: Node) -> _Found | None:
    return "", False, ""


_READERS: tuple[tuple[tuple[str, ...], str, Callable[[Node], _Found | None]], ...] = (
    (("math",), 'script[type^="math/"]', _script),
    (("MathJax",), ".MathJax_Preview, .MathJax_Error", _drop),
    (("MathJax", "mjx-"), ".MathJax_Display, .MathJax_SVG_Display, .MathJax[data-mathml],"
     " .MathJax_SVG[data-mathml], .mjx-chtml[data-mathml], .MathJax_CHTML[data-mathml]", _mathjax_output),
    (("mjx-",), "mjx-container", _mjx_container),
    (("math",), ".mwe-math-element", _wiki),
    (("katex",), ".katex", _katex),
    (("math",), "math, m\\:math, mml\\:math", _math),
    (("math", "atex", "mimetex", "cht=tx", 'alt="$', 'alt="\\'), "img", _image),
    (("data-tex", "atex", "data-math", "data-formula", "data-expr"),
     "[data-tex], [data-latex], [data-math], [data-formula], [data-expr]", _attribute),
    (("math", 'class="formula'), "span.math, div.math, code.math, p.math, span.formula, .arithmatex,"
     " script[type='text/tex'], tex-math", _span),
)  # fmt: skip
"""Signs in the source, selector and reader, in the order in which they are tried: what wraps another comes first."""
_SIGNS = frozenset(sign for signs, _, _ in _READERS for sign in signs)


# --- delimiters in text ------------------------------------------------------------------------------

_ENVIRONMENTS = (
    "equation|align|alignat|aligned|gather|gathered|multline|eqnarray|displaymath|flalign|split|math|cases|array"
)
_OPENING = re.compile(
    rf"(?P<escaped>\\\$)|(?P<paren>\\\()|(?P<bracket>\\\[)|(?P<dollars>\$\$)|(?P<dollar>\$)"
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
_TEX_SIGN = re.compile(r"\\[A-Za-z,;!{}|]|[_^{}=<>]")


def has_delimiters(text: str) -> bool:
    """Whether a text may hold formulas between delimiters."""
    return "$" in text or "\\(" in text or "\\[" in text or "\\begin{" in text


def find_delimited(text: str, formulas: Formulas) -> str:
    """Replace formulas between delimiters by placeholders. Money, shell variables and prices stay as they are."""
    closings = _Closings(text)
    pieces: list[str] = []
    position = copied = 0
    while (opening := _OPENING.search(text, position)) is not None and len(formulas.tex) < MAX_FORMULAS:
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
        pieces += text[copied : opening.start()], formulas.add(_BLANK_LINES.sub("\n", tex.strip()), display, name)
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
        if end is None or end - start > MAX_DISPLAY or not self._text[start : end - 2].strip():
            return None
        return None if kind == "paren" and "\n\n" in self._text[start:end] else end

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


# --- putting the TeX back ----------------------------------------------------------------------------

_PLACEHOLDER = re.compile(f"{_OPEN}(\\d+){_CLOSE}")


def restore(text: str, formulas: Formulas) -> tuple[str, Counter[str]]:
    r"""Put TeX between dollars where the placeholders are; displays on lines of their own. Counts by kind.

    A formula whose place the extraction threw away with the boilerplate is not counted.
    """
    counts: Counter[str] = Counter()

    def put(match: re.Match[str]) -> str:
        index = int(match[1])
        if index >= len(formulas.tex):
            return ""
        tex = formulas.tex[index]
        # A formula found in text may have been cut in pieces by elements that are formulas themselves.
        tex = _PLACEHOLDER.sub(lambda inner: _bare(inner, formulas), tex)
        counts[formulas.kinds[index]] += 1
        return f"\n$${tex}$$\n" if formulas.display[index] else f"${tex}$"

    text = _PLACEHOLDER.sub(put, text)
    if _DOLLAR in text or _BACKSLASH in text:
        text = text.replace(_DOLLAR, "$").replace(_BACKSLASH, "\\")
    return RESERVED.sub("", text), counts


def _bare(match: re.Match[str], formulas: Formulas) -> str:
    index = int(match[1])
    return formulas.tex[index] if index < len(formulas.tex) else ""
