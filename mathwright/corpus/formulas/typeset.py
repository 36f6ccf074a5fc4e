"""What programs that typeset leave in a page: MathJax's scripts and output, KaTeX, MathML, MediaWiki's wrapper.

Where a program kept its source, that is taken: TeX first, then MathML, which is translated; else its elements are read
back.
"""

from __future__ import annotations

import json
import re
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.asciimath import asciimath_to_tex
from mathwright.corpus.formulas.images import LOOKS_LIKE_TEX
from mathwright.corpus.formulas.katex import katex_to_tex
from mathwright.corpus.formulas.mathjax import mathjax_to_tex
from mathwright.corpus.formulas.mathml.presentation import mathml_to_tex
from mathwright.corpus.formulas.placeholders import has_placeholder

Node = Any
"""An element of resiliparse's tree."""
Found = tuple[str, bool, str]
"""TeX, whether it is a display, kind."""


def _css(node: Node) -> str:
    return node.getattr("class") or ""


# --- MathJax -----------------------------------------------------------------------------------------


def read_script(node: Node) -> Found | None:
    kind = node.getattr("type") or ""
    display = "mode=display" in kind.replace(" ", "")
    if "mml" in kind or "mathml" in kind:
        return read_mathml_text(node.text or "", "mathjax_script")
    if "asciimath" in kind:
        return asciimath_to_tex(node.text or ""), display, "asciimath"
    return node.text or "", display, "mathjax_script"


def _source_follows(node: Node) -> bool:
    """Whether the script that this is the output of stands behind it and was read before."""
    following = node.next_sibling
    while following is not None and following.tag == "#text" and not (following.value or "").strip():
        following = following.next_sibling
    return following is not None and following.tag == "#text" and has_placeholder((following.value or "").lstrip()[:2])


def read_mathjax(node: Node) -> Found | None:
    """MathJax 2's output; where its scripts stand beside it, they are the source and this is a copy."""
    if node.tag.startswith("mjx-"):  # MathJax 3 gives its container the same class
        return None
    if _source_follows(node):
        return "", False, ""
    display = "Display" in _css(node)
    holder = node if node.getattr("data-mathml") else node.query_selector("[data-mathml]")
    if holder is not None:
        found = read_mathml_text(holder.getattr("data-mathml"), "mathjax_output")
        return found if found is None else (found[0], found[1] or display, found[2])
    math = node.query_selector("math")
    if math is not None:
        return read_math(math)[0], display, "mathjax_output"
    math = node.query_selector(".math, .mjx-math")
    if math is None:
        return None
    label = math.getattr("aria-label") or ""
    source = label if label and not is_spoken(label, math.text or "") else mathjax_to_tex(math)
    return source, display, "mathjax_output"


def read_mjpage(node: Node) -> Found | None:
    """What mathjax-node puts into pages; its pictures keep the TeX as their title."""
    display = "block" in _css(node)
    math = node.query_selector(".mjx-chtml")
    if math is not None:
        found = read_mathjax(math)
        return found and (found[0], display or found[1], found[2])
    title = node.query_selector("svg title")
    tex = ((title.text if title is not None else "") or "").strip()
    if tex and not is_spoken(tex, ""):
        return tex, display, "mathjax_output"
    math = node.query_selector("math, svg[data-mml-node], svg [data-mml-node=math]")
    if math is not None:
        return read_math(math)[0] if math.tag == "math" else mathjax_to_tex(math), display, "mathjax_output"
    return (tex, display, "mathjax_output") if tex and LOOKS_LIKE_TEX.search(tex) else None


def read_copies(node: Node) -> Found | None:
    """A formula that stands there several times, for different readers: the TeX, else the MathML (JATS, Mathpix)."""
    display = "block" in _css(node) or "display" in _css(node)
    tex = node.query_selector("tex-math, latex")
    if tex is not None and (tex.text or "").strip():
        return tex.text or "", display, "math_span"
    math = node.query_selector("math") if node.tag == "alternatives" else None
    if math is None:
        return None
    source, block, kind = read_math(math)
    return source, display or block, kind


def read_preview(node: Node) -> Found | None:
    """The text that MathJax 2 shows until it has typeset; a copy, unless the script is missing."""
    following = node.next_element
    if following is None or _source_follows(node) or "MathJax" in _css(following):
        return "", False, ""
    text = node.text or ""
    return (text, False, "mathjax_output") if "\\" in text and not has_placeholder(text) else ("", False, "")


