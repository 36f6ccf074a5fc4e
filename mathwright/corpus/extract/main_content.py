"""Which part of a page is its main content: the container of the article stays, boilerplate in it goes.

General rules of two sorts: what an element says it is (its tag, role, words of its class and id), and how much of the
page's text it holds, so that a wrapper called "page-sidebar-left" survives. None looks at the host.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.extract.controls import Openers, show_labels_of
from mathwright.corpus.extract.elsewhere import SIGNS as ELSEWHERE
from mathwright.corpus.extract.elsewhere import remove_sections_elsewhere
from mathwright.corpus.extract.names import (
    WEAK,
    boilerplate_words,
    is_footnotes,
    is_for_small_screens,
    is_panel,
    is_part_of_text,
)
from mathwright.corpus.formulas.macros import find_definitions
from mathwright.corpus.formulas.placeholders import holds_formulas
from mathwright.corpus.formulas.signs import Selectors, all_signs, selector, tag_signs, word_signs

Node = Any
"""An element of resiliparse's tree (its classes have no common public type with the attributes used here)."""

_MAIN: Selectors = {
    "main": tag_signs("main"),
    "[role=main], #main": word_signs("main"),
    "#main-content, .main-content": ("main-content",),
    "#content": word_signs("content"),
}
_ARTICLES: tuple[Selectors, ...] = (
    {"[itemprop=articleBody]": ("articleBody",), "#article-body": ("article-body",)}
    | {
        f".{name}": (name,)
        for name in (
            "articleBody", "article-body", "article-content", "article__body", "article__content", "post-content",
            "post-body", "entry-content", "post__content", "story-body", "td-post-content",
        )
    },
    {"article": tag_signs("article")},
)  # fmt: skip
"""Selectors of what holds an article, the closest first."""
SIGNS = all_signs(_MAIN, *_ARTICLES) | ELSEWHERE
_CONTAINER_CHARACTERS = 250
_MAIN_SHARE = 0.2
_ARTICLE_SHARE = 0.3
"""A container counts where it has so many characters and this share of the text around it: a teaser has not."""
_SOLITARY = 3
"""An article has to be alone, or this many times as long as the next one: a list of articles is not one."""

_BLOCKS = (
    "div[class], div[id], section[class], section[id], aside, nav, header, footer, form, dialog, ul[class], ul[id],"
    " ol[class], dl[class], [hidden], [role=navigation], [role=dialog], [role=search],"
    ' [style*="display:none"], [style*="display: none"]'
)
_BLOCK_SHARE = 0.2
"""A block that holds more of the text than this is no boilerplate, whatever it is called, unless it is all links."""
_LINK_SHARE = 0.6
_MENU_CHARACTERS, _MENU_LINK_SHARE = 400, 0.5
"""A header with a heading is a menu all the same, where it has more characters than this, and so much in links."""
_TOOLS_CHARACTERS = 50
"""So much beside a program is its name, its language and what copies it."""
_SENTENCES, _PROSE_LINK_SHARE = 2, 0.35
"""A block whose names are WEAK stays with so many sentences, where less than this of it is links."""
_SENTENCE_END = re.compile(r"[^\W_][,)\"'\u2019\u201d%]?[.!?][\"')\u2019\u201d]?(?:\s|$)|[\u3002\uff01\uff1f]")
_WORK = 30
"""So many times the characters of the page may be read to judge its blocks. Real pages take about one."""
_TAGS = frozenset(("nav", "aside", "footer", "dialog", "form"))
_NEVER_CONTENT = frozenset(("nav", "footer", "dialog"))
_ROLES = frozenset(("navigation", "dialog", "search"))


def keep_main_content(tree: HTMLTree, present: Set[str], size: int) -> bool:
    """Take everything out of a tree but its main content. Blocks that hold formulas stay, but for navigation.

    present: those of SIGNS that the page's source holds; size: characters of text of the page, boilerplate and all.
    Returns whether all blocks were looked at: boilerplate inside of boilerplate that stays, over and over, is given up.
    """
    document, body = tree.document, tree.body
    if document is None or body is None:
        return True
    container, length = _container(document, present, size)
    if container is not None:
        size = length
        body.replace_children(container)
    work = _WORK * (size + 10_000)
    openers = Openers(document)
    judged = 0  # so many blocks: what follows up to here went away together with the one around it
    for number, node in enumerate(document.query_selector_all(_BLOCKS).values()):
        if number < judged:
            continue
        css_class = node.getattr("class") or ""
        if is_for_small_screens(css_class):
            judged = number + _remove(node)  # formulas and all: what it says stands elsewhere, laid out for others
            continue
        words = boilerplate_words(css_class, "" if node.tag == "section" else node.getattr("id") or "")
        if words or _is_boilerplate(node, css_class, openers, inside=container is not None):
            text = node.inner_text
            large = len(text) >= _BLOCK_SHARE * size
            work -= 5 * len(text) if large else len(text)  # whose links are looked at one by one
            if work < 0:
                return False
            stays = _holds_article(node, text) if large else _holds_content(node, text, words, openers)
            if not stays or _defines_macros(text):
                judged = number + _remove(node)
            elif node.tag == "form" and _asks(node, text):
                show_labels_of(tree, node)
    if not present.isdisjoint(ELSEWHERE):
        remove_sections_elsewhere(document, size)
    return True


def _remove(node: Node) -> int:
    """Take a block out of the tree; returns how many of _BLOCKS it and those in it are."""
    count = 1 + (len(node.query_selector_all(_BLOCKS)) if node.first_element_child is not None else 0)
    node.remove()
    return count


