r"""KaTeX's HTML as TeX, for pages that carry neither its MathML nor the source (mdBook renders so).

KaTeX places by vertical lists: a `.vlist` holds boxes with `style="top:...em"`, and which box is a superscript, a
numerator or a limit follows from its height.
"""

from __future__ import annotations

import re
from typing import Any

from resiliparse.parse.html.node import ELEMENT

from mathwright.corpus.formulas.symbols import FILLER, FUNCTIONS, join, to_tex, trim

Node = Any
"""An element of resiliparse's tree."""

_MAX_DEPTH = 150
_TOP = re.compile(r"top:\s*(-?[\d.]+)em")
_HEIGHT = re.compile(r"height:\s*([\d.]+)em")
_FONTS = {
    "mathbf": "mathbf", "mathbb": "mathbb", "mathcal": "mathcal", "mathfrak": "mathfrak", "mathrm": "mathrm",
    "mathsf": "mathsf", "mathtt": "mathtt", "boldsymbol": "boldsymbol", "mathscr": "mathscr", "mathit": "mathit",
    "textbf": "textbf", "textit": "textit", "texttt": "texttt", "textsf": "textsf",
}  # fmt: skip
_IGNORED = frozenset({
    "strut", "pstrut", "vlist-s", "nulldelimiter", "hide-tail", "frac-line", "overline-line", "underline-line",
})  # fmt: skip
_ACCENTS = {"^": "hat", "ˆ": "hat", "¯": "bar", "ˉ": "bar", "⃗": "vec", "~": "tilde", "˜": "tilde", "˙": "dot",
            "¨": "ddot", "ˇ": "check", "˘": "breve", "´": "acute", "ˋ": "grave", "˚": "mathring"}  # fmt: skip
_NOT = "\ue020"
r"""The glyph of \not in KaTeX's font."""
_SLASH = "\u0338"
r"""What \notin lays over the sign before it."""
_ARROW = "\u20d7"
_SIZES = {"size1": "big", "size2": "Big", "size3": "bigg", "size4": "Bigg"}
_QUADS = {"margin-right:1em": r" \quad ", "margin-right:2em": r" \qquad "}
"""The spaces that authors set; narrower ones KaTeX sets itself."""
_SIDES = {"mopen": "l", "mclose": "r", "mrel": "m"}
r"""\bigl, \bigr and \bigm by the class of the fence; \big leaves it an ordinary symbol."""
_PIECES = {**dict.fromkeys("⎧⎨⎩", "{"), **dict.fromkeys("⎫⎬⎭", "}"), **dict.fromkeys("⎛⎝⎜", "("),
           **dict.fromkeys("⎞⎠⎟", ")"), **dict.fromkeys("⎡⎣⎢", "["), **dict.fromkeys("⎤⎦⎥", "]"),
           **dict.fromkeys("∣", "|")}  # fmt: skip
"""Parts that the tallest fences are put together from."""
_MATRICES = {("(", ")"): "pmatrix", ("[", "]"): "bmatrix", ("|", "|"): "vmatrix", ("{", "."): "cases",
             ("{", "}"): "Bmatrix"}  # fmt: skip
_TEXT_ESCAPES = str.maketrans({c: "\\" + c for c in "#%&_{}$"} | {"\u200b": "", "\xa0": " "})
_TEXT_FONTS = ("textsf", "texttt", "textbf", "textit")
_FONT_RUN = re.compile(
    r"\\(math(?:sf|rm|it|bf|tt))\{(?:([A-Za-z]+)\}\\\1\{)?([A-Za-z])\}((?:[_^](?:\\\1\{\w+\}|\{\\\1\{\w+\}\}))+)"
)
"""Letters in a font, the last of them with scripts in the same: in one font all, as the scripts are of a letter."""
_FONT_SCRIPT = re.compile(r"([_^])\{?\\math\w\w\{(\w+)\}\}?")
_ENVIRONMENT = re.compile(r"\\begin\{(matrix|aligned|array)\}(?:\{[lcr]*\})?(.*)\\end\{\1\}", re.DOTALL)


