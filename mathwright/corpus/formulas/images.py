"""Images of formulas: the TeX in their alternative text, their title or their address."""

from __future__ import annotations

import re
import urllib.parse
from typing import Any

from mathwright.corpus.formulas.symbols import trim

Node = Any
"""An element of resiliparse's tree."""

_CLASSES = re.compile(
    r"\b(?:math|tex|latex|texrender|mwe-math\S*|mathimg|ee_img|ql-img\S*|equation|formula\w*|wp-katex-eq|tex2jax)\b",
    re.IGNORECASE,
)
_SOURCES = re.compile(
    r"codecogs\.com|latex\.php|mimetex|mathtex|quicklatex|cht=tx|/math/render/|/images/math/|/wikipedia/\w+/math/"
    r"|wp-latex|s\d?\.wp\.com/latex|texify|/teximages?/|/filter/tex/|latex\.(?:gif|png|svg|download)|eq\.(?:latex|png)\?"
    r"|/equation\?tex=|/tex/|render\.githubusercontent|[/.](?:eq)?(?:svg|png|gif)\.(?:latex|image)\?|/math\.cgi\?"
    r"|upload\.wikimedia\.org/math/",
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
_SERVICE_PREFIX = re.compile(
    r"\A(?:\\dpi\{\d+\}|\\bg_?(?:\{?\w+\}?)|\\fn_\w+|\\inline|\\(?:tiny|small|large|huge|LARGE|Large|normalsize)"
    r"|\\color\{\w+\}(?=\\|\s)|\\opaque|\\reverse|\\(?:white|black)(?=\s))\s+|\A\\dpi\{\d+\}|\A\\inline(?![A-Za-z])"
)
"""Commands of image services, not of TeX: resolution, background, font."""
LOOKS_LIKE_TEX = re.compile(r"\\[A-Za-z]+|[_^]\{|[_^]\w|^\$.*\$$|=")
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9' -]{0,11}|\w+\.(?:png|gif|svg|jpe?g)", re.IGNORECASE)


def read_image(node: Node) -> tuple[str, bool, str] | None:
    """(TeX, whether it is a display, kind) of an image of a formula; None for any other image."""
    source = node.getattr("src") or ""
    if not source or source.startswith("data:"):
        source = node.getattr("data-src") or node.getattr("data-lazy-src") or ""
    css = node.getattr("class") or ""
    alt = trim(node.getattr("alt") or node.getattr("title") or "")
    delimited = _is_delimited(alt)
    known = _CLASSES.search(css) or _SOURCES.search(source)
    if not (delimited or known or node.getattr("eeimg")):
        return None
    if not delimited and "mathjax" in source:
        return None
    if not LOOKS_LIKE_TEX.search(alt):
        alt = tex_in_address(source) or alt
    if not alt or (not delimited and not LOOKS_LIKE_TEX.search(alt) and (len(alt) > 12 or not known)):
        return None
    if alt.lower() in ("tex", "latex", "math", "equation", "formula", "image", "eq"):
        return None
    return alt, "display" in css or alt.startswith("\\begin{"), "image"


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
        tex = urllib.parse.unquote(found[1]).replace("&space;", " ")
        while (prefix := _SERVICE_PREFIX.match(tex)) is not None:
            tex = tex[prefix.end() :]
        return trim(tex)
    found = _IN_FORM.search(source) if _SOURCES.search(source) else None
    return "" if found is None else trim(urllib.parse.unquote_plus(found[1]))