def _container(document: Node, present: Set[str], size: int) -> tuple[Node | None, int]:
    """The element that holds the main content, and the length of its text; None where nothing says so."""
    main, main_length, _ = _longest(document, selector(_MAIN, present))
    if main_length > max(_CONTAINER_CHARACTERS, _MAIN_SHARE * size):
        size = main_length
    else:
        main = None
    for articles in _ARTICLES:
        node, length, second = _longest(document if main is None else main, selector(articles, present))
        if length > max(_CONTAINER_CHARACTERS, _ARTICLE_SHARE * size, _SOLITARY * second):
            return node, length
    return main, main_length


def _longest(scope: Node, wanted: str) -> tuple[Node | None, int, int]:
    """The element with the most text, the length of its text, and that of the next; none that lies in another."""
    if not wanted:
        return None, 0, 0
    outer: Node | None = None
    ranked: list[tuple[int, Node]] = []
    for node in scope.query_selector_all(wanted).values():  # in the order of the document: what wraps another first
        if outer is None or not outer.contains(node):
            outer = node
            ranked.append((len(node.inner_text), node))
    if not ranked:
        return None, 0, 0
    lengths = sorted(length for length, _ in ranked)
    node = next(node for length, node in ranked if length == lengths[-1])
    return node, lengths[-1], lengths[-2] if len(lengths) > 1 else 0


def _is_boilerplate(node: Node, css_class: str, openers: Openers, *, inside: bool = False) -> bool:
    """Whether it is, whatever its names say. inside: whether it lies in a container of the main content."""
    tag = node.tag
    if tag in _TAGS:
        return not _is_of_text(node, css_class, inside=inside)
    if tag == "header":
        heading = node.query_selector("h1, h2, h3, h4, h5, h6")
        return heading is None or (heading.tag != "h1" and _is_menu(node))
    role = node.getattr("role") or ""
    return role in _ROLES or (
        _is_hidden(node) and not is_panel(css_class, role) and not (openers.open(node) and _is_text(node))
    )


def _is_of_text(node: Node, css_class: str, *, inside: bool) -> bool:
    """Whether an element whose tag says that it stands beside the text is a part of it."""
    tag = node.tag
    if tag == "dialog":
        return node.hasattr("open")
    if tag not in ("aside", "footer"):
        return False
    kind = node.getattr("role") or "", node.getattr("epub:type") or ""
    if tag == "footer":  # whose words they are
        return is_footnotes(css_class, *kind) or node.closest("blockquote") is not None
    return is_part_of_text(css_class, *kind) or (inside and _interrupts(node) and "quote" not in css_class.lower())


def _interrupts(node: Node) -> bool:
    """Whether it stands between paragraphs, says something, and links nowhere."""
    before, after = node.previous_element_sibling, node.next_element_sibling
    return (
        before is not None
        and after is not None
        and before.tag in _PROSE
        and after.tag in _PROSE
        and _SENTENCE_END.search(node.inner_text) is not None
        and node.query_selector("a, button, form, nav") is None
    )


_PROSE = frozenset(("p", "h2", "h3", "h4", "ul", "ol", "pre", "table", "figure", "blockquote", "dl"))


def _is_text(node: Node) -> bool:
    return bool(text := node.inner_text.strip()) and _share_of_links(node, text) < _PROSE_LINK_SHARE


def _is_menu(node: Node) -> bool:
    return len(text := node.inner_text) > _MENU_CHARACTERS and _share_of_links(node, text) >= _MENU_LINK_SHARE


def _is_hidden(node: Node) -> bool:
    return (
        node.getattr("hidden") is not None
        or node.getattr("aria-hidden") == "true"
        or ((style := node.getattr("style")) is not None and "display:none" in style.replace(" ", ""))
    )


def _holds_content(node: Node, text: str, words: Set[str], openers: Openers) -> bool:
    """Whether a small block with such names stays: it has formulas, or is named as what lies around boilerplate."""
    if node.tag in _NEVER_CONTENT and (
        node.tag == "nav" or not _is_of_text(node, node.getattr("class") or "", inside=False)
    ):
        return False
    if holds_formulas(text) or (node.tag == "form" and _asks(node, text)):
        return True
    if not words or _is_boilerplate(node, node.getattr("class") or "", openers):
        return False
    if _is_program(node, text):
        return True
    return (
        words <= WEAK
        and len(_SENTENCE_END.findall(text)) >= _SENTENCES
        and _share_of_links(node, text) < _PROSE_LINK_SHARE
    )


def _is_program(node: Node, text: str) -> bool:
    """Whether it is code with what a highlighter puts around it, such as a button that copies it."""
    programs = node.query_selector_all("pre").values()
    return bool(programs) and len(text) <= _TOOLS_CHARACTERS + 2 * sum(len(program.text or "") for program in programs)


def _asks(node: Node, text: str) -> bool:
    """Whether a form is a question with choices, as in a quiz."""
    return (
        "?" in text
        and len(node.query_selector_all("input[type=radio]")) > 1
        and node.query_selector("select, textarea, input[type=text], input[type=email], input[type=tel]") is None
    )


def _defines_macros(text: str) -> bool:
    """Whether it is a block, hidden as a rule, that only defines macros; those in use have been noted before."""
    if not any(command in text for command in ("\\newcommand", "\\def", "\\DeclareMathOperator")):
        return False
    return 2 * sum(map(len, find_definitions(text).values())) > len(text.strip())


def _holds_article(node: Node, text: str) -> bool:
    if node.tag in _NEVER_CONTENT:
        return node.query_selector("main, article, h1") is not None
    return _share_of_links(node, text) < _LINK_SHARE


def _share_of_links(node: Node, text: str) -> float:
    return sum(len(link.inner_text) for link in node.query_selector_all("a").values()) / max(1, len(text))
