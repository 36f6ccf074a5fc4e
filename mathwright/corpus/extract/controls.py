"""Text in controls of forms: choices of a quiz, questions that open their answers. Extraction leaves controls out."""

from __future__ import annotations

import re
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.placeholders import holds_formulas
from mathwright.corpus.formulas.signs import tag_signs

Node = Any
"""An element of resiliparse's tree."""

_LABELS, _BUTTONS, _LEGENDS = tag_signs("label"), tag_signs("button"), tag_signs("legend")
_LISTS = ("task-list-item", "ingredient", "checklist")
_CHOICES = ('type="radio"', "type='radio'", "type=radio", *_LISTS)
SIGNS = frozenset((*_LABELS, *_BUTTONS, *_LEGENDS, *_CHOICES))
_MAX_CONTROLS = 10_000
_MAX_LOOKED_AT = 200
"""Further choices are lines, whatever is beside them."""
_ITEMS = "li, td, th"
_CHECKLISTS = ".task-list-item, [class*=ingredient], .checklist"
_OUTSIDE = "nav, header, footer, [role=navigation], [role=banner], dialog"
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_OPENING = ("aria-expanded", "aria-controls", "data-toggle", "data-bs-toggle")
_OPENING_CLASS = re.compile("collapsible|accordion", re.IGNORECASE)
_QUESTION_WORDS = 3
_QUESTION = re.compile(r"[?？;؟]\s*\Z")
_COMMAND = re.compile(
    r"\W*(?:show|read|view|see|load|toggle|open|close|expand|collapse|hide|skip|copy)\b", re.IGNORECASE
)


def show_controls(tree: HTMLTree, present: frozenset[str], source: str, *, formulas: bool) -> None:
    """Make text of labels and buttons that are content.

    present: those of SIGNS that the page's source holds; formulas: whether the page may have any, in controls too.
    """
    document = tree.document
    if document is None:
        return
    wanted: list[str] = []
    if not present.isdisjoint(_LABELS) and (formulas or not present.isdisjoint(_CHOICES)):
        wanted += ["label", "input[type=radio]"]
    if not present.isdisjoint(_BUTTONS) and _may_ask(source, formulas=formulas):
        wanted.append("button")
    if not present.isdisjoint(_LEGENDS):
        wanted.append("legend")
    if not wanted:
        return
    found: dict[str, list[Node]] = {"label": [], "input": [], "button": [], "legend": []}
    for node in document.query_selector_all(", ".join(wanted)).values()[:_MAX_CONTROLS]:  # to walk once is cheaper
        found[node.tag or ""].append(node)
    if found["label"]:
        radios = {node.getattr("id"): node for node in found["input"]}
        lists = not present.isdisjoint(_LISTS)
        # of most labels nothing but the field they name has to be looked at
        choices = [node for node in found["label"] if _is_choice(node, radios, lists=lists, formulas=formulas)]
        _show_labels(tree, choices)
    for button in found["button"]:
        _show_button(tree, button)
    for legend in found["legend"]:
        _replace(tree, legend, "div")


def _may_ask(source: str, *, formulas: bool) -> bool:
    """Whether the source has a button in a heading, with a formula, or that opens what it asks: most have others alone.

    To walk the tree for buttons takes seven times as long.
    """
    position = source.find("<button")
    for _ in range(_MAX_CONTROLS):
        if position < 0:
            return False
        end = source.find("</button", position, position + _BUTTON_CHARACTERS)
        tag, _, text = source[position : end if end >= 0 else position + _BUTTON_CHARACTERS].partition(">")
        if "accordion" in tag or "collaps" in tag or (("aria-" in tag or "toggle" in tag) and "?" in text):
            return True
        if formulas and any(sign in text for sign in _FORMULA):
            return True
        before = source[max(0, position - _BEFORE) : position]
        heading = before.rfind("<h")
        if heading > before.rfind("</") and before[heading + 2 : heading + 3].isdigit():
            return True
        position = source.find("<button", position + 1)
    return True


_BUTTON_CHARACTERS = 1000
_FORMULA = ("\\(", "$", "<math", "mjx-", "katex", "MathJax")
_BEFORE = 200


def show_labels_of(tree: HTMLTree, form: Node) -> None:
    """Make text of all labels of a form that asks a question: they are the choices."""
    _show_labels(tree, form.query_selector_all("label").values()[:_MAX_CONTROLS])


def _show_labels(tree: HTMLTree, labels: list[Node]) -> None:
    tags = [_tag_of_choice(label) if number < _MAX_LOOKED_AT else "div" for number, label in enumerate(labels)]
    for label, tag in zip(labels, tags, strict=True):  # before the labels beside it go
        _replace(tree, label, tag)


