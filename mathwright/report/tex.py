"""Formulas in texts, as MathML that a browser sets by itself: no script, no font, nothing fetched.

latex2mathml reads the TeX. What it makes is taken over element by element: names from a short list, text, and nothing
else, since the TeX is the web's or a model's (`\\href{javascript:...}` is a link to latex2mathml).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any
from xml.etree.ElementTree import Element

from markupsafe import Markup, escape

MAX_TEX_CHARS = 400
"""Longer formulas are shown as they are written."""
MAX_DEPTH = 40

Tree = list[Any]
"""[name, attributes, child, ...]; a child is a Tree or a string."""

_TAGS = frozenset(
    ("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msup", "msub", "msubsup", "mover",
     "munder", "munderover", "mtable", "mtr", "mtd", "mstyle", "mphantom", "mpadded", "menclose")
)  # fmt: skip
_ATTRIBUTES = {
    "mathvariant": {"normal", "bold", "italic", "bold-italic", "double-struck", "script", "fraktur", "monospace"},
    "display": {"inline", "block"},
    "stretchy": {"true", "false"},
    "accent": {"true", "false"},
    "linethickness": {"0", "0px"},
}
_FORMULA = re.compile(
    r"\$\$(?P<display>[^$]{1,400})\$\$"
    r"|\\\[(?P<bracket>(?:(?!\\\]).){1,400})\\\]"
    r"|\\\((?P<paren>(?:(?!\\\)).){1,400})\\\)"
    r"|(?<![\\$\w])\$(?P<inline>[^\s$](?:[^$\n]{0,398}[^\s$\\])?)\$(?![\d$])"
    r"|(?P<boxed>\\boxed\{)",
    re.DOTALL,
)
"""Dollars around a formula stand close to it, so that "$5 and $6" is none (pandoc's rule)."""


def formulas(text: str) -> Iterator[tuple[int, int, str, bool]]:
    """Each formula of a text: where it begins and ends, delimiters included, its TeX, and whether it stands alone.

    Between $, $$, \\( \\), \\[ \\]; and a bare \\boxed{...}, which is how answers are written.
    """
    at = 0
    while match := _FORMULA.search(text, at):
        if match["boxed"]:
            end = _closing(text, match.end())
            if end is None:
                at = match.end()
                continue
            yield match.start(), end, text[match.start() : end], False
            at = end
            continue
        tex = match["display"] or match["bracket"] or match["paren"] or match["inline"]
        yield match.start(), match.end(), tex.strip(), bool(match["display"] or match["bracket"])
        at = match.end()


def _closing(text: str, begin: int) -> int | None:
    """Behind the brace that closes one opened just before `begin`; None where it is not within a formula's length."""
    depth = 1
    for i in range(begin, min(len(text), begin + MAX_TEX_CHARS)):
        if text[i] == "{":
            depth += 1
        elif text[i] == "}":
            depth -= 1
            if not depth:
                return i + 1
    return None


@lru_cache(maxsize=50_000)
def mathml(tex: str, *, display: bool = False) -> Tree | None:
    """A formula as a tree of MathML elements; None where it cannot be read, and is to be shown as it is."""
    if len(tex) > MAX_TEX_CHARS:
        return None
    try:
        from latex2mathml.converter import convert_to_element
    except ModuleNotFoundError:  # of the extra `report`: without it formulas stay TeX
        return None
    try:
        element = convert_to_element(tex, display="block" if display else "inline")
    except Exception:  # whatever a parser does with text of others: the text is shown instead
        return None
    return _tree(element, 0)


def _tree(element: Element, depth: int) -> Tree | None:
    if element.tag not in _TAGS or depth > MAX_DEPTH:
        return None
    name, attributes = element.tag, {k: v for k, v in element.attrib.items() if v in _ATTRIBUTES.get(k, ())}
    if name == "menclose":  # which browsers do not draw
        name, attributes = "mrow", {"class": "boxed"} if element.get("notation") == "box" else {}
    tree: Tree = [name, attributes]
    if element.text:
        tree.append(_plain(element.text))
    for child in element:
        made = _tree(child, depth + 1)
        if made is None:
            return None
        tree.append(made)
    return tree


def _plain(text: str) -> str:
    """latex2mathml writes characters as references, for a document that is not escaped again."""
    return re.sub(r"&#x([0-9A-Fa-f]{1,6});", lambda m: chr(int(m[1], 16)), text)


def markup(tree: Tree) -> Markup:
    """The tree as markup, every text in it escaped; names and attributes come from the lists above."""
    return Markup(_written(tree))


def _written(tree: Tree) -> str:
    name, attributes, *children = tree
    named = "".join(f' {key}="{value}"' for key, value in attributes.items())
    held = "".join(_written(child) if isinstance(child, list) else str(escape(child)) for child in children)
    return f"<{name}{named}>{held}</{name}>"


def with_formulas(text: str) -> Markup:
    """A text for a page: escaped, its formulas as MathML with the TeX to be read on hovering."""
    parts, end = [], 0
    for begin, stop, tex, display in formulas(text):
        tree = mathml(tex, display=display)
        if tree is None:
            continue
        source = Markup('<span class="formula" title="{}">{}</span>').format(text[begin:stop], markup(tree))
        parts += [escape(text[end:begin]), source]
        end = stop
    return Markup("").join([*parts, escape(text[end:])])


def trees_of(texts: Sequence[str], most: int) -> dict[str, Tree]:
    """The formulas of some texts as they are written, delimiters included, each with its MathML; at most so many."""
    found: dict[str, Tree] = {}
    for text in texts:
        for begin, stop, tex, display in formulas(text):
            written = text[begin:stop]
            if written in found:
                continue
            if len(found) >= most:
                return found
            tree = mathml(tex, display=display)
            if tree is not None:
                found[written] = tree
    return found
