r"""TeX in attributes, and in elements whose name or class says that they hold it."""

from __future__ import annotations

import json
import re
from typing import Any

from mathwright.corpus.formulas.asciimath import asciimath_to_tex
from mathwright.corpus.formulas.html_expressions import KIND as HTML_SCRIPTS
from mathwright.corpus.formulas.html_expressions import html_to_tex, is_plain_expression
from mathwright.corpus.formulas.image_addresses import decoded
from mathwright.corpus.formulas.images import LOOKS_LIKE_TEX
from mathwright.corpus.formulas.placeholders import has_placeholder

Node = Any
"""An element of resiliparse's tree."""
Found = tuple[str, bool, str]
"""TeX, whether it is a display, kind."""

TEX_ATTRIBUTES = ("data-tex", "data-latex")
FORMULA_ATTRIBUTES = ("data-math", "data-formula", "data-expr", "data-equation", "data-value")
"""Other things may stand in these."""


_BLOCKS = frozenset({"div", "section", "figure", "p"})


def read_attribute(node: Node) -> Found | None:
    """An element that a script of the page turns into mathematics, its TeX in an attribute."""
    for name in TEX_ATTRIBUTES + FORMULA_ATTRIBUTES:
        tex = decoded(node.getattr(name) or "")
        if not tex:
            continue
        text = (node.text or "").strip()
        css = node.getattr("class") or ""
        # Where nothing is shown, the attribute is all there is: then `k` is a formula, too.
        sure = name in TEX_ATTRIBUTES or "formula" in css or (not text and _is_short(tex))
        if not sure and (not LOOKS_LIKE_TEX.search(tex) or "://" in tex or tex.lstrip()[:1] in '{["'):
            return None
        if len(text) > 200 + 4 * len(tex):  # something else than the formula stands in it
            return None
        mode = [node.getattr(mark) for mark in ("data-display", "data-math-style", "data-display-mode")]
        display = not {"true", "display", "block"}.isdisjoint(mode) or "block" in css or "math-display" in css
        return tex, display or (not text and node.tag in _BLOCKS), "attribute"
    return None


def _is_short(tex: str) -> bool:
    return len(tex) <= 40 and _SHORT_FORMULA.match(tex.strip()) is not None


_JSON_KEYS = ("persistentExpression", "latex", "tex", "formula", "equation", "expression")
MAX_JSON = 20_000


def read_json(node: Node) -> Found | None:
    """An element whose settings, as JSON in an attribute, hold TeX (Substack's `data-attrs`)."""
    settings = node.getattr("data-attrs") or node.getattr("data-props") or ""
    if len(settings) > MAX_JSON or not settings.lstrip().startswith("{") or len(node.text or "") > len(settings):
        return None
    try:
        values = json.loads(settings)
    except (ValueError, RecursionError):
        return None
    tex = next((values[key] for key in _JSON_KEYS if isinstance(values.get(key), str)), "")
    if not tex or not ("latex" in (node.getattr("class") or "").lower() or LOOKS_LIKE_TEX.search(tex)):
        return None
    return tex, node.tag in _BLOCKS, "attribute"


_SPAN = re.compile(r"\s*(?:\\\((.+)\\\)|\\\[(.+)\\\]|\$\$(.+)\$\$|\$([^$]+)\$)(?:\s*\([\w.]+\))?[\s¶#]*\Z", re.DOTALL)
# Terms of at most 12 characters; single spaces beside operators alone. Each character can be read in one way only.
_OPERATOR = r"[-+*/=<>,|:()]"
_SHORT_FORMULA = re.compile(
    r"(?!.*[A-Za-z]{3})(?:(?:[^\s\-+*/=<>,|:()]{1,12}+(?![^\s\-+*/=<>,|:()])|" + _OPERATOR + r")++"
    rf"(?:\s(?=\S)(?:(?<={_OPERATOR}\s)|(?={_OPERATOR})))?+)++\Z"
)
DEDICATED = (
    "tex-math", "d-math", "dt-math", "math-renderer", "math-field", "math-span", "math-div", "katex-expression",
    "ka-tex", "la-tex", "x-tex", "tex-inline", "tex-block", "math-inline", "math-block", "latex-formula", "eq", "eqn",
)  # fmt: skip
"""Elements that hold nothing but TeX, as text or in an attribute."""
_BLOCK_ELEMENTS = frozenset({"div", "pre", "math-div", "tex-block", "math-block", "eqn"})


_DEDICATED_CLASSES = ("katex-eq", "js-render-math", "language-math", "mathquill-embedded-latex", "mathquill-editable")
_IN_ATTRIBUTE = ("expression", "formula", "tex", "latex", "math", "equation", "value")


