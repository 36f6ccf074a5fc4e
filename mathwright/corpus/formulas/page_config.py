r"""What a page tells MathJax or KaTeX: which delimiters stand for mathematics, which macros it defines.

Configurations are JavaScript, of which only literals are read: the arrays behind `inlineMath`, `displayMath` and
`delimiters`, the objects behind `macros`. What a script computes, or what lies in a file of its own, is not seen; then
nothing is known, and the delimiters are judged by what stands between them (`formulas.delimiters`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.js_literal import read_literal

Pair = tuple[str, str]

INLINE_DEFAULT: tuple[Pair, ...] = (("\\(", "\\)"),)
DISPLAY_DEFAULT: tuple[Pair, ...] = (("$$", "$$"), ("\\[", "\\]"))
IGNORED_DEFAULT = frozenset({"tex2jax_ignore", "mathjax_ignore"})
PROCESSED_DEFAULT = frozenset({"tex2jax_process", "mathjax_process", "math", "output_area"})


@dataclass(slots=True)
class MathConfig:
    """What is known of a page's configuration."""

    inline: tuple[Pair, ...] | None = None
    """Delimiters of formulas in a line; None where the page does not say."""
    display: tuple[Pair, ...] | None = None
    """Delimiters of displays; None where the page does not say."""
    asciimath: tuple[Pair, ...] = ()
    """Delimiters of AsciiMath; empty where no AsciiMath is loaded."""
    macros: dict[str, str] = field(default_factory=dict)
    r"""Name without backslash -> its definition, as `\newcommand{\name}[arguments]{body}`."""
    ignored: frozenset[str] = IGNORED_DEFAULT
    """Classes of elements in which nothing is typeset."""
    processed: frozenset[str] = PROCESSED_DEFAULT
    """Classes of elements inside ignored ones in which formulas are typeset all the same."""

    def dollars(self) -> bool | None:
        """Whether one dollar delimits a formula; None where the page does not say."""
        return None if self.inline is None else ("$", "$") in self.inline

    def custom(self) -> tuple[tuple[str, str, bool], ...]:
        """Delimiters beyond the usual ones: (opening, closing, display)."""
        usual = {"$", "$$", "\\(", "\\[", "(", "["}  # "\(" in a JavaScript string is "(", and was not meant
        pairs = [(*pair, False) for pair in self.inline or ()] + [(*pair, True) for pair in self.display or ()]
        own = [p for p in pairs if p[0] not in usual and not p[0].startswith("\\begin") and _plausible(p)]
        return tuple(own[:MAX_DELIMITERS])


def _plausible(pair: tuple[str, str, bool]) -> bool:
    """No delimiter is a letter or a bracket of running text."""
    return all(2 <= len(mark) <= 20 or mark in "`@#§¤%" for mark in pair[:2] if mark) and bool(pair[0] and pair[1])


def read_config(tree: HTMLTree) -> MathConfig:
    """The configuration a page holds in its scripts."""
    config = MathConfig()
    document = tree.document
    for node in document.query_selector_all("script").values() if document is not None else ():
        source = node.getattr("src")
        if source:
            _read_address(source, config)
            continue
        script = node.text or ""
        if any(name in script for name in _NAMES) or (config.asciimath and "AMdelimiter" in script):
            _read_script(script, config)
    return config


MAX_DELIMITERS = 20
"""A page that defines more kinds of delimiters than this has the first of them looked for."""
MAX_ADDRESS = 4000
"""So much of the address of a script is looked at."""
_NAMES = ("athJax", "renderMath", "atex", "aTeX", "sciimath")
"""A script without any of these configures neither MathJax nor KaTeX."""
_ASCIIMATH_FILES = re.compile(r"ASCIIMath(?:ML|TeX\w*)?(?:\.min)?\.js|asciimath2jax|mathjax[^?]*\?.*config=[^&]*\bAM_"
                              r"|mathjax[^?]*\?.*config=[^&]*MML-AM_", re.IGNORECASE)  # fmt: skip
_BACKTICKS = (("`", "`"),)
_ASCIIMATH_LOADED = re.compile(r"""["']input/(?:asciimath|AsciiMath)["']|asciimath2jax\b|\bAsciiMath\s*:""")
_ASCIIMATH_DELIMITERS = re.compile(r"""(?:asciimath2jax|["']?asciimath["']?)\s*:\s*\{[^{}]*?delimiters["']?\s*:""")
_AMATH_VARIABLE = re.compile(r"""AMdelimiter1\s*=\s*["'](.)["']""")


_KEYS = ("inlineMath", "displayMath", "delimiters", "acros", "ignoreClass", "ignoreHtmlClass", "processClass",
         "processHtmlClass")  # fmt: skip