def katex_to_tex(node: Node) -> str:
    """TeX of a `.katex-html` element. Never raises; what it does not know becomes the TeX of its parts in a row."""
    tex = trim(re.sub(r"[^\S\n]+", " ", _row(node, 0)))
    if "\n" in tex and node.closest(".katex-display") is None:
        tex = tex.replace("\n", " ")
    for pattern, replacement in _WHOLE:
        tex = pattern.sub(replacement, tex)
    return tex


def _in_one_font(match: re.Match[str]) -> str:
    font, letters, last, scripts = match.groups()
    scripts = _FONT_SCRIPT.sub(lambda script: _script(script[1], script[2]), scripts)
    return f"\\{font}{{{letters or ''}{last}{scripts}}}"


_WHOLE = (
    (re.compile(r"\\not ?=", re.ASCII), r"\\neq"),
    (re.compile(r"\\in ?\u0338|\\not ?\\in(?![a-z])"), r"\\notin"),
    (re.compile("\u0338"), "/"),
    (re.compile(r"(?:\\quad )?\(\\mathrm\{mod\} ?([^\W_])\)"), r"\\pmod \1"),
    (re.compile(r"(?:\\quad )?\(\\mathrm\{mod\} ?+([^()]*+)\)"), r"\\pmod{\1}"),
    (_FONT_RUN, _in_one_font),
    (re.compile(r"\\(math(?:sf|rm|it|bf|tt))\{([A-Za-z]+)\}\\\1\{([A-Za-z]+)\}"), r"\\\1{\2\3}"),
)
"""What is mended when all parts stand in a row."""


def _row(node: Node, depth: int) -> str:
    tex = ""
    for child in node.child_nodes.values():
        tex = join(tex, _convert(child, depth + 1))
    return tex


def _convert(node: Node, depth: int) -> str:
    if node.tag == "#text":
        return to_tex(node.value or "").replace(r"\ldots", r"\dots")  # the more frequent of the two
    if node.type != ELEMENT or node.tag in ("svg", "annotation") or depth > _MAX_DEPTH:
        return ""
    classes = (node.getattr("class") or "").split()
    if not classes:
        return _row(node, depth)
    if "newline" in classes:
        return r" \\ "
    if "mspace" in classes:
        return _QUADS.get((node.getattr("style") or "").replace(" ", "").rstrip(";"), "")
    if not _IGNORED.isdisjoint(classes):
        return ""
    for name in classes:
        if name in _LAYOUTS:
            return _LAYOUTS[name](node, depth)
    if "rlap" in classes and _NOT in (node.text or ""):
        return r"\not"
    if "llap" in classes and (node.text or "").strip(" \u200b") == "/":
        return _SLASH
    if "text" in classes:
        return _text(node)
    if "minner" in classes and (fenced := _fenced(node, depth)) is not None:
        return fenced
    only = node.first_element_child if len(node.children) == 1 else None
    command = next((_SIZES[n] for n in (only.getattr("class") or "").split() if n in _SIZES), "") if only else ""
    if only is not None and command and "delimsizing" in only.getattr("class"):
        side = next((_SIDES[name] for name in classes if name in _SIDES), "")
        return join(f"\\{command}{side}", _fence(node))
    font = next((_FONTS[name] for name in classes if name in _FONTS), "")
    tex = _row(node, depth)
    if "mord" in classes and tex.replace(r"\mid", "").strip() == "" and "\\mid" in tex:
        return "|" * tex.count(r"\mid")  # the same character as \mid, which is a relation
    if "mbin" in classes and tex.strip() == r"\mathrm{mod}":
        return r" \bmod "
    if "mop" in classes and tex.isalpha() and len(tex) > 1:
        return "\\" + tex if tex in FUNCTIONS else f"\\operatorname{{{tex}}}"
    if font and tex:
        return f"\\{font}{{{tex}}}" if tex.isalnum() or font != "mathrm" else tex
    if "mrel" in classes or "mbin" in classes:
        return f" {tex} "
    return tex + " " if "mpunct" in classes else tex


