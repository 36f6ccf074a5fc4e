"""What is no part of the text: numbers of lines and pages, what a style hides, tips, marks of advertisements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.extract.names import is_panel
from mathwright.corpus.formulas.placeholders import holds_formulas
from mathwright.corpus.formulas.signs import Selectors, all_signs, selector, word_signs

Node = Any
"""An element of resiliparse's tree."""


def style_signs(name: str, *values: str) -> tuple[str, ...]:
    """How a property stands in the style of an element, and hardly ever in a style sheet: beside a quote."""
    return tuple(
        sign
        for value in values
        for rule in (f"{name}:{value}", f"{name}: {value}")
        for sign in (f'"{rule}', f"'{rule}", f'{rule}"', f"{rule}'", f'{rule};"', f"{rule};'", f"; {rule}")
    )


_NUMBERS: Selectors = {
    "td.gutter, div.gutter, .rouge-gutter": (*word_signs("gutter"), "rouge-gutter"),
    ".lineno": word_signs("lineno"),
    ".linenum, .linenumber, .file-line-num, span.line-number, span.line-numbers, .hljs-ln-n": (
        "linenum", "line-num", "hljs-ln-n",
    ),
    ".crayon-num": ("crayon-num",),
    "span.lnt": word_signs("lnt"),
    "span.ln": word_signs("ln"),
    ".source-line-no": ("source-line-no",),
    ".pageno, .pagenum": ("pageno", "pagenum"),
}  # fmt: skip
_NUMBERED_LINES: Selectors = {"ol.linenums": ("linenums",)}
_NUMBER = re.compile(r"(?:[\s\d\[\](){}|.:]|Pg|Page)*+(?:[ivxlc]{1,8}\])?")
_TIPS: Selectors = {
    ".tooltiptext, .tooltip-text": ("tooltiptext", "tooltip-text"),
    ".tooltip > span": ('class="tooltip', "class='tooltip", ' tooltip"'),
}
_ARROWS: Selectors = {
    "a.footnote-back, a.footnote-backref, a.reversefootnote": ("footnote-back", "reversefootnote"),
}
_STARTS = ("", "\n", " ", "\t")
_AD_SIGNS = tuple(
    f">{start}{phrase}"
    for start in _STARTS
    for phrase in ("advertisement", "skip advertisement", "story continues below", "article continues below")
)
_ADS: Selectors = {"p, div, span, a, small": _AD_SIGNS}
_AD = re.compile(
    r"\W*(?:(?:skip )?advertisement|"
    r"(?:advertisement\W+)?(?:story|article) continues below(?: (?:this )?(?:advertisement|ad))?)\W*",
    re.IGNORECASE,
)
_AD_CHARACTERS = 80
_FAR = ("-9999px", "-9999em", "-999em", "-99999px", "-10000px")
_HIDING: Selectors = {
    "[style*=visibility]": style_signs("visibility", "hidden"),
    "[style*=font-size]": style_signs("font-size", "0", "0px"),
    "[style*=text-indent]": style_signs("text-indent", *_FAR),
    "[style*=left]": style_signs("left", *_FAR),
}
_HIDES = re.compile(
    r"visibility\s*:\s*hidden|font-size\s*:\s*0(?:px|pt|em|rem|%)?\s*(?:;|!|\Z)"
    r"|(?:text-indent|(?<![\w-])left)\s*:\s*-\d{3,}",
    re.IGNORECASE,
)
_HIDDEN_CHARACTERS = 100
"""What a style hides is left in where it is longer: scripts show it then, when the page has come."""
_RULES = tuple(
    f"{{{space}display:{gap}none"
    for space in ("", " ", "\n", "\n ", "\n  ", "\n    ", "\n      ", "\n        ", "\n\t", "\n\t\t")
    for gap in ("", " ")
)
SIGNS = all_signs(_NUMBERS, _NUMBERED_LINES, _TIPS, _ARROWS, _ADS, _HIDING) | {*_RULES}
_MAX_NODES = 50_000


def remove_unseen(tree: HTMLTree, present: frozenset[str], source: str) -> None:
    """Take out of a tree what readers do not see, or see beside the text. present: those of SIGNS in its source."""
    document = tree.document
    present &= SIGNS
    if document is None or not present:
        return
    _remove_line_numbers(tree, present)
    for selectors, goes in ((_ARROWS, _is_arrow), (_ADS, _is_ad), (_HIDING, _is_hidden)):
        if (wanted := selector(selectors, present)) != "":
            for node, text in _with_texts(document.query_selector_all(wanted).values()):
                if goes(node, text):
                    node.remove()
    if not present.isdisjoint(_RULES):
        _remove_classes(document, source, present)


_WORK = 30_000_000
"""Characters that are read at most in one step: elements in each other would cost the square of their depth."""


def _with_texts(nodes: list[Any]) -> Iterator[tuple[Node, str]]:
    """Elements with their texts, up to the limits."""
    work = 0
    for node in nodes[:_MAX_NODES]:
        text = node.text or ""
        work += len(text)
        if work > _WORK:
            return
        yield node, text