def _tag_of_choice(label: Node) -> str:
    """A line of its own, but where what it stands in, or the break after it, makes one."""
    item = label.closest(_ITEMS)
    alone = item is not None and len(item.query_selector_all("label")) == 1
    following = label.next_element_sibling
    return "span" if alone or (following is not None and following.tag == "br") else "div"


def _is_choice(label: Node, radios: dict[str | None, Node], *, lists: bool, formulas: bool) -> bool:
    """Whether it is the text of a choice: of a radio button that asks no buyer, or of an item to be ticked off."""
    control = _control(label, radios)
    kind = control.getattr("type") if control is not None else None
    if formulas and holds_formulas(label.text or ""):
        return True
    if kind == "radio":
        return not _is_of_shop(label, control) and label.query_selector("a, ul") is None
    return lists and kind in ("checkbox", None) and label.closest(_CHECKLISTS) is not None


def _control(label: Node, radios: dict[str | None, Node]) -> Node | None:
    """What a label is the text of, as far as that matters: named by it, in it, or beside it."""
    if (identifier := label.getattr("for")) is not None:
        return radios.get(identifier)
    inside = label.query_selector("input")
    if inside is not None:
        return inside
    for beside in (label.previous_element_sibling, label.next_element_sibling):
        if beside is not None and beside.tag == "input":
            return beside
    return None


_SHOP = re.compile(
    r"product|varia(?:nt|tion)|swatch|attribute|colou?r(?![a-z])|sort|filter|facet|refine|rating|stars?(?![a-z])|price"
    r"|billing|shipping|donat|currency|newsletter|poll-?result",
    re.IGNORECASE,
)
_AROUND = 4


def _is_of_shop(label: Node, control: Node) -> bool:
    """Whether names near it say that it chooses a product, or an order of products, or judges one."""
    if _SHOP.search(f"{control.getattr('name') or ''} {control.getattr('class') or ''}") is not None:
        return True
    node: Node | None = label
    for _ in range(_AROUND):
        if node is None or node.tag == "body":
            break
        if _SHOP.search(node.getattr("class") or "") is not None:
            return True
        node = node.parent_element
    return False


def _show_button(tree: HTMLTree, button: Node) -> None:
    document: Any = tree.document
    text = (button.text or "").strip()
    if not text:
        return
    heading = _heading(button)
    if heading is not None:
        shown, tag = (heading.text or "").strip() == text, "span"
    elif holds_formulas(text):
        shown, tag = True, "span"
    else:
        opens = _is_accordion(button) or (any(map(button.hasattr, _OPENING)) and _QUESTION.search(text) is not None)
        shown, tag = opens and len(text.split()) >= _QUESTION_WORDS and _COMMAND.match(text) is None, "div"
    if shown and button.closest(_OUTSIDE) is None and (tag == "span" or _opens_text(document, button)):
        _replace(tree, button, tag)


def _heading(button: Node) -> Node | None:
    """The heading that a button stands in."""
    node = button.parent_element
    for _ in range(_AROUND):
        if node is None or node.tag in _HEADINGS:
            return node
        node = node.parent_element
    return None


def _is_accordion(button: Node) -> bool:
    toggles = button.getattr("data-toggle") or button.getattr("data-bs-toggle")
    return toggles == "collapse" or _OPENING_CLASS.search(button.getattr("class") or "") is not None


def _opens_text(document: Node, button: Node) -> bool:
    """Whether the page holds what a button opens: on many a script brings it, and the question stands alone."""
    identifier = button.getattr("aria-controls")
    panel = document.get_element_by_id(identifier) if identifier else None
    if panel is not None:
        return bool((panel.text or "").strip())
    node = button
    for _ in range(_AROUND):
        following = node.next_element_sibling
        if following is not None and following.tag not in ("button", "svg", "i"):
            # another question with its button is no answer
            return bool((following.text or "").strip()) and following.query_selector("button") is None
        node = node.parent_element
        if node is None or node.tag == "body":
            break
    return False


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
        identifier = node.getattr("id")
        if identifier is not None:
            if self._opened is None:
                self._opened = self._find()
            if identifier in self._opened:
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
    """Whether it is a control, alone in its block, whose words say that it shows what is hidden."""
    if node.tag in ("p", "div") and len(node.text or "") < _REVEAL_CHARACTERS:
        node = node.query_selector("button, a, input[type=button]") or node
    if node.tag not in ("button", "a", "input", "span"):
        return False
    text = node.getattr("value") if node.tag == "input" else node.text
    return text is not None and len(text) < _REVEAL_CHARACTERS and _REVEALS.match(text.strip()) is not None
