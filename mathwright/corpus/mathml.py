"""Presentation MathML as TeX.

Used where a page gives no TeX of its own beside the MathML (docutils, old MathJax output, word processors).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mathwright.corpus.mathml_leaves import (
    Node,
    children_of,
    function,
    identifier,
    name_of,
    number,
    space,
    text_of,
    word,
    words,
)
from mathwright.corpus.symbols import (
    ACCENTS,
    BIG_OPERATORS,
    BINARIES,
    FUNCTIONS,
    RELATIONS,
    UNDER_ACCENTS,
    VARIANTS,
    WIDE_ACCENTS,
    join,
    to_tex,
)

MAX_DEPTH = 100
"""Markup nested deeper than this gives only its text: no formula is so deep, but hostile pages are."""
MAX_NODES = 20_000
"""A formula of more elements than this gives only its text."""

_OPENING = frozenset(["(", "[", "{", "⟨", "〈", "⌊", "⌈", "⟦"])
_CLOSING = frozenset([")", "]", "}", "⟩", "〉", "⌋", "⌉", "⟧"])
_TALL = re.compile(r"\\(?:frac|binom|begin|underset|overset|underbrace|overbrace)\b|\\(?:sum|prod|bigcap|bigcup|int)_")
_SINGLE = re.compile(r"\w|\\[A-Za-z]+|\\[A-Za-z]+\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\]|\\[{}|]|\)|\]|\|", re.ASCII)
_BARE_SCRIPT = re.compile(r"[^\W_]|\\[A-Za-z]+|\*", re.ASCII)
_PRIMES = re.compile(r"'+")
_SPACE = re.compile(r"\s+")
_MATRICES = {("(", ")"): "pmatrix", ("[", "]"): "bmatrix", ("|", "|"): "vmatrix", ("‖", "‖"): "Vmatrix",
             ("∥", "∥"): "Vmatrix", ("{", "}"): "Bmatrix", ("{", ""): "cases"}  # fmt: skip


def mathml_to_tex(math: Node) -> str:
    """TeX of a `<math>` element (or any element of MathML), "" where it shows nothing. Never raises."""
    if len(math.get_elements_by_tag_name("*")) > MAX_NODES:
        return to_tex(text_of(math))
    return _SPACE.sub(" ", _convert(math, 0)).strip()


def _convert(node: Node, depth: int) -> str:
    if depth > MAX_DEPTH:
        return to_tex(text_of(node))
    convert = _ELEMENTS.get(name_of(node))
    return _row(children_of(node), depth) or to_tex(text_of(node)) if convert is None else convert(node, depth + 1)


def _argument(node: Node | None, depth: int) -> str:
    """The TeX of an element as an argument in braces, braces left out."""
    return "" if node is None else _convert(node, depth).strip()


def _nth(children: Sequence[Node], index: int) -> Node | None:
    return children[index] if index < len(children) else None


# --- rows: operators, fences, fenced tables ----------------------------------------------------------


def _row(nodes: Sequence[Node], depth: int) -> str:
    parts: list[str] = []
    open_fences: list[tuple[int, str]] = []
    index = 0
    while index < len(nodes):
        node = nodes[index]
        fenced = _fenced_table(nodes, index, depth)
        if fenced is not None:
            tex, used = fenced
            parts.append(tex)
            index += used
            continue
        if name_of(node) == "mo":
            text = text_of(node)
            fence = "" if node.getattr("stretchy") == "false" else text
            parts.append(_operator(node, text, 0 < index < len(nodes) - 1 and _can_be_left_of_infix(nodes[index - 1])))
            if text in _OPENING:
                open_fences.append((len(parts) - 1, fence))
            elif text in _CLOSING and open_fences:
                start, opening = open_fences.pop()
                if opening and fence and _TALL.search("".join(parts[start + 1 : -1])):
                    parts[start] = join(r"\left", parts[start])
                    parts[-1] = r"\right" + parts[-1]
        elif name_of(node) == "mi" and index + 1 < len(nodes) and text_of(nodes[index + 1]) == "\u2061":
            parts.append(function(node, depth))
        else:
            parts.append(_convert(node, depth))
        index += 1
    tex = ""
    for part in _stretch_bars(parts):
        tex = join(tex, part)
    return tex


def _stretch_bars(parts: list[str]) -> list[str]:
    r"""`|...|` around something tall as \left| ... \right|; a bar does not say whether it opens or closes."""
    if len(parts) > 2 and parts[0] == parts[-1] and parts[0] in ("|", r"\|") and _TALL.search("".join(parts[1:-1])):
        return [r"\left" + parts[0], *parts[1:-1], r"\right" + parts[-1]]
    return parts


def _operator(node: Node, text: str, infix: bool) -> str:
    if text in (",", ";"):
        return text + " "
    if text.isalpha() and text.isascii() and len(text) > 1:
        return word(text)
    tex = to_tex(text)
    if text in ("|", "∣") and tex == r"\mid" and not infix:
        tex = "|"
    if infix and (text in RELATIONS or text in BINARIES) and node.getattr("form") not in ("prefix", "postfix"):
        return f" {tex} "
    return f"{tex} " if text in RELATIONS else tex


def _can_be_left_of_infix(node: Node) -> bool:
    """Whether an operator behind this node stands between two operands (`a - b`), not before one (`= -b`)."""
    return name_of(node) != "mo" or text_of(node) in _CLOSING or text_of(node) in ("|", "!", "'", "′", "…", "⋯")


def _fenced_table(nodes: Sequence[Node], index: int, depth: int) -> tuple[str, int] | None:
    """A matrix or cases: (TeX, nodes used) where the table at `index + 1` stands between fences."""
    if name_of(nodes[index]) != "mo" or index + 1 >= len(nodes):
        return None
    opening = text_of(nodes[index])
    if opening not in ("(", "[", "{", "|", "‖", "∥"):
        return None
    table = _only_table(nodes[index + 1])
    if table is None:
        return None
    behind = _nth(nodes, index + 2)
    closing = text_of(behind) if behind is not None and name_of(behind) == "mo" else ""
    environment = _MATRICES.get((opening, closing))
    used = 3 if behind is not None and name_of(behind) == "mo" and (environment or not closing) else 2
    if environment is None:
        if opening != "{":
            return None
        environment = "cases"
    return _environment(environment, _rows(table, depth)), used


def _only_table(node: Node) -> Node | None:
    """The table that is all there is in `node`."""
    for _ in range(4):
        if name_of(node) == "mtable":
            return node
        children = children_of(node)
        if name_of(node) not in ("mrow", "mstyle", "mpadded") or len(children) != 1:
            return None
        node = children[0]
    return None


# --- fractions, roots, scripts ------------------------------------------------------------------------


def _fraction(node: Node, depth: int) -> str:
    children = children_of(node)
    top, bottom = _argument(_nth(children, 0), depth), _argument(_nth(children, 1), depth)
    thickness = (node.getattr("linethickness") or "").strip()
    if thickness and re.fullmatch(r"0(\.0*)?[a-z%]*", thickness):
        return f"{{{top} \\atop {bottom}}}"
    return f"{{{top}}}/{{{bottom}}}" if node.getattr("bevelled") == "true" else f"\\frac{{{top}}}{{{bottom}}}"


def _square_root(node: Node, depth: int) -> str:
    return f"\\sqrt{{{_row(children_of(node), depth).strip()}}}"


def _root(node: Node, depth: int) -> str:
    children = children_of(node)
    return f"\\sqrt[{_argument(_nth(children, 1), depth)}]{{{_argument(_nth(children, 0), depth)}}}"


def _base(node: Node | None, depth: int) -> str:
    tex = _argument(node, depth)
    return tex if _SINGLE.fullmatch(tex) else f"{{{tex}}}"


def _script(mark: str, tex: str) -> str:
    if not tex:
        return ""
    if mark == "^" and _PRIMES.fullmatch(tex):
        return tex
    if mark == "^" and tex == r"^\circ":
        return tex
    return f"{mark}{tex}" if _BARE_SCRIPT.fullmatch(tex) else f"{mark}{{{tex}}}"


def _scripts(base: str, sub: str, sup: str) -> str:
    sup_tex = _script("^", sup)
    # A prime comes first: f'_i, since TeX refuses f_i^{a}' written the other way round.
    return base + (sup_tex + _script("_", sub) if sup_tex.startswith("'") else _script("_", sub) + sup_tex)


def _sub(node: Node, depth: int) -> str:
    children = children_of(node)
    return _scripts(_base(_nth(children, 0), depth), _argument(_nth(children, 1), depth), "")


def _sup(node: Node, depth: int) -> str:
    children = children_of(node)
    return _scripts(_base(_nth(children, 0), depth), "", _argument(_nth(children, 1), depth))


def _sub_sup(node: Node, depth: int) -> str:
    children = children_of(node)
    sub, sup = _argument(_nth(children, 1), depth), _argument(_nth(children, 2), depth)
    return _scripts(_base(_nth(children, 0), depth), sub, sup)


def _multiscripts(node: Node, depth: int) -> str:
    children = children_of(node)
    before, pairs = "", ""
    base = _base(_nth(children, 0), depth)
    names = [name_of(child) for child in children]
    prescripts = names.index("mprescripts") if "mprescripts" in names else len(children)
    for start, stop in ((1, prescripts), (prescripts + 1, len(children))):
        for index in range(start, stop, 2):
            sub = _argument(children[index], depth)
            sup = _argument(children[index + 1], depth) if index + 1 < stop else ""
            if start == 1:
                pairs += _scripts("{}" if pairs else "", sub, sup)
            else:
                before += _scripts("{}", sub, sup)
    return before + base + pairs


def _takes_limits(node: Node | None) -> bool:
    if node is None:
        return False
    text = text_of(node)
    return text in BIG_OPERATORS or (text in FUNCTIONS and name_of(node) in ("mo", "mi", "mrow", "mstyle", "mtext"))


def _under(node: Node, depth: int) -> str:
    children = children_of(node)
    base, below = _nth(children, 0), _nth(children, 1)
    return _limits(base, below, None, depth)


def _over(node: Node, depth: int) -> str:
    children = children_of(node)
    return _limits(_nth(children, 0), None, _nth(children, 1), depth)


def _under_over(node: Node, depth: int) -> str:
    children = children_of(node)
    return _limits(_nth(children, 0), _nth(children, 1), _nth(children, 2), depth)


def _limits(base: Node | None, below: Node | None, above: Node | None, depth: int) -> str:
    under, over = _argument(below, depth), _argument(above, depth)
    tex = _argument(base, depth)
    if _takes_limits(base) or (
        base is not None and name_of(base) in ("munder", "mover") and re.match(r"\\(und|ov)er", tex)
    ):
        return _scripts(tex, under, over)
    if base is not None and len(text_of(base)) == 1 and text_of(base) in "→⟶⇒←⟵" and (above is not None):
        arrow = "xleftarrow" if text_of(base) in "←⟵" else "xrightarrow"
        return f"\\{arrow}[{under}]{{{over}}}" if under else f"\\{arrow}{{{over}}}"
    if above is not None:
        tex = _accented(above, over, tex, ACCENTS, "overset")
    if below is not None:
        tex = _accented(below, under, tex, UNDER_ACCENTS, "underset")
    return tex


def _accented(mark: Node, mark_tex: str, tex: str, accents: dict[str, str], otherwise: str) -> str:
    accent = accents.get(text_of(mark))
    if accent is None:
        return f"\\{otherwise}{{{mark_tex}}}{{{tex}}}" if mark_tex else tex
    if accents is ACCENTS and len(tex) > 1 and not re.fullmatch(r"\\[A-Za-z]+(\{\w\})?", tex):
        accent = WIDE_ACCENTS.get(accent, accent)
    return f"\\{accent}{{{tex}}}"


# --- tables and wrappers ------------------------------------------------------------------------------


def _rows(table: Node, depth: int) -> list[list[str]]:
    rows: list[list[str]] = []
    for row in children_of(table):
        if name_of(row) not in ("mtr", "mlabeledtr"):
            continue
        cells = [c for c in children_of(row) if name_of(c) == "mtd"]
        if name_of(row) == "mlabeledtr":
            cells = cells[1:]
        rows.append([_row(children_of(cell), depth).strip() or to_tex(text_of(cell)) for cell in cells])
    return rows


def _environment(name: str, rows: list[list[str]]) -> str:
    body = r" \\ ".join(" & ".join(cells) for cells in rows)
    return f"\\begin{{{name}}} {body} \\end{{{name}}}"


def _table(node: Node, depth: int) -> str:
    rows = _rows(node, depth)
    if len(rows) == 1 and len(rows[0]) == 1:
        return rows[0][0]
    alignment = (node.getattr("columnalign") or "").split()
    kind = node.getattr("class") or ""
    aligned = "align" in kind or node.getattr("displaystyle") == "true" or alignment[:2] == ["right", "left"]
    return _environment("cases" if "cases" in kind else "aligned" if aligned else "matrix", rows)


def _fenced(node: Node, depth: int) -> str:
    opening = node.getattr("open")
    closing = node.getattr("close")
    separators = node.getattr("separators")
    opening = "(" if opening is None else opening.strip()
    closing = ")" if closing is None else closing.strip()
    marks = "," if separators is None else "".join(separators.split())
    children = children_of(node)
    table = _only_table(children[0]) if len(children) == 1 else None
    if table is not None and (opening, closing) in _MATRICES:
        return _environment(_MATRICES[opening, closing], _rows(table, depth))
    inner = ""
    for index, child in enumerate(children):
        if index and marks:
            inner += to_tex(marks[min(index, len(marks)) - 1]) + " "
        inner += _convert(child, depth)
    left, right = to_tex(opening), to_tex(closing)
    if _TALL.search(inner):
        return f"{join(chr(92) + 'left', left or '.')}{inner}\\right{right or '.'}"
    return join(left, inner) + right


def _enclosed(node: Node, depth: int) -> str:
    inner = _row(children_of(node), depth).strip()
    notations = (node.getattr("notation") or "").split()
    for notation, command in (("box", "boxed"), ("top", "overline"), ("bottom", "underline"), ("radical", "sqrt"),
                              ("updiagonalstrike", "cancel"), ("downdiagonalstrike", "bcancel")):  # fmt: skip
        if notation in notations:
            return f"\\{command}{{{inner}}}"
    return inner


def _group(node: Node, depth: int) -> str:
    variant = node.getattr("mathvariant") or ""
    inner = _row(children_of(node), depth) if len(node.children) else to_tex(text_of(node))
    return f"\\{VARIANTS[variant]}{{{inner.strip()}}}" if variant in VARIANTS else inner


def _first(node: Node, depth: int) -> str:
    children = children_of(node)
    return _convert(children[0], depth) if children else to_tex(text_of(node))


def _phantom(node: Node, depth: int) -> str:
    return f"\\phantom{{{_row(children_of(node), depth).strip()}}}"


def _nothing(node: Node, depth: int) -> str:
    return ""


_ELEMENTS: dict[str, Callable[[Node, int], str]] = {
    "math": _group, "mrow": _group, "mstyle": _group, "mpadded": _group, "merror": _group, "mtd": _group,
    "semantics": _first, "maction": _first, "mphantom": _phantom, "menclose": _enclosed, "mfenced": _fenced,
    "mi": identifier, "mn": number, "mo": lambda node, depth: _operator(node, text_of(node), False),
    "mtext": words, "ms": words, "mspace": space,
    "mfrac": _fraction, "msqrt": _square_root, "mroot": _root, "msub": _sub, "msup": _sup, "msubsup": _sub_sup,
    "munder": _under, "mover": _over, "munderover": _under_over, "mmultiscripts": _multiscripts, "mtable": _table,
    "annotation": _nothing, "annotation-xml": _nothing, "none": _nothing, "mprescripts": _nothing,
    "maligngroup": _nothing, "malignmark": _nothing,
}  # fmt: skip
