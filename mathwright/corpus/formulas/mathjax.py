"""MathJax's output as MathML, for pages saved after typesetting that kept neither the TeX nor the MathML.

MathJax 3 and 4 name every element of their output after the MathML element it shows (`mjx-mfrac`, or
`data-mml-node="mfrac"` in SVG), MathJax 2 in a class (`mfrac`, `mjx-mfrac`). Characters stand in class names
(`mjx-c1D465`), in `data-c`, or as text. What a script is, sub or super, follows from its place.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Any

from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ELEMENT

from mathwright.corpus.formulas.mathml.presentation import mathml_to_tex

Node = Any
"""An element of resiliparse's tree."""

_MAX_DEPTH = 100
_LEAVES = frozenset({"mi", "mn", "mo", "mtext", "ms"})
_ROWS = frozenset({"math", "mrow", "texatom", "mstyle", "mpadded", "menclose", "merror", "semantics", "maction", "mtd"})
_SCRIPTS = {"msub": "msub", "msup": "msup", "msubsup": "msubsup", "munder": "munder", "mover": "mover",
            "munderover": "munderover"}  # fmt: skip
_NAMES = _LEAVES | _ROWS | _SCRIPTS.keys() | {"mfrac", "msqrt", "mroot", "mtable", "mtr", "mlabeledtr", "mfenced",
                                              "mspace", "mphantom"}  # fmt: skip
_SKIPPED = frozenset({"mjx-assistive-mml", "mjx-surd", "mjx-nstrut", "mjx-dstrut", "mjx-tstrut", "mjx-spacer",
                      "mjx-speech", "mjx-mphantom", "mjx-labels"})  # fmt: skip
_CODE = re.compile(r"\bmjx-c([0-9A-F]{2,6})\b")
_WIDTH = re.compile(r"(?:^|[;\s])width:\s*+(-?(?:\d++(?:\.\d++)?|\.\d++))em")
_ALIGN = re.compile(r"text-align:\s*(left|right|center)")
_CALLIGRAPHIC = re.compile(r"\b[A-Z]+-CB?\b")
_ITALIC = re.compile("[\U0001d434-\U0001d467ℎ]")
_MONOSPACE = re.compile("[\U0001d670-\U0001d6a3\U0001d7f6-\U0001d7ff]")
_BOLD = re.compile("[\U0001d400-\U0001d433]")
_UP = re.compile(r"translate\(\s*-?[\d.]+\s*,\s*(-?[\d.]+)")
_TOP = re.compile(r"(?:^|[;\s])top:\s*(-?[\d.]+)em")
_PIECES = {**dict.fromkeys("⎧⎨⎩", "{"), **dict.fromkeys("⎫⎬⎭", "}"), **dict.fromkeys("⎛⎝", "("),
           **dict.fromkeys("⎞⎠", ")"), **dict.fromkeys("⎡⎣", "["), **dict.fromkeys("⎤⎦", "]")}  # fmt: skip
"""Parts that tall fences are put together from."""


def mathjax_to_tex(node: Node) -> str:
    """TeX of MathJax's output (`mjx-math`, an `svg` with `data-mml-node`, MathJax 2's `.math`). Never raises."""
    document = HTMLTree.parse(f"<math>{_convert(node, 0)}</math>").document
    math = document.query_selector("math") if document is not None else None
    return "" if math is None else mathml_to_tex(math)


_BOX_NAMES = {"mjx-numerator": "mjx-num", "mjx-denominator": "mjx-den", "mjx-op": "mjx-base"}


def _box(node: Node) -> str:
    """The name of a box of the output: a tag in MathJax 3 and 4, a class in MathJax 2's CommonHTML."""
    if node.tag != "span":
        return node.tag
    name = next((c for c in (node.getattr("class") or "").split() if c.startswith("mjx-")), "span")
    return _BOX_NAMES.get(name, name)


def _name(node: Node) -> str:
    """The MathML element that an element of the output shows; "" for one that only lays out."""
    tag = _box(node)
    if tag.startswith("mjx-"):
        name = tag[4:]
    elif tag == "span":
        name = next((c for c in (node.getattr("class") or "").split() if c in _NAMES), "")
    else:
        name = (node.getattr("data-mml-node") or "").lower()
    return name if name in _NAMES else ""