def _text(node: Node) -> str:
    text = (node.text or "").translate(_TEXT_ESCAPES)
    if not text.strip():
        return r"\ "
    only = node.first_element_child if len(node.children) == 1 else None
    fonts = (only.getattr("class") or "").split() if only is not None else []
    command = next((font for font in _TEXT_FONTS if font in fonts), "text")
    return f"\\{command}{{{text}}}"


def _fence(node: Node) -> str:
    """The character of a fence as TeX, "." for one that is not shown."""
    text = (node.text or "").strip("\u200b \n")
    return to_tex(_PIECES.get(text[:1], text[:1])) if text else "."


def _fenced(node: Node, depth: int) -> str | None:
    """What stands between \\left and \\right; None where the fences are not such."""
    children = [child for child in node.children.values() if "mspace" not in (child.getattr("class") or "")]
    if len(children) < 3:
        return None
    outer = [(child.getattr("class") or "").split() for child in (children[0], children[-1])]
    if "mopen" not in outer[0] or "mclose" not in outer[1]:
        return None
    left, right = _fence(children[0]), _fence(children[-1])
    table = children[1].query_selector(".mtable") if len(children) == 3 else None
    inner = ""
    for child in children[1:-1]:
        inner = join(inner, _convert(child, depth + 1))
    inner = trim(inner)
    environment = _MATRICES.get((left.removeprefix("\\"), right.removeprefix("\\")))
    whole = _ENVIRONMENT.fullmatch(inner)
    if table is not None and environment is not None and whole is not None and "\\begin" not in whole[2]:
        return f"\\begin{{{environment}}}{whole[2]}\\end{{{environment}}}"
    return f"{join(chr(92) + 'left', left)}{' ' if left[-1:].isalpha() else ''}{inner}{join(chr(92) + 'right', right)}"


def _boxes(node: Node) -> list[Node]:
    """The boxes of the first vertical list in `node`, from the lowest to the highest."""
    lists = node.query_selector(".vlist")
    if lists is None:
        return []
    placed = []
    for box in lists.children.values():
        top = _TOP.search(box.getattr("style") or "")
        if top is not None:
            placed.append((float(top[1]), box))
    return [box for _, box in sorted(placed, key=lambda item: -item[0])]


_ATOM = re.compile(r"[^\W_]|\\[A-Za-z]+|\\(?:text|math)[a-z]+\{[^{}]*\}|\\text\{[^{}]*\}", re.ASCII)
"""What needs no braces as a script."""


def _script(mark: str, tex: str) -> str:
    tex = trim(tex)
    if mark == "^" and tex and not tex.strip("'"):
        return tex
    return f"{mark}{tex}" if _ATOM.fullmatch(tex) else f"{mark}{{{tex}}}"


def _scripts(node: Node, depth: int) -> str:
    boxes = _boxes(node)
    if not boxes:
        return ""
    if len(boxes) > 1:
        sub, sup = _script("_", _row(boxes[0], depth)), _script("^", _row(boxes[-1], depth))
        return sup + sub if sup.startswith("'") else sub + sup
    below = node.query_selector(".vlist-t2") is not None  # a list that reaches below the line
    top = _TOP.search(boxes[0].getattr("style") or "")
    below = below and top is not None and float(top[1]) > -2.75  # superscripts with descenders reach below it, too
    return _script("_" if below else "^", _row(boxes[0], depth))


def _fraction(node: Node, depth: int) -> str:
    boxes = [box for box in _boxes(node) if box.query_selector(".frac-line") is None]
    if len(boxes) != 2:
        return _row(node, depth)
    command = "frac" if node.query_selector(".frac-line") is not None else "binom"
    return f"\\{command}{{{trim(_row(boxes[1], depth))}}}{{{trim(_row(boxes[0], depth))}}}"


def _root(node: Node, depth: int) -> str:
    index = node.query_selector(".root")
    degree = f"[{trim(_row(index, depth))}]" if index is not None else ""
    body = node.query_selector(".svg-align")
    return f"\\sqrt{degree}{{{trim(_row(body if body is not None else node, depth))}}}"