SIGNS = frozenset((*_KEYS, "AM_", "sciimath", "sciiMath", "SCIIMath", "SCIIMATH"))
"""A page whose source holds none of these configures nothing."""


def _read_address(source: str, config: MathConfig) -> None:
    if _ASCIIMATH_FILES.search(source[:MAX_ADDRESS]) and not config.asciimath:
        config.asciimath = _BACKTICKS


_KEY = re.compile(
    r"""["']?\b(?P<key>inlineMath|displayMath|delimiters|[Mm]acros|"""
    r"""ignoreClass|ignoreHtmlClass|processClass|processHtmlClass)["']?\s*[:=]\s*(?=[\[{"'`])"""
)


def _read_script(script: str, config: MathConfig) -> None:
    if _ASCIIMATH_LOADED.search(script):
        found = _ASCIIMATH_DELIMITERS.search(script)
        pairs = _pairs(read_literal(script, found.end())) if found is not None else ()
        config.asciimath = config.asciimath or pairs or _BACKTICKS
    elif config.asciimath and (variable := _AMATH_VARIABLE.search(script)) is not None:
        config.asciimath = ((variable[1], variable[1]),)
    asciimath = {match.end() for match in _ASCIIMATH_DELIMITERS.finditer(script)}
    for match in _KEY.finditer(script):
        key = match["key"]
        value = read_literal(script, match.end())
        if key == "inlineMath":
            config.inline = _merged(config.inline, value, INLINE_DEFAULT)
        elif key == "displayMath":
            config.display = _merged(config.display, value, DISPLAY_DEFAULT)
        elif key == "delimiters":
            if asciimath.isdisjoint(range(match.end() - 3, match.end() + 4)):
                _read_auto_render(value, config)
        elif key in ("macros", "Macros"):
            config.macros.update(_definitions(value))
        elif isinstance(value, str):
            names = frozenset(re.findall(r"[\w-]+", value))
            if key.startswith("ignore"):
                config.ignored |= names
            else:
                config.processed |= names


def _merged(known: tuple[Pair, ...] | None, value: Any, default: tuple[Pair, ...]) -> tuple[Pair, ...] | None:
    """What several configurations (MathJax 2's beside 3's) say together; `'[+]'` adds to the default."""
    pairs = _pairs(value.get("[+]")) + default if isinstance(value, dict) else _pairs(value)
    if not pairs:
        return known
    return (known or ()) + tuple(pair for pair in pairs if pair not in (known or ()))


def _pairs(value: Any) -> tuple[Pair, ...]:
    if not isinstance(value, list):
        return ()
    if len(value) == 2 and all(isinstance(mark, str) for mark in value):  # ['$', '$'] for [['$', '$']]
        value = [value]
    return tuple(
        (pair[0], pair[1])
        for pair in value
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(mark, str) and mark for mark in pair)
    )


def _read_auto_render(value: Any, config: MathConfig) -> None:
    """KaTeX: `delimiters: [{left: "$", right: "$", display: false}, ...]`."""
    if not isinstance(value, list):
        return
    for item in value:
        if not isinstance(item, dict):
            continue
        left, right = item.get("left"), item.get("right")
        if isinstance(left, str) and isinstance(right, str) and left and right:
            if item.get("display"):
                config.display = (*(config.display or ()), (left, right))
            else:
                config.inline = (*(config.inline or ()), (left, right))
    # Only displays are listed: then single dollars do not delimit.
    if config.display is not None and config.inline is None:
        config.inline = ()


_NAME = re.compile(r"\\?([A-Za-z@]+|[^\sA-Za-z])\Z")
_ARGUMENT = re.compile(r"#([1-9])")


def _definitions(value: Any) -> dict[str, str]:
    r"""MathJax's `{RR: "{\\bf R}", bold: ["{\\bf #1}", 1]}` and KaTeX's `{"\\RR": "\\mathbb{R}"}` as \newcommand."""
    found: dict[str, str] = {}
    for key, body in value.items() if isinstance(value, dict) else ():
        name = _NAME.match(key)
        count, default = 0, None
        if isinstance(body, list) and body:
            count = body[1] if len(body) > 1 and isinstance(body[1], int) else 0
            default = body[2] if len(body) > 2 and isinstance(body[2], str) else None
            body = body[0]
        if name is None or not isinstance(body, str):
            continue
        # KaTeX counts the arguments in the body.
        count = min(9, max([count, *map(int, _ARGUMENT.findall(body))]))
        arguments = (f"[{count}]" if count else "") + (f"[{default}]" if default is not None else "")
        found[name[1]] = f"\\newcommand{{\\{name[1]}}}{arguments}{{{body}}}"
    return found
