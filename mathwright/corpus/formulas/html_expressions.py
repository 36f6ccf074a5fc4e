"""Expressions of plain HTML as TeX: scripts, emphasis, fractions, roots, lines above (`<span class="texhtml">`)."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ELEMENT

from mathwright.corpus.formulas.placeholders import Formulas, has_placeholder
from mathwright.corpus.formulas.signs import Selectors, all_signs, selector
from mathwright.corpus.formulas.symbols import FUNCTIONS, join, to_tex, trim

Node = Any
"""An element of resiliparse's tree."""

KIND = "html_scripts"
_MAX_DEPTH = 30
SCRIPT_TAGS = {"sub": "_", "sup": "^"}


def argument(tex: str) -> str:
    """TeX as the argument of a script: in braces but for a single sign."""
    tex = trim(tex)
    return tex if re.fullmatch(r"[A-Za-z0-9]|\\[A-Za-z]+", tex) else f"{{{tex}}}"


# --- fractions ---------------------------------------------------------------------------------------

_FRACTION_CLASSES = frozenset({"frac", "sfrac", "intbl", "fraction", "tion", "mfrac", "math-fraction"})
FRACTIONS = {f".{name}": (name,) for name in ("frac", "sfrac", "intbl", "fraction", "mfrac")}
_MAX_FRACTION = 300
_ABOVE = ".num, .numerator, .top, .mnum, [class*=numerator], .zaehler, .numerador, em, sup"
_BELOW = ".den, .denominator, .bottom, .mden, [class*=denominator], .nenner, .denominador, strong, sub"
_STYLED = tuple(f'<span style="display:{space}inline-' for space in ("", " "))
_PARTS: Selectors = {
    "[class*=numerator]": ("numerator",), ".mnum": ("mnum",), ".zaehler": ("zaehler",), ".numerador": ("numerador",),
    'span[style*="border-bottom"]': _STYLED,
}  # fmt: skip
SIGNS = all_signs(_PARTS)


def read_named_fractions(tree: HTMLTree, formulas: Formulas, present: Set[str]) -> None:
    """Put placeholders for elements whose two parts are called numerator and denominator, or are stacked with a line.

    present: those of SIGNS that the page's source holds.
    """
    wanted = selector(_PARTS, present)
    if not wanted or tree.document is None:
        return
    for above in tree.document.query_selector_all(wanted).values():
        around, below = above.parent_element, above.next_element_sibling
        if around is None or below is None or around.tag not in ("span", "div") or around.hasattr("id"):
            continue
        stacked = "border-bottom" not in (above.getattr("style") or "") or _is_stacked(above, below, around)
        if not stacked or len(around.children) > 3 or formulas.full():
            continue
        around.setattr("class", "fraction")
        above.setattr("class", "num")
        below.setattr("class", "den")
        tex = _fraction(around, 0)
        shown = None if tex is None else tree.create_text_node(formulas.add(tex, False, KIND))
        if shown is not None:
            around.replace_with(shown)


_STACK = re.compile(r"display\s*:\s*(?:block|table-row|inline-flex|inline-block)|flex-direction\s*:\s*column")


def _is_stacked(above: Node, below: Node, around: Node) -> bool:
    styles = [node.getattr("style") or "" for node in (above, below, around)]
    return sum(_STACK.search(style) is not None for style in styles) >= 2 or "column" in styles[2]


def read_fraction(node: Node) -> tuple[str, bool, str] | None:
    """A fraction of MediaWiki's `{{frac}}` and `{{sfrac}}`, or of `<span class="intbl">`, with its whole number.

    One whose whole number has a plus for those who listen reads right as it is: 2+1/2.
    """
    tex = _fraction(node, 0)
    return None if tex is None or "+" in _spoken(node) else (tex, False, KIND)


def _spoken(node: Node) -> str:
    return "".join(part.text or "" for part in node.query_selector_all(".sr-only").values())


_NO_DIGITS = re.compile(r"[\s\u2060\u200b+]+")


def _whole(node: Node, above: Node) -> str:
    """The whole number of a mixed fraction: what stands before its numerator."""
    text = ""
    for part in node:
        if part == above:
            break
        if part.tag == "#text":
            text += part.value or ""
    return _NO_DIGITS.sub("", text)


