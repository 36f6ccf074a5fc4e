"""Fractions, roots, scripts, limits and accents of MathML as TeX."""

from __future__ import annotations

import re

from mathwright.corpus.formulas.mathml.leaves import Node, children_of, name_of, text_of
from mathwright.corpus.formulas.mathml.rows import argument, has_no_bar, nth, row
from mathwright.corpus.formulas.symbols import ACCENTS, BIG_OPERATORS, FUNCTIONS, UNDER_ACCENTS, WIDE_ACCENTS, trim

_SINGLE = re.compile(
    r"\d+(?:[.,]\d+)*|\w|\\[A-Za-z]+|\\[A-Za-z]+\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\]|\\[{}|]|\)|\]|\|", re.ASCII
)
_BARE_SCRIPT = re.compile(r"[^\W_]|\\[A-Za-z]+|\*", re.ASCII)
_PRIMES = re.compile(r"'+")
_ATOM = re.compile(r"\d+|\w|\\[A-Za-z]+")
_ARROWS = {"→": "xrightarrow", "⟶": "xrightarrow", "←": "xleftarrow", "⟵": "xleftarrow", "⇒": "xRightarrow",
           "⟹": "xRightarrow", "⇐": "xLeftarrow", "↔": "xleftrightarrow", "⇔": "xLeftrightarrow", "↦": "xmapsto",
           "⇌": "xrightleftharpoons", "⇀": "xrightharpoonup", "↪": "xhookrightarrow"}  # fmt: skip


def fraction(node: Node, depth: int) -> str:
    children = children_of(node)
    top, bottom = argument(nth(children, 0), depth), argument(nth(children, 1), depth)
    if has_no_bar(node):
        return f"{{{top} \\atop {bottom}}}"
    if node.getattr("bevelled") == "true":
        return "/".join(tex if _ATOM.fullmatch(tex) else f"{{{tex}}}" for tex in (top, bottom))
    return f"\\frac{{{top}}}{{{bottom}}}"


def square_root(node: Node, depth: int) -> str:
    return f"\\sqrt{{{trim(row(children_of(node), depth))}}}"


def root(node: Node, depth: int) -> str:
    children = children_of(node)
    index = argument(nth(children, 1), depth)
    index = f"{{{index}}}" if "]" in index else index
    degree = f"[{index}]" if index else ""
    return f"\\sqrt{degree}{{{argument(nth(children, 0), depth)}}}"


# --- scripts -----------------------------------------------------------------------------------------


def _base(node: Node | None, depth: int) -> str:
    tex = argument(node, depth)
    return tex if _SINGLE.fullmatch(tex) else f"{{{tex}}}"


def script(mark: str, tex: str) -> str:
    """A script with its mark, braces only where TeX needs them; "" where it is empty."""
    if not tex:
        return ""
    if mark == "^" and _PRIMES.fullmatch(tex):
        return tex
    if mark == "^" and tex == r"^\circ":
        return tex
    return f"{mark}{tex}" if _BARE_SCRIPT.fullmatch(tex) else f"{mark}{{{tex}}}"


def _scripts(base: str, sub: str, sup: str) -> str:
    sup_tex = script("^", sup)
    # A prime comes first: f'_i, since TeX refuses f_i^{a}' written the other way round.
    return base + (sup_tex + script("_", sub) if sup_tex.startswith("'") else script("_", sub) + sup_tex)


def sub(node: Node, depth: int) -> str:
    children = children_of(node)
    return _scripts(_base(nth(children, 0), depth), argument(nth(children, 1), depth), "")


def sup(node: Node, depth: int) -> str:
    children = children_of(node)
    return _scripts(_base(nth(children, 0), depth), "", argument(nth(children, 1), depth))


def sub_sup(node: Node, depth: int) -> str:
    children = children_of(node)
    below, above = argument(nth(children, 1), depth), argument(nth(children, 2), depth)
    return _scripts(_base(nth(children, 0), depth), below, above)