def _remove_line_numbers(tree: HTMLTree, present: frozenset[str]) -> None:
    document: Any = tree.document
    if (numbered := selector(_NUMBERED_LINES, present)) != "":
        for lines in document.query_selector_all(numbered).values():
            _unnumber(tree, lines)
    if (numbers := selector(_NUMBERS, present)) == "":
        return
    for node, text in _with_texts(document.query_selector_all(numbers).values()):
        if _NUMBER.fullmatch(text) is None:
            continue
        around = node.parent_element
        node.remove()
        for _ in range(_MAX_AROUND):  # the cell goes with its numbers: the row has one cell then, that of the code
            if around is None or around.tag in ("tr", "body") or around.first_child is not None:
                break
            empty, around = around, around.parent_element
            empty.remove()


_MAX_AROUND = 5


def _unnumber(tree: HTMLTree, lines: Node) -> None:
    """Lines of a program for those of a list that numbers them."""
    items = [item.text or "" for item in lines.children.values() if item.tag == "li"]
    program: Any = tree.create_element("span" if lines.closest("pre") is not None else "pre")
    program.text = "\n".join(line.rstrip("\n") for line in items)
    lines.replace_with(program)


_TIP_CHARACTERS = 500


def remove_tips(tree: HTMLTree, present: frozenset[str]) -> None:
    """Take what opens over a word out of the element that holds both; the word stays, whatever the element's name.

    present: those of SIGNS in the page's source.
    """
    document: Any = tree.document
    if document is None or (tips := selector(_TIPS, present)) == "":
        return
    for tip, text in _with_texts(document.query_selector_all(tips).values()):
        if len(text) > _TIP_CHARACTERS or holds_formulas(text):
            continue
        host: Node = tip.parent_element
        named = (tip.getattr("class") or "").lower()
        if host is None or not ("tooltiptext" in named or "tooltip-text" in named or _follows_word(tip)):
            continue
        tip.remove()
        if "tooltip" in (host.getattr("class") or ""):
            shown: Any = tree.create_element("span")
            for child in list(host.child_nodes.values()):
                shown.append_child(child)
            host.replace_with(shown)


def _follows_word(node: Node) -> bool:
    """Whether it is the last thing in its element, after text."""
    before, after = node.previous_sibling, node.next_sibling
    return (
        (after is None or (after.next_sibling is None and not (after.text or "").strip()))
        and before is not None
        and before.tag == "#text"
        and bool((before.value or "").strip())
    )


def _is_arrow(node: Node, text: str) -> bool:
    return not any(map(str.isalnum, text))


def _is_ad(node: Node, text: str) -> bool:
    return node.first_element_child is None and len(text) < _AD_CHARACTERS and _AD.fullmatch(text.strip()) is not None


def _is_hidden(node: Node, text: str) -> bool:
    style = node.getattr("style") or ""
    if _HIDES.search(style) is None or "background" in style:  # which shows what the text says
        return False
    text = text.strip()
    return 0 < len(text) < _HIDDEN_CHARACTERS and not holds_formulas(text) and node.query_selector("[style]") is None


_SIMPLE = re.compile(r"\s*(?:span|td|div)?\.([A-Za-z_][\w-]*)\s*")
_MAX_RULES = 10
_MAX_CLASSES = 10
_CLASS_CHARACTERS = 40
_SELECTOR_CHARACTERS = 200


def _remove_classes(document: Node, source: str, present: frozenset[str]) -> None:
    """Take out short elements of classes that the page's own style hides, and shows nowhere."""
    names = sorted({name for rule in _RULES if rule in present for name in _hidden_classes(source, rule)})
    wanted = ", ".join(f"{tag}.{name}" for name in names[:_MAX_CLASSES] for tag in ("span", "td", "div"))
    for node, text in _with_texts(document.query_selector_all(wanted).values() if wanted else []):
        if 0 < len(text.strip()) < _CLASS_CHARACTERS and not holds_formulas(text):
            node.remove()


def _hidden_classes(source: str, rule: str) -> Iterator[str]:
    """Classes that a page's own style hides on every screen: rules in rules, as for printing, are none of these."""
    position = source.find(rule)
    for _ in range(_MAX_RULES):
        if position < 0:
            return
        before = max(source.rfind(mark, max(0, position - _SELECTOR_CHARACTERS), position) for mark in "{}/>")
        for part in source[before + 1 : position].split(","):
            found = _SIMPLE.fullmatch(part)
            if found is not None and not is_panel(found[1], "") and _hides(source, found[1], position):
                yield found[1]
        position = source.find(rule, position + 1)


_STYLE_CHARACTERS = 20_000


def _hides(source: str, name: str, position: int) -> bool:
    """Whether a rule for a class stands in a style of the page, in no other rule, and is the only one for the class."""
    start = source.rfind("<style", max(0, position - _STYLE_CHARACTERS), position)
    end = source.find("</style", position, position + _STYLE_CHARACTERS)
    return (
        start >= 0
        and end >= 0
        and source.find("</style", start, position) < 0
        and source.count("{", start, position) == source.count("}", start, position)
        and source.count(f".{name}", start, end) == 1
    )
