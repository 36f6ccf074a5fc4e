r"""Mathematics written in plain HTML: `x<sup>2</sup>`, `a<sub>ij</sub>`, `<span class="texhtml">`.

Text extraction would turn `x<sup>2</sup>` into `x2`, which is another number. Where the element is a script of a
mathematical symbol, symbol and scripts become TeX (`$x^2$`), as MathML would; the rest of the expression stays the text
it is. Units keep Unicode's digits (`m²`). Footnote marks, ordinals, trade marks and chemical formulas stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ELEMENT

from mathwright.corpus.formulas.placeholders import PLACEHOLDER_END, Formulas, has_placeholder
from mathwright.corpus.formulas.signs import word_signs
from mathwright.corpus.formulas.symbols import FUNCTIONS, join, to_tex, trim

Node = Any
"""An element of resiliparse's tree."""

KIND = "html_scripts"
MAX_SCRIPTS = 20_000
_MAX_DEPTH = 30

_SYMBOL = re.compile(r"(?:(?<![\w'’])|(?<=[\d)])|(?<=\bd))([A-Za-zͰ-ϿℝℤℚℂℕℓΩ∂∇][′']{0,2})\Z")
_POWER_BASE = re.compile(r"(?<![\w.,])(10|2|e)\Z")
_NUMBER_BASE = re.compile(r"(?<![\w.,/])(\d{1,9}(?:\.\d{1,9})?)\Z")
_DIGITS_BASE = re.compile(r"(?<![\w.,/])(\d{1,40})\Z")
_FUNCTION = "|".join(sorted(FUNCTIONS, key=len, reverse=True))
_OPERATOR_BASE = re.compile(rf"(?:[∑∏∐∫∬∭∮⋂⋃⋀⋁]|(?<![\w.])(?:{_FUNCTION}))\Z")
_RAISED = frozenset({
    "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "arcsin", "arccos", "arctan", "log", "ln",
    "lg", "exp",
})  # fmt: skip
"""Functions that are raised to a power; a number over another one (`min`, `arg`) is a footnote's."""
_BRACKETS = re.compile(
    r"(?:(?<![\w])[A-Za-z])?(?:\([^()]{0,40}(?:\([^()]{0,20}\)[^()]{0,20})?\)|\[[^\[\]]{0,40}\]|(?<!\|)\|[^|]{1,30}\||\|\|[^|]{1,30}\|\|)\Z"
)
_UNIT = re.compile(r"(?<![\w])(?:[kcmdnµμ]?m|in|ft|yd|mi|s|sec|h|hr|km/s|m/s|kg/m|g/cm|W/m|N/m|kN/m|mol|L)\Z")
_UNICODE_DIGITS = str.maketrans("0123456789-−+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁺")
_UNICODE_BELOW = str.maketrans("0123456789-−+", "₀₁₂₃₄₅₆₇₈₉₋₋₊")
_UNIT_SCRIPT = re.compile(r"[-−]?[1-4]")
_SCRIPT = re.compile(
    r"(?:[-−+±]?\s*+(?:\d{1,3}(?:\.\d{1,3})?|[A-Za-zͰ-Ͽ∞]{1,3}[′'*²³]?|[∗*†⊤′'⊥+−-]|∞)"
    r"(?:\s*+[-−+*/·,=<>≤≥→]\s*+|(?=[\d\w(−]))?){1,8}(?:\([^()]{1,12}\))?[!′'*]?|\([-−+]?[\w+−-]{1,8}\)|…|⋯"
)
_NO_SCRIPT = re.compile(
    r"(?i:st|nd|rd|th|tm|sm|®|™|©|er|re|e|ème|o|a|ª|º|de|le|mc|rn|mr|to|the|ref|edit|note|new|beta|me|lle|mes|lles|gr|ts|th|nt)"
)
_ELEMENTS = frozenset("HBCNOFPSKVYIWU")
_ITALIC = ("i", "em", "var")
_BOLD = ("b", "strong")
_OTHER_LETTERS = (*_BOLD, "span", "font")
_LETTERS = (*_ITALIC, *_OTHER_LETTERS)
"""Elements that may hold the symbol alone to which a script belongs."""
_SCRIPT_TAGS = {"sub": "_", "sup": "^"}


