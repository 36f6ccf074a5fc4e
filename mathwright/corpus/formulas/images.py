"""Images of formulas: the TeX in their alternative text, their title or their address."""

from __future__ import annotations

import re
from typing import Any

from resiliparse.parse.html.node import COMMENT

from mathwright.corpus.formulas.image_addresses import (
    decoded,
    is_service,
    tex_in_address,
    without_service_commands,
)
from mathwright.corpus.formulas.placeholders import is_placeholder
from mathwright.corpus.formulas.symbols import trim

Node = Any
"""An element of resiliparse's tree."""

_CLASSES = re.compile(
    r"\b(?:math|tex|latex|texrender|mwe-math\S*|mathimg|ee_img|ql-img\S*|equation|\w*formula\w*|wp-katex-eq|tex2jax|equation_image)\b",
    re.IGNORECASE,
)
LOOKS_LIKE_TEX = re.compile(r"\\[A-Za-z]+|[_^]\{|[_^]\w|^\$.*\$$|=")
_NO_ALT = re.compile(r"(?:tex2html_\w*+|(?:tex|latex|math|equation|formula|image|eq)\Z)", re.IGNORECASE)
"""What stands in `alt` where nobody wrote what the image shows."""
_LABEL = re.compile(r"\A(?:La)?TeX\s*:\s*", re.IGNORECASE)  # Canvas
_COMMAND = re.compile(r"\\[A-Za-z]+|[_^]")
_SYMBOL = len("proportional")
"""A longer text without a sign of TeX is no name of a symbol."""


def read_image(node: Node) -> tuple[str, bool, str] | None:
    """(TeX, whether it is a display, kind) of an image of a formula; None for any other image."""
    css = node.getattr("class") or ""
    tex = tex_of_attributes(node)
    if tex:
        return tex, _is_display(node, css, tex), "image"
    source = address_of(node)
    shown = _LABEL.sub("", trim(node.getattr("alt") or node.getattr("title") or ""))
    alt = "" if _NO_ALT.match(shown) else decoded(shown)
    if "codecogs" in source:
        alt = without_service_commands(alt)
    delimited = _is_delimited(alt)
    service = is_service(source)
    elsewhere = tex_in_address(source, known=service)
    if not elsewhere and (shown.startswith("tex2html") or "img" in source[-_END:]):
        elsewhere = _in_comment_before(node)
    if not elsewhere and (not alt or (len(alt) > _SYMBOL and not delimited and not LOOKS_LIKE_TEX.search(alt))):
        return None  # whatever its names say; most images end here
    named = _CLASSES.search(css) or node.getattr("eeimg") or _stands_in_formula(node)
    known = named or elsewhere or service
    if not (delimited or known or is_surely_tex(alt)):
        return None
    if not delimited and not named and "mathjax" in source:
        return None
    if not LOOKS_LIKE_TEX.search(alt):
        alt = elsewhere or alt
    if not alt or (not delimited and not LOOKS_LIKE_TEX.search(alt) and (len(alt) > _SYMBOL or not known)):
        return None
    return alt, _is_display(node, css, alt), "image"


def address_of(node: Node) -> str:
    """The address of an image, also of one that is loaded when it comes into view."""
    source = node.getattr("src") or ""
    if not source or source.startswith("data:"):
        source = node.getattr("data-src") or node.getattr("data-lazy-src") or ""
    return "" if source.startswith("data:") else source


_MATH_COMMENT = re.compile(r"\s*+MATH\s(.*)", re.DOTALL)
MAX_COMMENT = 20_000
_END = len("img12345.png")
"""How LaTeX2HTML names its images."""


def _in_comment_before(node: Node) -> str:
    """The TeX that LaTeX2HTML writes into a comment before the image, or before the element that begins with it."""
    for inner in (node, node.parent_element):
        before = inner.previous_sibling if inner is not None else None
        if before is not None and before.tag == "#text" and not (before.value or "").strip():
            before = before.previous_sibling
        if before is not None:
            value = (before.value or "")[:MAX_COMMENT] if before.type == COMMENT else ""
            found = _MATH_COMMENT.match(value)
            return trim(found[1]) if found is not None else ""
    return ""


_GREEK = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau"
    "|upsilon|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Phi|Psi|Omega"
)
_SURE = re.compile(
    rf"\\(?:[dtc]?frac|sqrt|sum|int|prod|lim|binom|left|begin|mathbb|mathbf|mathrm|mathcal|cdot|times|infty|partial|{_GREEK})"
    r"(?![A-Za-z])|[_^]\{"
)
COMMAND_SIGNS = ("\\frac", "\\dfrac", "\\sqrt", "\\sum", "\\int", *(f"\\{name}" for name in _GREEK.split("|")))
SURE_SIGNS = ("^{", "_{", *COMMAND_SIGNS)
"""On a page without these no text of an image is TeX by what it holds alone."""
_PATH = re.compile(
    r"\s*+(?:[A-Za-z]:[\\/]|\\\\\w|(?:file|https?):|[\w.-]{3,}+(?:\\[\w .-]++)++\Z)", re.IGNORECASE | re.ASCII
)
_FILE = re.compile(r"\.(?:gif|png|jpe?g|svg|webp|bmp|eps|pdf)\s*+\Z", re.IGNORECASE)
_GROUP = re.compile(r"\{[^{}]*+\}")
_TWO_WORDS = re.compile(r"(?<![\\A-Za-z])(?:[A-Za-z]{3,}+\s++[A-Za-z]{2}|[A-Za-z]{2}\s++[A-Za-z]{3})", re.ASCII)
MAX_ALT = 2_000


