"""Images of formulas: the TeX in their alternative text, their title or their address."""

from __future__ import annotations

import re
import urllib.parse
from typing import Any

from mathwright.corpus.formulas.symbols import trim

Node = Any
"""An element of resiliparse's tree."""

_CLASSES = re.compile(
    r"\b(?:math|tex|latex|texrender|mwe-math\S*|mathimg|ee_img|ql-img\S*|equation|\w*formula\w*|wp-katex-eq|tex2jax|equation_image)\b",
    re.IGNORECASE,
)
_SOURCES = re.compile(
    r"codecogs\.com|latex\.php|mimetex|mathtex|quicklatex|cht=tx|/math/render/|/images/math/|/wikipedia/\w+/math/"
    r"|wp-latex|s\d?\.wp\.com/latex|texify|/teximages?/|/filter/tex/|latex\.(?:gif|png|svg|download)|eq\.(?:latex|png)\?"
    r"|/equation\?tex=|/tex/|render\.githubusercontent|[/.](?:eq)?(?:svg|png|gif)\.(?:latex|image)\?|/math\.cgi\?"
    r"|upload\.wikimedia\.org/math/|upmath\.me/|s2cms\.ru/|/equation_images/|[?&](?:formula|latex)=%5C|[/_]images/math/"
    r"|/mathjax/tex\?",
    re.IGNORECASE,
)
_IN_FORM = re.compile(
    r"(?:latex\.php\?(?:[^#]*&)?latex=|cht=tx&(?:[^#]*&)?chl=|chl=(?=[^#]*&cht=tx)|/equation\?(?:[^#]*&)?tex="
    r"|/math\?math=|[?&](?:tex|latex|math|formula|eq)=)([^&#]+)"
)
"""A field of a form, in which `+` is a space."""
_IN_QUERY = re.compile(
    r"(?:codecogs\.com/(?:[\w.]+/)?(?:gif|png|svg|eq|pdf|swf)\.\w+\?|(?:mimetex|mathtex|math)\.cgi\?"
    r"|/(?:gif|png|svg|eqn?)\.(?:latex|image)\?|chart\.apis\.google\.com/tex\?)(.+)"
)
"""The whole query, in which `+` is a plus."""
_IN_PATH = re.compile(r"(?:(?:upmath\.me|s2cms\.ru)/(?:svg|png)|/equation_images)/([^?#]+)")
"""The rest of the path, sometimes encoded twice."""
_SERVICE_PREFIX = re.compile(
    r"\A(?:\\dpi\{\d+\}|\\bg_?(?:\{?\w+\}?)|\\fn_\w+|\\inline|\\(?:tiny|small|large|huge|LARGE|Large|normalsize)"
    r"|\\color\{\w+\}(?=\\|\s)|\\opaque|\\reverse|\\(?:white|black)(?=\s))\s+|\A\\dpi\{\d+\}|\A\\inline(?![A-Za-z])"
)
"""Commands of image services, not of TeX: resolution, background, font."""
LOOKS_LIKE_TEX = re.compile(r"\\[A-Za-z]+|[_^]\{|[_^]\w|^\$.*\$$|=")
_NAMES = frozenset({"tex", "latex", "math", "equation", "formula", "image", "eq"})
"""What stands in `alt` where nobody wrote what the image shows."""
_LABEL = re.compile(r"\A(?:La)?TeX\s*:\s*", re.IGNORECASE)  # Canvas
_ENCODED = re.compile(r"%(?:5C|7B|5E|2B|3D|20)", re.IGNORECASE)
_COMMAND = re.compile(r"\\[A-Za-z]+|[_^]")


def read_image(node: Node) -> tuple[str, bool, str] | None:
    """(TeX, whether it is a display, kind) of an image of a formula; None for any other image."""
    source = node.getattr("src") or ""
    if not source or source.startswith("data:"):
        source = node.getattr("data-src") or node.getattr("data-lazy-src") or source[:MAX_ADDRESS]
    css = node.getattr("class") or ""
    tex = tex_of_attributes(node)
    if tex:
        return tex, _is_display(node, css, tex), "image"
    alt = _LABEL.sub("", trim(node.getattr("alt") or node.getattr("title") or ""))
    alt = decoded(alt)
    delimited = _is_delimited(alt)
    named = _CLASSES.search(css) or node.getattr("eeimg") or _stands_in_formula(node)
    known = named or _SOURCES.search(source)
    if not (delimited or known):
        return None
    if not delimited and not named and "mathjax" in source:
        return None
    if not LOOKS_LIKE_TEX.search(alt):
        alt = tex_in_address(source) or alt
    if not alt or (not delimited and not LOOKS_LIKE_TEX.search(alt) and (len(alt) > 12 or not known)):
        return None
    return None if alt.lower() in _NAMES else (alt, _is_display(node, css, alt), "image")


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


def _is_encoded(text: str) -> bool:
    """Whether a text is percent-encoded as a whole."""
    return _ENCODED.search(text) is not None and "\\" not in text and not any(map(str.isspace, text))


def decoded(text: str) -> str:
    """A text without percent-encoding where all of it is so encoded."""
    return urllib.parse.unquote(text) if _is_encoded(text) else text


def _is_delimited(alt: str) -> bool:
    if alt.startswith("\\begin{") and alt.endswith("}"):  # LaTeX2HTML
        return True
    return alt.startswith(("$", "\\(", "\\[")) and alt.endswith(("$", "\\)", "\\]")) and len(alt) > 2


MAX_ADDRESS = 4000
"""So much of the address of an image is looked at: services refuse longer ones."""


def tex_in_address(source: str) -> str:
    """The TeX in the address of an image that a service draws; "" where there is none. Decoded exactly once."""
    source = source[:MAX_ADDRESS]
    found = _IN_QUERY.search(source)
    if found is not None:
        tex = urllib.parse.unquote(found[1]).replace("&space;", " ").replace("&plus;", "+")
        while (prefix := _SERVICE_PREFIX.match(tex)) is not None:
            tex = tex[prefix.end() :]
        return trim(tex)
    found = _IN_PATH.search(source)
    if found is not None:
        tex = urllib.parse.unquote(found[1])
        return trim(decoded(tex))
    found = _IN_FORM.search(source) if _SOURCES.search(source) else None
    return "" if found is None else trim(urllib.parse.unquote_plus(found[1]))