_STYLED = ("vertical-align:su", "vertical-align: su", "superscript", "subscript")
SIGNS = frozenset(("</su", *_STYLED, *word_signs("sup"), *word_signs("sub")))
"""A page whose source holds none of these has no scripts."""
_SHIFTED = re.compile(r"vertical-align\s*:\s*(sup|sub)(?:er)?\b")
_RULE = re.compile(r"\.([\w-]{1,40})\s*\{[^{}]{0,400}?vertical-align\s*:\s*(sup|sub)(?:er)?\b")
_BY_CLASS = {"superscript": "sup", "sup": "sup", "subscript": "sub", "sub": "sub"}
_MAX_STYLES = 50


def _name_scripts(tree: HTMLTree) -> None:
    """Make `<sup>` and `<sub>` of elements that a style or a class raises or lowers: `<span class="superscript">`."""
    document: Any = tree.document
    by_class = dict(_BY_CLASS)
    for style in document.query_selector_all("style").values()[:_MAX_STYLES]:
        by_class.update(_RULE.findall(style.text or ""))
    wanted = [f'span[class~="{name}"], font[class~="{name}"]' for name in list(by_class)[: 2 * _MAX_STYLES]]
    wanted.append('[style*="vertical-align"]')
    for node in document.query_selector_all(", ".join(wanted)).values()[:MAX_SCRIPTS]:
        shift = _SHIFTED.search(node.getattr("style") or "")
        classes = (by_class[name] for name in (node.getattr("class") or "").split() if name in by_class)
        tag = shift[1] if shift is not None else next(classes, "")
        if not tag or node.tag not in ("span", "font", "a", "i", "em", "b", "small") or node.parent is None:
            continue
        if len(node.text or "") > _MAX_RAISED or node.query_selector("sup, sub") is not None:
            continue
        script: Any = tree.create_element(tag)
        for child in list(node.child_nodes.values()):
            script.append_child(child)
        node.replace_with(script)


_MAX_RAISED = 40
"""What is longer was raised for its looks."""


def read_scripts(tree: HTMLTree, formulas: Formulas, present: Set[str]) -> None:
    """Put placeholders where `<sup>` and `<sub>` are scripts of mathematical symbols.

    present: those of SIGNS that the page's source holds.
    """
    if tree.document is None:
        return
    if len(present & SIGNS) > ("</su" in present):
        _name_scripts(tree)
    _read_slashed(tree, formulas)
    nodes = tree.document.query_selector_all("sup, sub").values()
    scripts = [node for node in nodes[:MAX_SCRIPTS] if _is_script(node)]
    # A chemical formula or a grade has capital letters and digits or signs; mathematics has other scripts, too.
    certain = sum(1 for node in scripts if node.tag == "sup" or not (node.text or "").strip().isdigit())
    for node in scripts:
        if node.parent is not None and not formulas.full():
            _replace(tree, node, formulas, few=certain < 3)
    for node in nodes[:MAX_SCRIPTS]:
        if node.parent is not None:
            _keep_apart(node)


def _keep_apart(node: Node) -> None:
    """Digits that are no script of a symbol, behind a number or a formula: a footnote must not make another of it."""
    digits = (node.text or "").strip()
    before = _text_before(node)
    if not _FEW_DIGITS.fullmatch(digits) or not (_ENDS_NUMBER.search(before) or before.endswith(_FORMULA_ENDS)):
        return
    node.text = digits.translate(_UNICODE_DIGITS if node.tag == "sup" else _UNICODE_BELOW)


_FORMULA_ENDS = (PLACEHOLDER_END, "\\)", "\\]", "$")
_ENDS_NUMBER = re.compile(r"[\d⁰¹²³⁴⁵⁶⁷⁸⁹)\]|][.,]?\Z")
_FEW_DIGITS = re.compile(r"[-−+]?\d{1,4}")
_INLINE = frozenset({"a", "span", "b", "i", "em", "strong", "small", "font", "cite", "u", "sup", "sub"})