def multiscripts(node: Node, depth: int) -> str:
    children = children_of(node)
    before, pairs = "", ""
    base = _base(nth(children, 0), depth)
    names = [name_of(child) for child in children]
    prescripts = names.index("mprescripts") if "mprescripts" in names else len(children)
    for start, stop in ((1, prescripts), (prescripts + 1, len(children))):
        for index in range(start, stop, 2):
            below = argument(children[index], depth)
            above = argument(children[index + 1], depth) if index + 1 < stop else ""
            if start == 1:
                pairs += _scripts("{}" if pairs else "", below, above)
            else:
                before += _scripts("{}", below, above)
    return before + base + pairs


# --- limits and accents --------------------------------------------------------------------------------


def under(node: Node, depth: int) -> str:
    children = children_of(node)
    return _limits(nth(children, 0), nth(children, 1), None, depth)


def over(node: Node, depth: int) -> str:
    children = children_of(node)
    return _limits(nth(children, 0), None, nth(children, 1), depth)


def under_over(node: Node, depth: int) -> str:
    children = children_of(node)
    return _limits(nth(children, 0), nth(children, 1), nth(children, 2), depth)


_LIMIT_WORD = re.compile(r"[A-Za-z]{2,}(?: [A-Za-z]{2,})?")


def _takes_limits(node: Node) -> bool:
    text = text_of(node)
    if text in BIG_OPERATORS or (name_of(node) == "mo" and node.getattr("movablelimits") == "true" and len(text) == 1):
        return True
    return text in FUNCTIONS and name_of(node) in ("mo", "mi", "mrow", "mstyle", "mtext")


def _limit_word(base: Node, below: Node | None) -> str:
    r"""`\operatorname*` of a word with a limit below it (argmax, ess sup); "" where it is none."""
    text = text_of(base)
    if below is None or text_of(below) in UNDER_ACCENTS or _LIMIT_WORD.fullmatch(text) is None:
        return ""
    words = name_of(base) in ("mo", "mi") or (" " in text and name_of(base) in ("mrow", "mstyle"))
    return f"\\operatorname*{{{text.replace(' ', chr(92) + ',')}}}" if words else ""


def _limits(base: Node | None, below: Node | None, above: Node | None, depth: int) -> str:
    under_tex, over_tex = argument(below, depth), argument(above, depth)
    tex = argument(base, depth)
    if base is None:
        return _scripts("{}", under_tex, over_tex)
    if (squeezed := text_of(base).replace(" ", "")) in ("limsup", "liminf"):
        return _scripts("\\" + squeezed, under_tex, over_tex)
    if _takes_limits(base):
        return _scripts(tex, under_tex, over_tex)
    if (words := _limit_word(base, below)) != "":
        return _scripts(words, under_tex, over_tex)
    if name_of(base) in ("munder", "mover") and re.match(r"\\(und|ov)er(brace|bracket|paren)", tex):
        return _scripts(tex, under_tex, over_tex)
    if text_of(base) in _ARROWS and name_of(base) in ("mo", "mi", "mrow", "mstyle"):
        arrow = _ARROWS[text_of(base)]
        return f"\\{arrow}[{{{under_tex}}}]{{{over_tex}}}" if under_tex else f"\\{arrow}{{{over_tex}}}"
    if above is not None:
        tex = _accented(above, over_tex, tex, ACCENTS, "overset")
    if below is not None:
        tex = _accented(below, under_tex, tex, UNDER_ACCENTS, "underset")
    return tex


def _accented(mark: Node, mark_tex: str, tex: str, accents: dict[str, str], otherwise: str) -> str:
    accent = accents.get(text_of(mark))
    if accent is None:
        return f"\\{otherwise}{{{mark_tex}}}{{{tex}}}" if mark_tex else tex
    if accents is ACCENTS and len(tex) > 1 and not re.fullmatch(r"\\[A-Za-z]+(\{\w\})?", tex):
        accent = WIDE_ACCENTS.get(accent, accent)
    return f"\\{accent}{{{tex}}}"