def is_surely_tex(text: str) -> bool:
    """Whether a text is TeX by what it holds, wherever it stands: no path of a file, and no prose."""
    if not ("\\" in text or "{" in text) or _SURE.search(text) is None or len(text) > MAX_ALT:
        return False
    if _PATH.match(text) is not None or _FILE.search(text) is not None:
        return False
    return _TWO_WORDS.search(_GROUP.sub("", text)) is None


def read_titled_svg(node: Node) -> tuple[str, bool, str] | None:
    """A drawing whose title, for those who do not see it, is TeX."""
    title = node.query_selector("title")
    tex = trim(title.text or "") if title is not None else ""
    return (tex, False, "image") if _is_delimited(tex) or is_surely_tex(tex) else None


_WRAPPERS = frozenset({"span", "a", "font"})
_MAX_BESIDE = 4


def is_copy(node: Node) -> bool:
    """Whether an image shows once more the one formula, read before, that stands beside it in a small wrapper."""
    inner = node
    for _ in range(3):
        around = inner.parent_element
        if around is None or not (around.tag in _WRAPPERS or _CLASSES.search(around.getattr("class") or "")):
            return False
        beside = _beside(inner)
        if beside is None or len(beside) > 1:
            return False
        if beside:
            return is_placeholder(beside[0])
        inner = around
    return False


def _beside(node: Node) -> list[str] | None:
    """The texts beside an element in the one around it; None where more stands there."""
    texts: list[str] = []
    for step in ("previous_sibling", "next_sibling"):
        other = getattr(node, step)
        for _ in range(_MAX_BESIDE):
            if other is None:
                break
            text = _short_text(other)
            if text is None:
                return None
            texts += [text] if text else []
            other = getattr(other, step)
        if other is not None:
            return None
    return texts


def _short_text(node: Node) -> str | None:
    """The text of a text or of an element that holds nothing else; None of any other element."""
    if node.type == COMMENT:
        return ""
    if node.tag != "#text":
        inner = node.first_child
        if inner is None:
            return None if node.tag == "img" else ""
        if inner.tag != "#text" or inner.next_sibling is not None:
            return None
        node = inner
    return (node.value or "").strip()


_HIDDEN_COPY_SIGNS = ("hidden-readable", "screenreader-only")
HIDDEN_COPIES = {f".{name}": (name,) for name in _HIDDEN_COPY_SIGNS}
"""Elements for those who listen, in which Canvas puts the MathML of the image before."""


def read_hidden_copy(node: Node) -> tuple[str, bool, str] | None:
    """Nothing, where an element holds the MathML of the image before it alone, whose TeX its author wrote."""
    before = node.previous_sibling
    if before is not None and before.tag == "#text" and not (before.value or "").strip():
        before = before.previous_sibling
    if before is None or before.tag != "img" or node.query_selector("math") is None:
        return None
    math = node.query_selector("math")
    alone = (math.text or "").strip() == (node.text or "").strip()
    return ("", False, "") if alone and read_image(before) is not None else None


def tex_of_attributes(node: Node) -> str:
    """The TeX that an editor kept in an attribute made for it (`data-equation-content`, `data-latex`, ...)."""
    for name in node.attrs:
        if name.startswith("data-") and any(word in name for word in _TEX_WORDS):
            value = decoded(node.getattr(name) or "")
            if _COMMAND.search(value) and "://" not in value and value.lstrip()[:1] not in "<[" and '":' not in value:
                return value
    return ""


_TEX_WORDS = ("tex", "math", "formula", "equation", "expr")


def _is_display(node: Node, css: str, tex: str) -> bool:
    if "display" in css or "Dsp" in css or tex.startswith("\\begin{"):
        return True
    parent = node.parent_element
    parent = parent.parent_element if parent is not None and parent.tag == "p" else parent
    return parent is not None and parent.tag == "div" and "math" in (parent.getattr("class") or "").split()


def _stands_in_formula(node: Node) -> bool:
    """Whether it is what Sphinx puts into `<div class="math">` and `<span class="math">`."""
    around = node.parent_element
    for _ in range(2):
        if around is not None and "math" in (around.getattr("class") or "").split():
            return True
        around = around.parent_element if around is not None else None
    return False


def _is_delimited(alt: str) -> bool:
    if alt.startswith("\\begin{") and alt.endswith("}"):  # LaTeX2HTML
        return True
    return alt.startswith(("$", "\\(", "\\[")) and alt.endswith(("$", "\\)", "\\]")) and len(alt) > 2