def _parts(node: Node, depth: int = 0) -> list[Node]:
    """The nearest elements below `node` that show MathML."""
    found: list[Node] = []
    for child in node.children.values():
        if _box(child) in _SKIPPED or depth > _MAX_DEPTH:
            continue
        if _name(child):
            found.append(child)
        else:
            found += _parts(child, depth + 1)
    return found


def _boxes(node: Node, names: tuple[str, ...], depth: int = 0) -> dict[str, Node]:
    """The nearest elements below `node` with these tags (`mjx-num`, `mjx-over`)."""
    found: dict[str, Node] = {}
    for child in node.children.values():
        box = _box(child)
        if box in names:
            found.setdefault(box, child)
        elif depth < 8 and (not _name(child) or box in ("mjx-munder", "mjx-mover")):
            for name, inner in _boxes(child, names, depth + 1).items():
                found.setdefault(name, inner)
    return found


def _inside(node: Node, depth: int) -> str:
    return "<mrow>" + "".join(_convert(part, depth + 1) for part in _parts(node)) + "</mrow>"


def _convert(node: Node, depth: int) -> str:
    name = _name(node)
    if depth > _MAX_DEPTH:
        return ""
    if name in _LEAVES:
        return _leaf(node, name)
    if name == "mfrac":
        return _fraction(node, depth)
    if name in ("msqrt", "mroot"):
        return _root(node, name, depth)
    if name in _SCRIPTS:
        return _scripts(node, name, depth)
    if name == "mtable":
        return _table(node, depth)
    if name == "mspace":
        width = _WIDTH.search(node.getattr("style") or "")
        return f"<mspace width='{width[1]}em'></mspace>" if width is not None else ""
    return "" if name == "mphantom" else _inside(node, depth)


def _table(node: Node, depth: int) -> str:
    rows = [_parts(part) for part in _parts(node) if _name(part) in ("mtr", "mlabeledtr")]
    alignment = ""
    for cell in max(rows, key=len, default=[]):
        found = _ALIGN.search(cell.getattr("style") or "")
        alignment += f"{found[1] if found is not None else 'center'} "
    cells = ("".join(f"<mtd>{_inside(cell, depth)}</mtd>" for cell in row) for row in rows)
    return f"<mtable columnalign='{alignment}'>" + "".join(f"<mtr>{row}</mtr>" for row in cells) + "</mtable>"


def _leaf(node: Node, name: str) -> str:
    text = _characters(node)
    text = next((_PIECES[c] for c in text if c in _PIECES), text) if name == "mo" else text
    variant = ""
    if name == "mtext":
        styles = (("italic", _ITALIC), ("bold", _BOLD), ("monospace", _MONOSPACE))
        variant = next((name for name, characters in styles if characters.search(text)), "")
        text = unicodedata.normalize("NFKC", text) if variant else text
    elif name == "mi" and node.tag != "span" and text.isascii():
        calligraphic = _CALLIGRAPHIC.search(" ".join(_css(child) for child in node.children.values()))
        variant = "script" if calligraphic else "normal" if len(text) == 1 else ""
    return f"<{name} mathvariant='{variant}'>{html.escape(text)}</{name}>"


def _css(node: Node) -> str:
    return node.getattr("class") or ""


def _characters(node: Node, depth: int = 0) -> str:
    text = ""
    for child in node.child_nodes.values():
        if child.tag == "#text":
            text += child.value or ""
            continue
        if child.type != ELEMENT:
            continue
        code = child.getattr("data-c") or ""
        if not code and child.tag.startswith(("mjx-c", "mjx-stretchy")):
            found = _CODE.search(child.getattr("class") or "")
            code = found[1] if found is not None else ""
        if re.fullmatch(r"[0-9A-Fa-f]{1,5}", code):
            text += chr(int(code, 16))
        elif _box(child) not in _SKIPPED and depth < _MAX_DEPTH:
            text += _characters(child, depth + 1)
    return text.replace("\u200b", "")


