"""TeX and MathML in the addresses of images that a service draws of them."""

from __future__ import annotations

import re
import urllib.parse

from mathwright.corpus.formulas.symbols import trim

_SOURCES = re.compile(
    r"codecogs\.com|latex\.php|mimetex|mathtex|quicklatex|cht=tx|/math/render/|/images/math/|/wikipedia/\w+/math/"
    r"|wp-latex|s\d?\.wp\.com/latex|texify|/teximages?/|/filter/tex/|latex\.(?:gif|png|svg|download)|eq\.(?:latex|png)\?"
    r"|/equation\?tex=|/tex/|render\.githubusercontent|[/.](?:eq)?(?:svg|png|gif)\.(?:latex|image)\?|/math\.cgi\?"
    r"|upload\.wikimedia\.org/math/|upmath\.me/|s2cms\.ru/|/equation_images/|[?&](?:formula|latex)=%5C|[/_]images/math/"
    r"|/mathjax/tex\?",
    re.IGNORECASE,
)
_PARTS = (
    "tex", "math", "codecogs", "eq.png", "formula", "equation", "cht=tx", "githubusercontent", "s2cms.ru", ".image?",
)  # fmt: skip
"""One of them is in each of these, and in each of _SERVICE_ROOT."""
_NAMED = re.compile(r"tex(?!t)|math|formula|equation", re.IGNORECASE)
"""What the host or the path of a service is named after."""
_SERVICE_ROOT = re.compile(r"//(?:tex|latex|math|formula|equation)\.[\w.-]{1,60}/?\?", re.IGNORECASE)
"""A host that does nothing but draw formulas: any field is one."""
_FIELD = re.compile(
    r"[?&#](?:(?P<field>tex|latex|math|formula|eq|equation)|from|inline|code|f|chl|mml|mathml)=(?P<value>[^&#]+)"
)
"""A field of a form, in which `+` is a space; those with a name of their own hold nothing but TeX."""
_IN_QUERY = re.compile(
    r"(?:codecogs\.com/(?:[\w.]+/)?(?:gif|png|svg|eq|pdf|swf)\.\w+\?|(?:mimetex|mathtex|math)\.cgi\?"
    r"|/(?:gif|png|svg|eqn?)\.(?:latex|image)\?|chart\.apis\.google\.com/tex\?)(.+)"
)
"""The whole query, in which `+` is a plus."""
_IN_QUERY_ALONE = re.compile(r"(?:/latex(?:-\d)?(?:\.tex)?\?(?![a-z]{1,12}=)|\?(?=%5C|\\))([^#]+)", re.IGNORECASE)
"""The whole query of an address named after TeX, up to the fragment."""
_IN_PATH = re.compile(r"(?:(?:upmath\.me|s2cms\.ru)/(?:svg|png)|/equation_images)/([^?#]+)")
"""The rest of the path, sometimes encoded twice."""
_PATHS = ("upmath.me", "s2cms.ru", "/equation_images/")
_SERVICE_PREFIX = re.compile(
    r"\A\s*+(?:\\dpi\{\d{1,5}\}|\\bg_?\{\w{1,20}\}|\\bg_[a-z]{1,20}(?![A-Za-z])|\\fn_[a-z]{1,20}(?![A-Za-z])"
    r"|\\(?:inline|nocache|opaque|reverse|tiny|small|large|huge|LARGE|Large|normalsize)(?![A-Za-z])"
    r"|\\color\{\w{1,20}\}(?=\\|\s)|\\(?:white|black)(?=\s))\s*+"
)
"""Commands of image services, not of TeX: resolution, background, font."""
_SERVICE_SUFFIX = re.compile(r"\\nocache\s*+\Z")
_SURELY = re.compile(r"\\[A-Za-z]|\^|=|_\{")
_SUBSCRIPT = re.compile(r"_\d")
_FILE = re.compile(r"\.(?:gif|png|jpe?g|svg|webp|bmp|php)\Z", re.IGNORECASE)
MAX_ADDRESS = 4000
"""So much of the address of an image is looked at: services refuse longer ones."""


def is_service(source: str) -> bool:
    """Whether an address is that of a service known to draw formulas, or of a folder of its pictures."""
    source = source[:MAX_ADDRESS]
    lowered = source.lower()
    if not any(part in lowered for part in _PARTS):  # the patterns take ten times as long
        return False
    return _SOURCES.search(source) is not None or _SERVICE_ROOT.search(source) is not None


def tex_in_address(source: str, *, known: bool | None = None) -> str:
    """The TeX in the address of an image that a service draws; "" where there is none. Decoded exactly once.

    known: what `is_service` says of it, where that has been asked.
    """
    source = source[:MAX_ADDRESS]
    if any(name in source for name in _PATHS) and (found := _IN_PATH.search(source)) is not None:
        return trim(decoded(urllib.parse.unquote(found[1])))
    if "?" not in source and "#" not in source:
        return ""
    if (found := _IN_QUERY.search(source)) is not None:
        tex = urllib.parse.unquote(found[1]).replace("&space;", " ").replace("&plus;", "+")
        return without_service_commands(tex)
    known = is_service(source) if known is None else known
    if not known and not _is_named(source):
        return ""
    tex = _in_field(source, known)
    if not tex and (found := _IN_QUERY_ALONE.search(source)) is not None:
        tex = urllib.parse.unquote(found[1])
    return "" if tex.lstrip().startswith("<") else without_service_commands(tex)


def mathml_in_address(source: str) -> str:
    """The MathML in the address of an image that a service draws; "" where there is none."""
    if "ml=" not in source or not _is_named(source):
        return ""
    values = (urllib.parse.unquote_plus(found["value"]).strip() for found in _FIELD.finditer(source[: 4 * MAX_ADDRESS]))
    return next((value for value in values if value.startswith("<") and "math" in value[:20]), "")


def _is_named(source: str) -> bool:
    """Whether host or path is named after TeX, formulas or mathematics."""
    return _NAMED.search(source.partition("?")[0]) is not None


def _in_field(source: str, known: bool) -> str:
    """The first field that holds TeX; what a field of any name or of any site holds must look like it."""
    root = _SERVICE_ROOT.search(source) is not None
    for found in _FIELD.finditer(source):
        value = urllib.parse.unquote_plus(found["value"])
        named = found["field"] is not None
        if known and (named or root or "cht=tx" in source):
            return value
        likely = _SURELY.search(value) is not None or (named and _SUBSCRIPT.search(value) is not None)
        if likely and _FILE.search(value) is None and "://" not in value:
            return value
    return ""


def without_service_commands(tex: str) -> str:
    while (prefix := _SERVICE_PREFIX.match(tex)) is not None:
        tex = tex[prefix.end() :]
    return trim(_SERVICE_SUFFIX.sub("", tex))


_ENCODED = re.compile(r"%(?:5C|7B|5E|2B|3D|20)", re.IGNORECASE)


def _is_encoded(text: str) -> bool:
    """Whether a text is percent-encoded as a whole."""
    return _ENCODED.search(text) is not None and "\\" not in text and not any(map(str.isspace, text))


def decoded(text: str) -> str:
    """A text without percent-encoding where all of it is so encoded."""
    return urllib.parse.unquote(text) if _is_encoded(text) else text