def _fraction(node: Node, depth: int) -> str | None:
    """An element that shows a fraction, as TeX; None for any other."""
    if _FRACTION_CLASSES.isdisjoint((node.getattr("class") or "").split()) or len(node.text or "") > _MAX_FRACTION:
        return None
    above, below = node.query_selector(_ABOVE), node.query_selector(_BELOW)
    if above is None or below is None:
        parts = [child for child in node.children.values() if child.tag not in ("hr", "br")]
        above, below = parts if len(parts) == 2 else (None, None)
    if above is None or below is None or not (above.text or "").strip() or not (below.text or "").strip():
        return None
    whole = _whole(node, above)
    if not re.fullmatch(r"\d{0,6}", whole):
        whole = ""
    return f"{whole}\\frac{{{trim(html_to_tex(above, depth + 1))}}}{{{trim(html_to_tex(below, depth + 1))}}}"


# --- whole expressions -------------------------------------------------------------------------------

_SIMPLE_TAGS = frozenset({"sup", "sub", "i", "em", "var", "b", "strong", "span", "a", "small", "big", "u", "s", "mark"})


def is_plain_expression(node: Node) -> bool:
    """Whether an element holds nothing but text, scripts and emphasis, and at least one of these two."""
    tags = {child.tag for child in node.query_selector_all("*").values()}
    return bool(tags) and tags <= _SIMPLE_TAGS


def html_to_tex(node: Node, depth: int = 0) -> str:
    """TeX of an expression of text, scripts and emphasis."""
    tex = ""
    for child in node.child_nodes.values():
        if child.tag == "#text":
            tex = join(tex, text_to_tex(child.value or ""))
        elif depth < _MAX_DEPTH and child.type == ELEMENT:
            fraction = _fraction(child, depth)
            inner = html_to_tex(child, depth + 1) if fraction is None else fraction
            if (root := _ROOT.search(tex)) is not None and inner.strip() and _is_overlined(child):
                degree = f"[{root[1].strip('{}')}]" if root[1] else ""
                tex = f"{tex[: root.start()]}\\sqrt{degree}{{{trim(inner)}}}"
            elif fraction is None and inner.strip() and has_line_above(child):
                tex = join(tex, f"\\overline{{{trim(inner)}}}")
            elif child.tag in SCRIPT_TAGS:
                tex = (tex or "{}") + SCRIPT_TAGS[child.tag] + argument(inner)
            elif child.tag in ("b", "strong") and inner.strip():
                tex = join(tex, f"\\mathbf{{{trim(inner)}}}")
            else:
                tex = join(tex, inner)
    return tex


_ROOT = re.compile(r"(?:(?:\{\})?\^(\{[^{}]{1,20}\}|\w)\s?)?\\surd\s?\Z")
_OVERLINE = re.compile(r"border-top|overline|vinculum|radicand")


_LINE_ABOVE = re.compile(r"text-decoration[\w-]*\s*:[^;]*overline|(?<![\w-])overline(?![\w-])|vinculum")


def has_line_above(node: Node) -> bool:
    """Whether an element is written with a line above: the digits of a repeating decimal, a complement."""
    return _LINE_ABOVE.search(f"{node.getattr('style') or ''} {node.getattr('class') or ''}") is not None


def _is_overlined(node: Node) -> bool:
    """Whether a line stands over an element: behind a √ it is what the root is taken of."""
    return _OVERLINE.search(f"{node.getattr('style') or ''} {node.getattr('class') or ''}") is not None


def read_root(node: Node) -> tuple[str, bool, str] | None:
    """A root outside a marked expression: `√<span style="border-top: ...">x + 1</span>` in one element."""
    text = node.text or ""
    if "√" not in text or len(text) > _MAX_FRACTION or has_placeholder(text):
        return None
    first = node.first_element_child
    if first is None or not text.strip().startswith("√") or not _is_overlined(first):
        return None
    return html_to_tex(node), False, KIND


def text_to_tex(text: str) -> str:
    """TeX of a text within an expression: names of functions as commands, longer words upright."""
    words = re.split(r"((?<![A-Za-z])[A-Za-z]{2,}(?:\s+[A-Za-z]{2,})*)", text.replace("\xa0", " "))
    tex = ""
    for index, word in enumerate(words):
        tex = join(tex, _word_to_tex(word) if index % 2 else " ".join(map(to_tex, word.split(" "))))
    return tex


def _word_to_tex(word: str) -> str:
    if word in FUNCTIONS:
        return "\\" + word
    if " " in word:
        return f"\\text{{{word}}}"
    return word if len(word) <= 3 else f"\\mathrm{{{word}}}"