def read_span(node: Node) -> Found | None:
    """`<span class="math">` of Sphinx, docutils, pandoc and their kin: delimiters inside, or bare TeX."""
    if node.first_element_child is not None:
        for extra in node.query_selector_all(".eqno, .headerlink, script").values():
            extra.remove()
    text = node.text or ""
    if has_placeholder(text):  # an image or MathML, read before
        return None
    css = node.getattr("class") or ""
    dedicated = node.tag in DEDICATED or any(word in css for word in _DEDICATED_CLASSES)
    if node.tag in DEDICATED and not text.strip():
        text = next((value for name in _IN_ATTRIBUTE if (value := node.getattr(name))), "")
    display = node.tag in _BLOCK_ELEMENTS or "display" in css or "block" in css or node.hasattr("block")
    display = display or node.getattr("data-math-style") == "display" or _is_whole_pre(node)
    display = display or "true" in (node.getattr("data-display"), node.getattr("data-katex-display"))
    spelled = _SPAN.match(text)
    if spelled is not None:
        tex = next(group for group in spelled.groups() if group is not None)
        closings = ("\\)", "\\]") if text.lstrip()[0] == "\\" else ("\\)", "\\]", "$")
        if not any(mark in tex for mark in closings) or text.count("$") == 2:
            return tex, spelled[2] is not None or spelled[3] is not None or (dedicated and display), "math_span"
        return None
    if any(mark in text for mark in ("\\(", "\\[", "$")) and not dedicated:
        return None
    if dedicated and text.strip():
        return text, display, "math_span"
    if node.first_element_child is not None:
        plain = node.tag != "pre" and len(text) < 300 and "\\" not in text and ("math" in css or "formula" in css)
        plain = plain and is_plain_expression(node)
        return (html_to_tex(node), display, "math_span") if plain else None
    if LOOKS_LIKE_TEX.search(text) or _SHORT_FORMULA.match(text.strip()):
        return text, display, "math_span"
    return None


def _is_whole_pre(node: Node) -> bool:
    """Whether a `code` element is all there is in a `pre`, as Markdown's fenced blocks are."""
    return node.tag == "code" and node.parent_element is not None and node.parent_element.tag == "pre"


def read_texhtml(node: Node) -> Found | None:
    """MediaWiki's `{{math}}`: mathematics in HTML."""
    text = node.text or ""
    return None if has_placeholder(text) or not text.strip() else (html_to_tex(node), False, HTML_SCRIPTS)


# --- elements that hold TeX or AsciiMath among others of their kind -----------------------------------

_MAX_VARIABLE = 500
_VARIABLE_SIGN = re.compile(r"\\[A-Za-z]{2,}|\\[,;!{}]|(?<=[\w)}\]'])[_^](?=[\w{(\\+*'-])")
_NO_TEX = re.compile(
    r"(?<![\\A-Za-z])[A-Za-z]{3,}+(?:\s{0,2}[_^]|\\)|_(?:[A-Za-z]{3}|[a-z]{2}(?![a-z_])|[A-Za-z\d]_)|(?<![\w)}\]'])_"
    r"|\A[A-Za-z]:\\",
    re.ASCII,
)
"""What identifiers and paths have: a word before the underscore or one behind it, an underscore first."""
_TWO_WORDS = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{3,}+\s++[A-Za-z]{3}")


def read_variable(node: Node) -> Found | None:
    r"""`<var>A_1, \ldots, A_N</var>` of AtCoder, which its pages typeset; in documentation, `var` holds identifiers."""
    text = node.text or ""
    if len(text) > _MAX_VARIABLE or _VARIABLE_SIGN.search(text) is None or node.first_element_child is not None:
        return None
    if has_placeholder(text) or _NO_TEX.search(text) is not None or _TWO_WORDS.search(text) is not None:
        return None
    return text, False, "math_span"


_BACKTICKS = re.compile(r"\s*+`([^`]++)`\s*+")


def read_asciimath(node: Node) -> Found | None:
    """An element whose class says that it holds AsciiMath: `asciimath`, or `AM` (IMathAS) with backticks in it."""
    text = node.text or ""
    if has_placeholder(text) or not text.strip():
        return None
    found = _BACKTICKS.fullmatch(text)
    named = "asciimath" in (node.getattr("class") or "").lower() and "`" not in text
    source = found[1] if found is not None else text if named else ""
    return (asciimath_to_tex(source), node.tag == "div", "asciimath") if source else None
