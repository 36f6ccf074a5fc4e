"""Text in controls of forms: choices of a quiz, questions that open their answers. Extraction leaves controls out."""

from __future__ import annotations

import re
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.placeholders import holds_formulas
from mathwright.corpus.formulas.signs import Selectors, all_signs, selector, tag_signs

Node = Any
"""An element of resiliparse's tree."""

_LABELS: Selectors = {"label": tag_signs("label")}
_BUTTONS: Selectors = {"button": tag_signs("button")}
_LEGENDS: Selectors = {"legend": tag_signs("legend")}
SIGNS = all_signs(_LABELS, _BUTTONS, _LEGENDS)
_MAX_CONTROLS = 5000
_ITEMS = "li, td, th"
_CHECKLISTS = ".task-list-item, [class*=ingredient], .checklist"
_OUTSIDE = "nav, header, footer, [role=navigation], [role=banner], dialog"
_HEADINGS = "h1, h2, h3, h4, h5, h6"
_OPENING = ("aria-expanded", "aria-controls", "data-toggle", "data-bs-toggle")
_OPENING_CLASS = re.compile("collapsible|accordion", re.IGNORECASE)
_QUESTION_WORDS = 3
_COMMAND = re.compile(
    r"\W*(?:show|read|view|see|load|toggle|open|close|expand|collapse|hide|skip|copy)\b", re.IGNORECASE
)


def show_controls(tree: HTMLTree, present: frozenset[str]) -> None:
    """Make text of labels and buttons that are content: present holds those of SIGNS in the page's source."""
    document = tree.document
    if document is None:
        return
    if (labels := selector(_LABELS, present)) != "":
        found = document.query_selector_all(labels).values()[:_MAX_CONTROLS]
        radios = (
            {radio.getattr("id") for radio in document.query_selector_all("input[type=radio]").values()}
            if found
            else set()
        )
        _show_labels(tree, [label for label in found if _is_choice(label, radios)])
    if (buttons := selector(_BUTTONS, present)) != "":
        for button in document.query_selector_all(buttons).values()[:_MAX_CONTROLS]:
            _show_button(tree, button)
    if (legends := selector(_LEGENDS, present)) != "":
        for legend in document.query_selector_all(legends).values()[:_MAX_CONTROLS]:
            _replace(tree, legend, "div")


def show_labels_of(tree: HTMLTree, form: Node) -> None:
    """Make text of all labels of a form that asks a question: they are the choices."""
    _show_labels(tree, form.query_selector_all("label").values()[:_MAX_CONTROLS])


def _show_labels(tree: HTMLTree, labels: list[Node]) -> None:
    for label, tag in [(label, _tag_of_choice(label)) for label in labels]:  # before the labels beside it go
        _replace(tree, label, tag)


def _tag_of_choice(label: Node) -> str:
    """A line of its own, but where what it stands in, or the break after it, makes one."""
    item = label.closest(_ITEMS)
    alone = item is not None and len(item.query_selector_all("label")) == 1
    following = label.next_element_sibling
    return "span" if alone or (following is not None and following.tag == "br") else "div"


def _is_choice(label: Node, radios: set[str | None]) -> bool:
    inside = label.query_selector("input")
    if inside is not None:
        kind = inside.getattr("type")
    elif (identifier := label.getattr("for")) is not None:
        kind = "radio" if identifier in radios else "checkbox"
    else:
        beside = (label.previous_element_sibling, label.next_element_sibling)
        kinds = [node.getattr("type") for node in beside if node is not None and node.tag == "input"]
        kind = "radio" if "radio" in kinds else "".join(map(str, kinds[:1]))
    return (
        kind == "radio"
        or holds_formulas(label.text or "")
        or (kind == "checkbox" and label.closest(_CHECKLISTS) is not None)
    )


def _show_button(tree: HTMLTree, button: Node) -> None:
    text = (button.text or "").strip()
    if not text:
        return
    heading = button.closest(_HEADINGS)
    if heading is not None:
        shown, tag = (heading.text or "").strip() == text, "span"
    elif holds_formulas(text):
        shown, tag = True, "span"
    else:
        opens = any(map(button.hasattr, _OPENING)) or _OPENING_CLASS.search(button.getattr("class") or "") is not None
        shown, tag = opens and len(text.split()) >= _QUESTION_WORDS and _COMMAND.match(text) is None, "div"
    if shown and button.closest(_OUTSIDE) is None:
        _replace(tree, button, tag)


def _replace(tree: HTMLTree, control: Node, tag: str) -> None:
    """Text in place of a control, which says still what it opens."""
    shown: Any = tree.create_element(tag)
    for child in list(control.child_nodes.values()):
        shown.append_child(child)
    for name in _NAMING:
        if (value := control.getattr(name)) is not None:
            shown.setattr(name, value)
    control.replace_with(shown)


# --- what controls open ------------------------------------------------------------------------------

_NAMING = ("aria-controls", "data-target", "data-bs-target", "onclick")
_OPENERS = '[aria-controls], [data-target], [data-bs-target], [onclick], a[href^="#"]'
_IDENTIFIER = re.compile(r"[^\s'\"#(),;.]+")
_REVEALS = re.compile(
    r"\W*(?:(?:show|see|view|reveal|read|toggle|click)\b.{0,30}\b(?:more|solutions?|answers?|hints?)\b"
    r"|(?:show|hints?|solutions?|answers?|read more)\W*\Z)|.{0,10}(?:解答|答案|显示|顯示|表示)",
    re.IGNORECASE,
)
_REVEAL_CHARACTERS = 60


class Openers:
    """Which hidden elements of a tree a control opens; the controls are looked at once, when first asked."""

    def __init__(self, document: Node) -> None:
        self._document = document
        self._opened: set[str] | None = None

    def open(self, node: Node) -> bool:
        """Whether a control names a hidden element by its id, or stands before it and says that it shows it."""
        if self._opened is None:
            self._opened = self._find()
        if node.getattr("id") in self._opened:
            return True
        before = node.previous_element_sibling
        return before is not None and _reveals(before)

    def _find(self) -> set[str]:
        opened: set[str] = set()
        for opener in self._document.query_selector_all(_OPENERS).values()[:_MAX_CONTROLS]:
            names = [opener.getattr(name) or "" for name in _NAMING]
            if opener.tag == "a":
                names.append(opener.getattr("href") or "")
            for name in names:
                opened.update(_IDENTIFIER.findall(name[:500]))
        return opened


def _reveals(node: Node) -> bool:
    tag = node.tag
    if tag not in ("button", "a", "input", "span"):
        node = node.query_selector("button, a, input[type=button]") if tag in ("p", "div") else None
        if node is None or node.parent_element.first_element_child.next_element_sibling is not None:
            return False
    text = node.getattr("value") if node.tag == "input" else node.text
    return text is not None and len(text) < _REVEAL_CHARACTERS and _REVEALS.match(text.strip()) is not None