def _limits(node: Node, depth: int) -> str:
    boxes = _boxes(node)
    operator = next((i for i, box in enumerate(boxes) if box.query_selector(".mop") is not None), None)
    if operator is None:
        return _row(node, depth)
    tex = trim(_row(boxes[operator], depth))
    if tex.isalpha() and len(tex) > 1:
        tex = "\\" + tex if tex in FUNCTIONS else f"\\operatorname*{{{tex}}}"
    if boxes[operator].query_selector(".small-op") is not None:
        tex += r"\limits"  # which in a line stand beside the sign
    if operator > 0:
        tex += _script("_", _row(boxes[0], depth))
    if operator < len(boxes) - 1:
        tex += _script("^", _row(boxes[-1], depth))
    return tex


def _accent(node: Node, depth: int) -> str:
    body = node.query_selector(".accent-body")
    boxes = [box for box in _boxes(node) if box.query_selector(".accent-body") is None]
    base = trim(_row(boxes[0], depth)) if boxes else ""
    if body is None:
        return f"\\widehat{{{base}}}" if node.query_selector("svg") is not None else base
    mark = (body.text or "").strip(" " + FILLER)
    command = "vec" if body.query_selector("svg") is not None or mark == _ARROW else _ACCENTS.get(mark, "hat")
    return f"\\{command}{{{base}}}"


def _over(node: Node, depth: int) -> str:
    return f"\\overline{{{trim(_row(node, depth))}}}"


def _under(node: Node, depth: int) -> str:
    return f"\\underline{{{trim(_row(node, depth))}}}"


def _table(node: Node, depth: int) -> str:
    """KaTeX sets arrays by column."""
    columns = [
        [trim(_row(box, depth)) for box in reversed(_boxes(column))]
        for column in node.children.values()
        if "col-align" in (column.getattr("class") or "")
    ]
    if not columns:
        return _row(node, depth)
    height = max(len(column) for column in columns)
    rows = [" & ".join(column[i] if i < len(column) else "" for column in columns) for i in range(height)]
    rules = _rules(node, height)
    ends = [f" \\\\\n{rule}" for rule in rules[1:-1]] + [rules[-1] and f" \\\\\n{rules[-1]}"]
    body = rules[0] + "".join(row + end for row, end in zip(rows, ends, strict=True)).rstrip()
    kinds = [(child.getattr("class") or "").split() for child in node.children.values()]
    letters = ""
    for names in kinds:
        letters += "|" if "vertical-separator" in names else "".join(n[-1] for n in names if n.startswith("col-align-"))
    if "|" in letters or set(letters) == {"l"}:
        return f"\\begin{{array}}{{{letters}}} {body} \\end{{array}}"
    environment = "aligned" if letters.startswith("r") else "matrix"
    return f"\\begin{{{environment}}} {body} \\end{{{environment}}}"


def _rules(table: Node, height: int) -> list[str]:
    """The \\hline before each row of a table, and after the last: they lie over it, in a list of their own."""
    rules = [""] * (height + 1)
    box = table.parent
    around = box.parent if box is not None else None
    if around is None or "vlist" not in (around.getattr("class") or "").split():
        return rules
    rows = [_place(row) for row in reversed(_boxes(table))]
    for line in around.children.values():
        if line.query_selector(".hline") is not None:
            rules[sum(row < _place(line) for row in rows)] += r"\hline "
    return rules


def _place(box: Node) -> float:
    """How far below the line a box of a vertical list stands, in em: its offset counts from the top of a strut."""
    strut = box.query_selector(".pstrut")
    offset = _TOP.search(box.getattr("style") or "")
    height = _HEIGHT.search(strut.getattr("style") or "") if strut is not None else None
    return (float(offset[1]) if offset is not None else 0.0) + (float(height[1]) if height is not None else 0.0)


_LAYOUTS = {
    "msupsub": _scripts, "mfrac": _fraction, "sqrt": _root, "op-limits": _limits, "accent": _accent,
    "overline": _over, "underline": _under, "mtable": _table,
}  # fmt: skip