def read_mathml_text(markup: str, kind: str) -> Found | None:
    """MathML written as text, in a script or an attribute."""
    math = HTMLTree.parse(markup[:1_000_000]).document.query_selector("math, m\\:math, mml\\:math")  # pyright: ignore[reportOptionalMemberAccess]
    if math is None:
        return None
    tex, display, _ = read_math(math)
    return tex, display, kind


def read_mjx_container(node: Node) -> Found | None:
    display = node.getattr("display") in ("true", "block")
    for inner in (node.query_selector("mjx-math[data-latex]"), node.query_selector("math[data-latex]"),
                  node.query_selector('[data-mml-node="math"][data-latex]')):  # fmt: skip
        if inner is not None:
            return inner.getattr("data-latex"), display, "mathjax_output"
    math = node.query_selector("math")
    if math is not None:
        tex, block, _ = read_math(math)
        return tex, display or block, "mathjax_output"
    math = node.query_selector("mjx-math, svg")
    return None if math is None else (mathjax_to_tex(math), display, "mathjax_output")


# --- KaTeX, MathML, MediaWiki --------------------------------------------------------------------------


def read_katex(node: Node) -> Found | None:
    parent = node.parent_element
    display = parent is not None and "katex-display" in _css(parent)
    tex = _annotation(node)
    if tex:
        return tex, display, "katex"
    math = node.query_selector("math")
    if math is not None:
        return mathml_to_tex(math), display or math.getattr("display") == "block", "katex"
    html = node.query_selector(".katex-html")
    return None if html is None else (katex_to_tex(html), display, "katex_html")


_IN_TEX = re.compile(r"(?<![a-z])(?:la|ams)?tex(?![a-z])")
"""An encoding of TeX: `application/x-tex`, `TeX`, `LaTeX`; not `text/plain`."""


def _annotation(math: Node) -> str | None:
    for annotation in math.query_selector_all("annotation").values():
        if _IN_TEX.search((annotation.getattr("encoding") or "").lower().replace("text/", "")):
            return tex_of_settings(annotation.text or "")
    return None


_SETTING = re.compile(r'"(?:math|latex|tex)"\s*+:\s*+"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPED_COMMAND = re.compile(r"(?<!\\)\\\\[A-Za-z]{2}")
_BARE_COMMAND = re.compile(r"(?<!\\)\\(?!u[\dA-Fa-f]{4})[A-Za-z]{2}")


def tex_of_settings(text: str) -> str:
    r"""The TeX in settings written as JSON (Brightspace: `{"version": "1.1", "math": "x^2"}`); any other text as it is.

    Some do not escape its backslashes: read as JSON, `\\frac` would begin with a form feed.
    """
    found = _SETTING.search(text[:MAX_SETTINGS]) if text.lstrip().startswith("{") else None
    if found is None:
        return text
    if _BARE_COMMAND.search(found[1]) is not None and _ESCAPED_COMMAND.search(found[1]) is None:
        return found[1].replace('\\"', '"')
    try:
        return json.loads(f'"{found[1]}"', strict=False)
    except ValueError:
        return found[1]


MAX_SETTINGS = 20_000


_SPOKEN = re.compile(r"[A-Za-z]{2,}|[^\W\d_A-Za-z]{2,}")


def is_spoken(alttext: str, shown: str) -> bool:
    """Whether a text for a formula says it in words for those who listen: words that the formula does not show."""
    if "\\" in alttext:
        return False
    shown = "".join(shown.split())
    return any(word not in shown for word in _SPOKEN.findall(alttext))


def read_math(node: Node) -> Found:
    display = node.getattr("display") == "block" or node.getattr("mode") == "display"
    latexml = "ltx_" in _css(node)
    alttext = node.getattr("alttext")
    if latexml and alttext:
        return alttext, display, "latexml"
    tex = _annotation(node)
    if tex and tex.strip():
        return tex, display, "mathml_annotation"
    if alttext and not alttext.isspace() and not is_spoken(alttext, node.text or ""):
        return alttext, display, "mathml_alttext"
    return mathml_to_tex(node) or alttext or "", display, "mathml"


def read_wiki(node: Node) -> Found | None:
    """MediaWiki's wrapper around MathML and its fallback image."""
    math = node.query_selector("math")
    image = node.query_selector("img[alt]")
    if math is None and image is None:
        return None
    display = "display" in _css(node) or node.query_selector(".mwe-math-fallback-image-display") is not None
    tex = read_math(math)[0] if math is not None else image.getattr("alt")
    return tex, display, "wikimedia"
