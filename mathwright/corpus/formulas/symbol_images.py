"""Images of single symbols and of short expressions within a text, which old pages have for what no font had.

`2 <IMG SRC="le.gif" ALT="&lt;="> x`: without what the image shows, the sentence says something else. Its text is given
as text: that it is a formula is for the sentence around to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from html import escape
from string import ascii_lowercase, digits
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.symbols import FILLER, FUNCTIONS

Node = Any
"""An element of resiliparse's tree."""

_GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
)  # fmt: skip
_PHRASES = (
    "square root of", "square root", "cube root of", "sqrt", "infinity", "less than or equal to", "less than",
    "greater than or equal to", "greater than", "not equal to", "approximately equal to", "plus or minus",
    "plus-minus", "integral", "sum of", "element of", "is an element of", "subset of", "implies", "there exists",
    "for all", "divided by", "multiplied by", "perpendicular to", "parallel to", "is congruent to", "degrees",
)  # fmt: skip
_OPERATORS = (
    "<=", ">=", "=<", "=>", "!=", "<>", "==", "=", "<", ">", "+", "-", "*", "/", "+/-", "+-", "->", "<->", "<=>",
    *"±×÷·≤≥≠≈≡∼≅∝∞∂∇∑∏∫√∈∉∋⊂⊆∪∩∅∀∃∧∨¬→←↔⇒⇔−∓∘⊕⊗⊥∥∠°", *"αβγδεζηθικλμνξπρστυφχψωϕΓΔΘΛΞΠΣΦΨΩ",
)  # fmt: skip
_ON_BUTTONS = frozenset({"=", "<", ">", "+", "-", "*", "/", "->", "=>", "→", "←", "×", "°", "·"})
"""Icons have these, too: they count between two texts alone."""
_SYMBOLS = frozenset({*_GREEK, *_PHRASES, *_OPERATORS})
SYMBOL_SIGNS = frozenset(
    f"alt={opening}{name}{closing}"
    for symbol in _SYMBOLS
    for name in {symbol, escape(symbol)}
    for opening, closing in (('"', '"'), ("'", "'"), ('" ', '"'), ("' ", "'"), ("", " "), ("", ">"))
)
_BEGINNINGS = frozenset({
    "(", "-", "√", *digits, *(f"{name}(" for name in FUNCTIONS),
    *(letter + sign for letter in ascii_lowercase for sign in ("=", " =", "/", " /", "^", "(", "+", " +", " -")),
})  # fmt: skip
EXPRESSION_SIGNS = frozenset(("^2", "^3", *(f"alt={quote}{first}" for quote in "\"'" for first in _BEGINNINGS)))
"""How an expression begins, or a power in it."""
SIGNS = SYMBOL_SIGNS | EXPRESSION_SIGNS
_EXPRESSION = re.compile(r"[\w)\]}'!²³]\s{0,2}[=^/<>]\s{0,2}[\w(\[{+\-−√]")
_NO_EXPRESSION = re.compile(r"[\d.\s-]++(?:/[\d.\s-]++){2,}|[A-Za-z]/[A-Za-z]|24/7", re.ASCII)
"""Dates and abbreviations (n/a, w/o)."""
_WORD = re.compile(r"[^\W\d_]{3,}")
_ANYTHING_ELSE = re.compile(r"[?&%#@:;\"$]|//|\.\w{2,4}\Z")
MAX_EXPRESSION = 100
MAX_BESIDE = 4
MAX_SIDE = 300
"""Pixels: what is larger is no part of a sentence."""
MAX_IMAGES = 5_000


def read_symbol_images(tree: HTMLTree, present: Set[str]) -> None:
    """Put the text of images that stand for symbols into the sentences around them.

    present: those of SIGNS that the page's source holds.
    """
    expressions = not present.isdisjoint(EXPRESSION_SIGNS)
    wanted = ["img[alt]"] if not present.isdisjoint(SYMBOL_SIGNS) else []
    if expressions:
        wanted += ['img[alt*="="]', 'img[alt*="^"]', 'img[alt*="/"]']
    if not wanted or tree.document is None:
        return
    nodes = tree.document.query_selector_all(", ".join(wanted)).values()[:MAX_IMAGES]
    for run in _runs(nodes):
        alts = [" ".join((node.getattr("alt") or "").split()) for node in run]
        symbols = [alt for alt in alts if _is_symbol(alt) or (expressions and _is_expression(alt))]
        before, after = _text_beside(run[0], "previous_sibling"), _text_beside(run[-1], "next_sibling")
        sure = any(alt not in _ON_BUTTONS for alt in symbols)
        if not symbols or not (before or after if sure else before and after) or any(map(_is_large, run)):
            continue
        for node, alt, following in zip(run, alts, [*alts[1:], after], strict=True):
            if alt in symbols or _is_short(alt):
                left = " " if before[-1:].isalnum() and alt[0].isalnum() else ""
                right = " " if following[:1].isalnum() and alt[-1].isalnum() else ""
                # A lone character would get lost.
                text = tree.create_text_node(f"{left}{alt}{right}" + (FILLER if len(alt) == 1 else ""))
                if text is not None:
                    node.replace_with(text)
            before = ""


def _runs(nodes: Sequence[Node]) -> list[list[Node]]:
    """Images in groups of which nothing but white space stands between."""
    runs: list[list[Node]] = []
    following: Node | None = None
    for node in nodes:
        if runs and following is not None and following == node:
            runs[-1].append(node)
        else:
            runs.append([node])
        following = node.next_sibling
        if following is not None and following.tag == "#text" and not (following.value or "").strip():
            following = following.next_sibling
    return runs


def _is_symbol(alt: str) -> bool:
    return alt in _SYMBOLS or alt.lower() in _SYMBOLS


def _is_short(alt: str) -> bool:
    """Whether an image beside that of a symbol may be a symbol, too: a variable (Metamath's `ph`), a bracket."""
    return 0 < len(alt) <= MAX_BESIDE and _WORD.search(alt) is None


def _is_expression(alt: str) -> bool:
    if len(alt) > MAX_EXPRESSION or _EXPRESSION.search(alt) is None:
        return False
    if _ANYTHING_ELSE.search(alt) is not None or _NO_EXPRESSION.fullmatch(alt):
        return False
    return all(word in FUNCTIONS for word in _WORD.findall(alt))


_IN_LINE = frozenset({"b", "i", "em", "strong", "sub", "sup", "font", "var", "span", "u", "small", "big", "tt"})


def _text_beside(node: Node, step: str) -> str:
    """The text beside an image in its line."""
    other = getattr(node, step)
    white = ""
    if other is not None and other.tag == "#text" and not (other.value or "").strip():
        white, other = " ", getattr(other, step)
    if other is None:
        return ""
    text = other.value if other.tag == "#text" else other.text if other.tag in _IN_LINE else ""
    text = text or ""
    return (text + white if step == "previous_sibling" else white + text) if text.strip() else ""


def _is_large(node: Node) -> bool:
    return any(_pixels(node.getattr(side) or "") > MAX_SIDE for side in ("width", "height"))


def _pixels(length: str) -> int:
    digits = length.strip().removesuffix("px")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0