def _fraction(node: Node, depth: int) -> str:
    boxes = _boxes(node, ("mjx-num", "mjx-den"))
    if len(boxes) == 2:
        top, bottom = _inside(boxes["mjx-num"], depth), _inside(boxes["mjx-den"], depth)
        line = bool(_boxes(node, ("mjx-line",)))
    else:
        parts = _parts(node)
        if len(parts) != 2:
            return _inside(node, depth)
        top, bottom = (_convert(part, depth + 1) for part in parts)
        line = node.tag == "span" or any(child.tag == "rect" for child in node.children.values())
    thickness = "" if line else " linethickness='0'"
    return f"<mfrac{thickness}>{top}{bottom}</mfrac>"


def _is_surd(node: Node) -> bool:
    return _name(node) == "mo" and _characters(node)[:1] in ("√", "⎷", "")


def _root(node: Node, name: str, depth: int) -> str:
    boxes = _boxes(node, ("mjx-box", "mjx-root"))
    if "mjx-box" in boxes:
        body = _inside(boxes["mjx-box"], depth)
        index = _inside(boxes["mjx-root"], depth) if "mjx-root" in boxes else ""
    else:
        parts = [part for part in _parts(node) if not _is_surd(part)]
        small = [p for p in parts if "scale(" in (p.getattr("transform") or "")] if name == "mroot" else []
        body = "<mrow>" + "".join(_convert(part, depth + 1) for part in parts if part not in small) + "</mrow>"
        index = "".join(_convert(part, depth + 1) for part in small)
    return f"<mroot>{body}<mrow>{index}</mrow></mroot>" if name == "mroot" else f"<msqrt>{body}</msqrt>"


def _scripts(node: Node, name: str, depth: int) -> str:
    boxes = _boxes(node, ("mjx-over", "mjx-base", "mjx-under", "mjx-script", "mjx-sup", "mjx-sub"))
    if "mjx-base" in boxes:
        base = _inside(boxes["mjx-base"], depth)
        below = "".join(_inside(boxes[box], depth) for box in ("mjx-under", "mjx-sub") if box in boxes)
        above = "".join(_inside(boxes[box], depth) for box in ("mjx-over", "mjx-sup") if box in boxes)
    elif "mjx-script" in boxes:
        base = "".join(_convert(p, depth + 1) for p in _parts(node)[:1])
        scripts = [_convert(part, depth + 1) for part in _parts(boxes["mjx-script"])]
        if name in ("msub", "munder"):
            above, below = "", "".join(scripts)
        elif name in ("msup", "mover"):
            above, below = "".join(scripts), ""
        else:
            above, below = scripts[0] if scripts else "", "".join(scripts[1:])
    else:
        parts = _parts(node)
        base = _convert(parts[0], depth + 1) if parts else ""
        above = "".join(_convert(part, depth + 1) for part in parts[1:] if _is_above(part, parts[0], name))
        below = "".join(_convert(part, depth + 1) for part in parts[1:] if not _is_above(part, parts[0], name))
    kind = "munderover" if name.startswith(("mu", "mo")) else "msubsup"
    return f"<{kind}>{base or '<mrow></mrow>'}<mrow>{below}</mrow><mrow>{above}</mrow></{kind}>"


def _is_above(part: Node, base: Node, name: str) -> bool:
    if name in ("msup", "mover", "msub", "munder") and part.tag != "span":
        return name in ("msup", "mover")
    heights = [_height(part), _height(base)]
    return heights[0] >= heights[1]


def _height(node: Node) -> float:
    """How high an element stands: by its transform in SVG, by the `top` of the box around it in MathJax 2."""
    for _ in range(4):
        up = _UP.search(node.getattr("transform") or "")
        if up is not None:
            return float(up[1])
        top = _TOP.search(node.getattr("style") or "")
        if top is not None:
            return -float(top[1])
        if node.tag not in ("span", "g") or node.parent_element is None or _name(node.parent_element):
            break
        node = node.parent_element
    return 0.0