def _text_before(node: Node) -> str:
    """What is shown before an element in its line, as far as one element goes."""
    around: Any = node
    for _ in range(4):
        before = around.previous_sibling
        if before is not None:
            text = before.value if before.tag == "#text" else before.text if before.tag in _INLINE else ""
            return text or ""
        around = around.parent_element
        if around is None or around.tag not in _INLINE:
            return ""
    return ""


_NO_TEXT = "a, img, input, button, span[class]:not([class^=cm])"
"""What stands in footnotes; classes of Computer Modern are tex4ht's."""


def _is_script(node: Node) -> bool:
    text = (node.text or "").strip()
    if not text or len(text) > 24 or _NO_SCRIPT.fullmatch(text) or _SCRIPT.fullmatch(text) is None:
        return False
    return node.first_element_child is None or node.query_selector(_NO_TEXT) is None


def _replace(tree: HTMLTree, node: Node, formulas: Formulas, *, few: bool) -> None:
    before = node.previous_sibling
    if before is None:
        return
    text = before.value if before.tag == "#text" else before.text
    text = text or ""
    mark = _SCRIPT_TAGS[node.tag]
    script = html_to_tex(node)
    if before.tag == "#text" and text.endswith(PLACEHOLDER_END):
        if formulas.extend_last(text, mark + _argument(script), KIND):
            node.remove()
        return
    if before.tag != "#text" and (before.tag not in _LETTERS or len(text.strip()) > 3):
        return
    if node.tag == "sup" and _UNIT.search(text) and _UNIT_SCRIPT.fullmatch((node.text or "").strip()):
        if before.tag == "#text":
            before.value = text + (node.text or "").strip().translate(_UNICODE_DIGITS)
            node.remove()
        return
    base = (
        text.strip()
        if before.tag in _ITALIC
        else _base(text.rstrip() if before.tag != "#text" else text, node, few=few)
    )
    if not base or (before.tag in _OTHER_LETTERS and base != text.strip()):
        return
    shown = "\\" + base if base in FUNCTIONS else to_tex(base)
    shown = f"\\mathbf{{{shown}}}" if before.tag in _BOLD else shown
    tex = f"{shown}{mark}{_argument(script)}"
    if before.tag == "#text" and text == base and _extend_before(before, tex, formulas):
        before.remove()
        node.remove()
        return
    placeholder = formulas.add(tex, False, KIND)
    if before.tag == "#text":
        before.value = text[: len(text) - len(base)] + placeholder
        node.remove()
    else:
        replacement = tree.create_text_node(placeholder)
        if replacement is not None:
            before.replace_with(replacement)
            node.remove()


def _extend_before(symbol: Node, tex: str, formulas: Formulas) -> bool:
    """Add TeX to the formula of which a script ends right before a text that is nothing but a symbol: x^2y^3."""
    before = symbol.previous_sibling
    return before is not None and before.tag == "#text" and formulas.extend_last(before.value or "", tex, KIND)


def _base(text: str, node: Node, *, few: bool) -> str:
    """The symbol at the end of `text` that a script belongs to; "" where none stands there."""
    if text.endswith(_FORMULA_ENDS):
        return ""  # a footnote
    script = (node.text or "").strip()
    symbol = _SYMBOL.search(text)
    if symbol is not None:
        letter = symbol[1]
        if letter in "aAI" and script.isdigit() and node.tag == "sup":
            return ""  # the article or the pronoun, with a footnote
        if few and letter.isupper() and (script in "+-−–" or (script.isdigit() and letter in _ELEMENTS)):
            return ""  # a grade, an ion, a chemical formula, a vitamin
        if text[-2:-1] == "/" and script.isdigit() and node.tag == "sup":
            return ""  # a unit with a footnote
        if _follows_letter(node) and letter in _ELEMENTS and node.tag == "sub" and script.isdigit():
            return ""
        return letter
    if node.tag == "sup":
        power = _POWER_BASE.search(text)
        if power is not None:
            return power[1]
        number = _NUMBER_BASE.search(text)
        if number is not None and (
            (len(number[1]) <= 2 and not script.isdigit()) or _has_operator_beside(text[: number.start()], node)
        ):
            return number[1]
    elif script.isdigit() and 2 <= int(script) <= 36 and (digits := _DIGITS_BASE.search(text)) is not None:
        return digits[1]  # a number to a base
    operator = _OPERATOR_BASE.search(text)
    if operator is not None and (node.tag == "sub" or not script.isdigit() or operator[0] in _RAISED):
        return operator[0]
    brackets = _BRACKETS.search(text)
    if brackets is not None and not _IN_PROSE.search(brackets[0]):
        inner, before = brackets[0][1:-1], text[: brackets.start()]
        if _LETTER.search(inner) or _CALCULATED.search(inner) or _has_operator_beside(before, node):
            return brackets[0]
    segment = _SEGMENT.search(text)
    if segment is not None and node.tag == "sup" and script.isdigit():
        return segment[0] if _has_operator_beside(text[: segment.start()], node) else ""
    return ""


_IN_PROSE = re.compile(r"[A-Za-z]{3,}|\d{4}")
_LETTER = re.compile(r"[^\W\d]")
_CALCULATED = re.compile(r"\d%?\s*[-+−×·*/]\s*\d")
_SEGMENT = re.compile(r"(?<![\w.])[A-Z]{2}\Z")
"""The length of a side of a figure, named by its ends."""


def _next_text(node: Node) -> str:
    following = node.next_sibling
    return (following.value or "") if following is not None and following.tag == "#text" else ""


_OPERATORS = frozenset("=+-−×·*/<>≤≥")


def _has_operator_beside(before: str, node: Node) -> bool:
    sides = before.rstrip()[-1:], _next_text(node).lstrip()[:1]
    return any(side in _OPERATORS for side in sides)


def _follows_letter(node: Node) -> bool:
    return _next_text(node)[:1].isalpha()


def _argument(tex: str) -> str:
    tex = trim(tex)
    return tex if re.fullmatch(r"[A-Za-z0-9]|\\[A-Za-z]+", tex) else f"{{{tex}}}"


# --- fractions ---------------------------------------------------------------------------------------

_SLASHES = ("/", "⁄", "∕")
_PART = re.compile(r"[-−+\w.,]{1,12}")
_FRACTION_CLASSES = frozenset({"frac", "sfrac", "intbl", "fraction", "tion"})
FRACTIONS = {f".{name}": (name,) for name in ("frac", "sfrac", "intbl", "fraction")}
_MAX_FRACTION = 300


def _read_slashed(tree: HTMLTree, formulas: Formulas) -> None:
    """Fractions written as `<sup>1</sup>⁄<sub>2</sub>`: without their markup `3¹⁄₂` would be 31⁄2."""
    nodes = tree.document.query_selector_all("sup").values() if tree.document is not None else []
    for node in nodes[:MAX_SCRIPTS]:
        slash: Any = node.next_sibling
        if slash is None or slash.tag != "#text" or (slash.value or "").strip() not in _SLASHES:
            continue
        below: Any = slash.next_sibling
        if below is None or below.tag != "sub" or formulas.full():
            continue
        parts = [(part.text or "").strip() for part in (node, below)]
        if all(map(_PART.fullmatch, parts)):
            tex = f"\\frac{{{trim(html_to_tex(node))}}}{{{trim(html_to_tex(below))}}}"
            placeholder = tree.create_text_node(formulas.add(tex, False, KIND))
            if placeholder is not None:
                node.replace_with(placeholder)
                slash.remove()
                below.remove()


def read_fraction(node: Node) -> tuple[str, bool, str] | None:
    """A fraction of MediaWiki's `{{frac}}` and `{{sfrac}}`, or of `<span class="intbl">`.

    One with a whole number of its own has a plus for those who listen, and reads right as it is: 2+1/2.
    """
    tex = _fraction(node, 0)
    return None if tex is None or "+" in _spoken(node) else (tex, False, KIND)


def _spoken(node: Node) -> str:
    return "".join(part.text or "" for part in node.query_selector_all(".sr-only").values())


def _fraction(node: Node, depth: int) -> str | None:
    """An element that shows a fraction, as TeX; None for any other."""
    if _FRACTION_CLASSES.isdisjoint((node.getattr("class") or "").split()) or len(node.text or "") > _MAX_FRACTION:
        return None
    above = node.query_selector(".num, .numerator, .top, em, sup")
    below = node.query_selector(".den, .denominator, .bottom, strong, sub")
    if above is None or below is None:
        parts = [child for child in node.children.values() if child.tag not in ("hr", "br")]
        above, below = parts if len(parts) == 2 else (None, None)
    if above is None or below is None or not (above.text or "").strip() or not (below.text or "").strip():
        return None
    return f"\\frac{{{trim(html_to_tex(above, depth + 1))}}}{{{trim(html_to_tex(below, depth + 1))}}}"


# --- whole expressions -------------------------------------------------------------------------------

_SIMPLE_TAGS = frozenset({"sup", "sub", "i", "em", "var", "b", "strong", "span", "a", "small", "big", "u", "s", "mark"})


def is_plain_expression(node: Node) -> bool:
    """Whether an element holds nothing but text, scripts and emphasis, and at least one of these two."""
    tags = {child.tag for child in node.query_selector_all("*").values()}
    return bool(tags) and tags <= _SIMPLE_TAGS


def html_to_tex(node: Node, depth: int = 0) -> str:
    """TeX of an expression of text, scripts and emphasis."""
    tex = ""
    for child in node.child_nodes.values():
        if child.tag == "#text":
            tex = join(tex, _text_to_tex(child.value or ""))
        elif depth < _MAX_DEPTH and child.type == ELEMENT:
            fraction = _fraction(child, depth)
            inner = html_to_tex(child, depth + 1) if fraction is None else fraction
            if (root := _ROOT.search(tex)) is not None and inner.strip() and _is_overlined(child):
                degree = f"[{root[1].strip('{}')}]" if root[1] else ""
                tex = f"{tex[: root.start()]}\\sqrt{degree}{{{trim(inner)}}}"
            elif child.tag in _SCRIPT_TAGS:
                tex = (tex or "{}") + _SCRIPT_TAGS[child.tag] + _argument(inner)
            elif child.tag in ("b", "strong") and inner.strip():
                tex = join(tex, f"\\mathbf{{{trim(inner)}}}")
            else:
                tex = join(tex, inner)
    return tex


_ROOT = re.compile(r"(?:(?:\{\})?\^(\{[^{}]{1,20}\}|\w)\s?)?\\surd\s?\Z")
_OVERLINE = re.compile(r"border-top|overline|vinculum|radicand")


def _is_overlined(node: Node) -> bool:
    """Whether a line stands over an element: behind a √ it is what the root is taken of."""
    return _OVERLINE.search(f"{node.getattr('style') or ''} {node.getattr('class') or ''}") is not None


def read_root(node: Node) -> tuple[str, bool, str] | None:
    """A root outside a marked expression: `√<span style="border-top: ...">x + 1</span>` in one element."""
    text = node.text or ""
    if "√" not in text or len(text) > _MAX_FRACTION or has_placeholder(text):
        return None
    first = node.first_element_child
    if first is None or not text.strip().startswith("√") or not _is_overlined(first):
        return None
    return html_to_tex(node), False, KIND


def _text_to_tex(text: str) -> str:
    words = re.split(r"((?<![A-Za-z])[A-Za-z]{2,}(?:\s+[A-Za-z]{2,})*)", text.replace("\xa0", " "))
    tex = ""
    for index, word in enumerate(words):
        tex = join(tex, _word_to_tex(word) if index % 2 else " ".join(map(to_tex, word.split(" "))))
    return tex


def _word_to_tex(word: str) -> str:
    if word in FUNCTIONS:
        return "\\" + word
    if " " in word:
        return f"\\text{{{word}}}"
    return word if len(word) <= 3 else f"\\mathrm{{{word}}}"
