r"""Mathematics written as elements of a page, in whatever markup, as TeX.

MathML, MathJax's scripts and output, KaTeX, LaTeXML, images: each such element is replaced in the tree by a
placeholder that passes through text extraction unharmed. Formulas between delimiters are looked for later, in the
extracted text, where a formula is whole even if markup cut it in pieces (`formulas.delimiters`);
`formulas.preparation` gets the tree ready for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from typing import Any, NamedTuple

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.asciimath import asciimath_to_tex
from mathwright.corpus.formulas.attributes import (
    DEDICATED,
    FORMULA_ATTRIBUTES,
    TEX_ATTRIBUTES,
    read_attribute,
    read_json,
    read_span,
    read_texhtml,
)
from mathwright.corpus.formulas.html_scripts import FRACTIONS, read_fraction, read_root
from mathwright.corpus.formulas.html_scripts import KIND as HTML_SCRIPTS
from mathwright.corpus.formulas.images import LOOKS_LIKE_TEX, read_image
from mathwright.corpus.formulas.katex import katex_to_tex
from mathwright.corpus.formulas.mathjax import mathjax_to_tex
from mathwright.corpus.formulas.mathml.presentation import mathml_to_tex
from mathwright.corpus.formulas.mathquill import ELEMENTS as MATHQUILL
from mathwright.corpus.formulas.mathquill import read_mathquill
from mathwright.corpus.formulas.placeholders import Formulas, clean_tex, has_placeholder
from mathwright.corpus.formulas.signs import Selectors, all_signs, selector, tag_signs, word_signs
from mathwright.corpus.formulas.wiris import CHARACTERS as WIRIS
from mathwright.corpus.formulas.wiris import SIGNS as WIRIS_SIGNS

Node = Any
"""An element of resiliparse's tree (its classes have no common public type with the attributes used here)."""

KINDS = {
    "mathjax_script": "MathJax 2's <script type='math/tex'> or 'math/mml'",
    "mathjax_output": "what MathJax 2, 3 or 4 made of a formula: TeX or MathML it kept, or its elements read back",
    "katex": "KaTeX with the TeX or the MathML it kept",
    "katex_html": "KaTeX's HTML alone, read back",
    "mathquill": "what MathQuill shows: the TeX it kept, or its elements read back",
    "mathml": "presentation MathML without TeX, translated",
    "mathml_annotation": "MathML with an annotation in TeX",
    "mathml_alttext": "MathML with TeX in alttext",
    "latexml": "MathML made by LaTeXML, TeX in alttext",
    "wikimedia": "MediaWiki's wrapper around MathML and an image",
    "image": "an image with TeX in alt, title or address",
    "attribute": "TeX in a data attribute",
    "math_span": "an element whose name or class says that it holds TeX (Sphinx, pandoc, docutils, GitLab, distill)",
    "tex_delimiters": r"\(...\) and \[...\] in text",
    "dollars": "$...$ and $$...$$ in text",
    "own_delimiters": "delimiters that the page's configuration defines",
    "environment": r"\begin{align}...\end{align} and its kin without delimiters in text",
    "asciimath": "AsciiMath, translated",
    HTML_SCRIPTS: "symbols with <sup> and <sub>, <span class='texhtml'>",
    "macros": r"definitions put above the text because its formulas use them (not formulas)",
}
"""The kinds that `Document.notation` counts."""


def replace_elements(tree: HTMLTree, present: Set[str]) -> Formulas:
    """Put placeholders where the tree holds formulas as elements; returns what they stand for.

    present: those of SIGNS that the page's source holds. A kind of markup is looked for only where there is a sign of
    it.
    """
    formulas = Formulas()
    document = tree.document
    if document is None:
        return formulas
    formulas.typeset = not present.isdisjoint(_TYPESETTERS)
    if not present.isdisjoint(_ROWS):
        _join_cells(tree, formulas)
    mentioned = not present.isdisjoint(_MENTIONS)
    for reader in _READERS:
        wanted = selector(reader.selectors, present) if mentioned or not reader.needs_mention else ""
        if not wanted:
            continue
        elements = _Elements(document, wanted)
        for node in elements:
            if formulas.full():
                return formulas
            found = reader.read(node)
            if found is None:
                elements.none_in(node)
                continue
            elements.leave_with(node)
            tex, display, kind = found
            tex, delimited = clean_tex(tex)
            text = tree.create_text_node(formulas.add(tex, display or bool(delimited), kind) if tex else "")
            if text is not None:
                node.replace_with(text)
    return formulas


MAX_DEPTH = 8
"""An element inside so many of its kind in which no formula was found is not read: all its text was read as often."""
_UNCOUNTED = 8
"""So many elements in which no formula was found may come before it is looked at what stands in them."""


class _Elements:
    """The elements of a kind in the order of the page, without those that went away with the one around them.

    Reading one reads all that stands in it, so that of elements inside one another only the first are passed on.
    """

    def __init__(self, root: Node, wanted: str) -> None:
        self._wanted = wanted
        self._nodes = root.query_selector_all(wanted).values()
        self._index = -1
        self._num_empty = 0
        self._around: list[int] = []  # of each element without a formula, the last index that stands in it

    def __iter__(self) -> Iterator[Node]:
        while self._index + 1 < len(self._nodes):
            self._index += 1
            while self._around and self._around[-1] < self._index:
                self._around.pop()
            if len(self._around) < MAX_DEPTH:
                yield self._nodes[self._index]

    def leave_with(self, node: Node) -> None:
        """The element just passed on goes away with all that stands in it."""
        self._index += self._num_inside(node)

    def none_in(self, node: Node) -> None:
        """No formula was found in the element just passed on."""
        if node.first_element_child is None:
            return
        self._num_empty += 1
        if self._num_empty > _UNCOUNTED and (inside := self._num_inside(node)):
            self._around.append(self._index + inside)

    def _num_inside(self, node: Node) -> int:
        return len(node.query_selector_all(self._wanted)) if node.first_element_child is not None else 0


_Found = tuple[str, bool, str]


def _css(node: Node) -> str:
    return node.getattr("class") or ""


def _join_cells(tree: HTMLTree, formulas: Formulas) -> None:
    """LaTeXML puts the parts of an aligned row into cells of a table: they are one display, its number is not."""
    if tree.document is None:
        return
    rows = _Elements(tree.document, "tr.ltx_eqn_row")
    for row in rows:
        rows.none_in(row)
        parts = row.query_selector_all("math[alttext]").values()
        cells = [cell for cell in row.children.values() if cell.query_selector("math") is not None]
        if not parts or len(cells) != len(parts) or formulas.full():
            continue
        if any((cell.text or "").strip() != (part.text or "").strip() for cell, part in zip(cells, parts, strict=True)):
            continue
        tex = " ".join(clean_tex(part.getattr("alttext") or "")[0] for part in parts)
        text = tree.create_text_node(formulas.add(tex, True, "latexml"))
        if text is not None:
            parts[0].replace_with(text)
            for part in parts[1:]:
                part.remove()


# --- MathJax -----------------------------------------------------------------------------------------


def _script(node: Node) -> _Found | None:
    kind = node.getattr("type") or ""
    display = "mode=display" in kind.replace(" ", "")
    if "mml" in kind or "mathml" in kind:
        return _mathml_text(node.text or "", "mathjax_script")
    if "asciimath" in kind:
        return asciimath_to_tex(node.text or ""), display, "asciimath"
    return node.text or "", display, "mathjax_script"


def _source_follows(node: Node) -> bool:
    """Whether the script that this is the output of stands behind it and was read before."""
    following = node.next_sibling
    while following is not None and following.tag == "#text" and not (following.value or "").strip():
        following = following.next_sibling
    return following is not None and following.tag == "#text" and has_placeholder((following.value or "").lstrip()[:2])


def _mathjax_output(node: Node) -> _Found | None:
    """MathJax 2's output; where its scripts stand beside it, they are the source and this is a copy."""
    if node.tag.startswith("mjx-"):  # MathJax 3 gives its container the same class
        return None
    if _source_follows(node):
        return "", False, ""
    display = "Display" in _css(node)
    holder = node if node.getattr("data-mathml") else node.query_selector("[data-mathml]")
    if holder is not None:
        found = _mathml_text(holder.getattr("data-mathml"), "mathjax_output")
        return found if found is None else (found[0], found[1] or display, found[2])
    math = node.query_selector("math")
    if math is not None:
        return _math(math)[0], display, "mathjax_output"
    math = node.query_selector(".math, .mjx-math")
    if math is None:
        return None
    label = math.getattr("aria-label") or ""
    source = label if label and not is_spoken(label, math.text or "") else mathjax_to_tex(math)
    return source, display, "mathjax_output"


def _mjpage(node: Node) -> _Found | None:
    """What mathjax-node puts into pages; its pictures keep the TeX as their title."""
    display = "block" in _css(node)
    math = node.query_selector(".mjx-chtml")
    if math is not None:
        found = _mathjax_output(math)
        return found and (found[0], display or found[1], found[2])
    title = node.query_selector("svg title")
    tex = ((title.text if title is not None else "") or "").strip()
    if tex and not is_spoken(tex, ""):
        return tex, display, "mathjax_output"
    math = node.query_selector("math, svg[data-mml-node], svg [data-mml-node=math]")
    if math is not None:
        return _math(math)[0] if math.tag == "math" else mathjax_to_tex(math), display, "mathjax_output"
    return (tex, display, "mathjax_output") if tex and LOOKS_LIKE_TEX.search(tex) else None


def _copies(node: Node) -> _Found | None:
    """A formula that stands there several times, for different readers: the TeX, else the MathML (JATS, Mathpix)."""
    display = "block" in _css(node) or "display" in _css(node)
    tex = node.query_selector("tex-math, latex")
    if tex is not None and (tex.text or "").strip():
        return tex.text or "", display, "math_span"
    math = node.query_selector("math") if node.tag == "alternatives" else None
    if math is None:
        return None
    source, block, kind = _math(math)
    return source, display or block, kind


def _image(node: Node) -> _Found | None:
    """An image of a formula; editors keep its MathML, in quotation marks of their own, in an attribute (Wiris)."""
    markup = node.getattr("data-mathml")
    if markup and "math" in markup:
        found = _mathml_text(markup.translate(WIRIS), "image")
        if found is not None and found[0]:
            return found
    return read_image(node)


def _preview(node: Node) -> _Found | None:
    """The text that MathJax 2 shows until it has typeset; a copy, unless the script is missing."""
    following = node.next_element
    if following is None or _source_follows(node) or "MathJax" in _css(following):
        return "", False, ""
    text = node.text or ""
    return (text, False, "mathjax_output") if "\\" in text and not has_placeholder(text) else ("", False, "")


def _mathml_text(markup: str, kind: str) -> _Found | None:
    """MathML written as text, in a script or an attribute."""
    math = HTMLTree.parse(markup[:1_000_000]).document.query_selector("math, m\\:math, mml\\:math")  # pyright: ignore[reportOptionalMemberAccess]
    if math is None:
        return None
    tex, display, _ = _math(math)
    return tex, display, kind


def _mjx_container(node: Node) -> _Found | None:
    display = node.getattr("display") in ("true", "block")
    for inner in (node.query_selector("mjx-math[data-latex]"), node.query_selector("math[data-latex]"),
                  node.query_selector('[data-mml-node="math"][data-latex]')):  # fmt: skip
        if inner is not None:
            return inner.getattr("data-latex"), display, "mathjax_output"
    math = node.query_selector("math")
    if math is not None:
        tex, block, _ = _math(math)
        return tex, display or block, "mathjax_output"
    math = node.query_selector("mjx-math, svg")
    return None if math is None else (mathjax_to_tex(math), display, "mathjax_output")


# --- KaTeX, MathML, MediaWiki --------------------------------------------------------------------------


def _katex(node: Node) -> _Found | None:
    parent = node.parent_element
    display = parent is not None and "katex-display" in _css(parent)
    tex = _annotation(node)
    if tex:
        return tex, display, "katex"
    math = node.query_selector("math")
    if math is not None:
        return mathml_to_tex(math), display or math.getattr("display") == "block", "katex"
    html = node.query_selector(".katex-html")
    return None if html is None else (katex_to_tex(html), display, "katex_html")


_IN_TEX = re.compile(r"(?<![a-z])(?:la|ams)?tex(?![a-z])")
"""An encoding of TeX: `application/x-tex`, `TeX`, `LaTeX`; not `text/plain`."""


def _annotation(math: Node) -> str | None:
    for annotation in math.query_selector_all("annotation").values():
        if _IN_TEX.search((annotation.getattr("encoding") or "").lower().replace("text/", "")):
            return annotation.text or ""
    return None


_SPOKEN = re.compile(r"[A-Za-z]{2,}|[^\W\d_A-Za-z]{2,}")


def is_spoken(alttext: str, shown: str) -> bool:
    """Whether a text for a formula says it in words for those who listen: words that the formula does not show."""
    if "\\" in alttext:
        return False
    shown = "".join(shown.split())
    return any(word not in shown for word in _SPOKEN.findall(alttext))


def _math(node: Node) -> _Found:
    display = node.getattr("display") == "block" or node.getattr("mode") == "display"
    latexml = "ltx_" in _css(node)
    alttext = node.getattr("alttext")
    if latexml and alttext:
        return alttext, display, "latexml"
    tex = _annotation(node)
    if tex and tex.strip():
        return tex, display, "mathml_annotation"
    if alttext and not alttext.isspace() and not is_spoken(alttext, node.text or ""):
        return alttext, display, "mathml_alttext"
    return mathml_to_tex(node) or alttext or "", display, "mathml"


def _wiki(node: Node) -> _Found | None:
    """MediaWiki's wrapper around MathML and its fallback image."""
    math = node.query_selector("math")
    image = node.query_selector("img[alt]")
    if math is None and image is None:
        return None
    display = "display" in _css(node) or node.query_selector(".mwe-math-fallback-image-display") is not None
    tex = _math(math)[0] if math is not None else image.getattr("alt")
    return tex, display, "wikimedia"


class _Reader(NamedTuple):
    selectors: Selectors
    read: Callable[[Node], _Found | None]
    needs_mention: bool = False
    """Whether its elements count only on pages that mention mathematics."""


_MENTIONS = (
    "math", "atex", "mimetex", "cht=tx", "formula", "equation", "eeimg", "upmath", "s2cms", ".tex", "texrender",
    "codecogs", "/tex/", "?tex=", "&tex=", "&amp;tex=", "x-tex", "ka-tex", "la-tex", "tex-inline", "tex-block", "<eq",
    *(f"alt={quote}{opening}" for quote in ('"', "'") for opening in ("$", "\\")),
)  # fmt: skip
"""On a page with none of these no image is looked at, and no element with a class such as `formula`."""

_READERS = (
    _Reader({'script[type^="math/"]': ("math/",)}, _script),
    _Reader({".MathJax_Preview, .MathJax_Error": ("MathJax_",)}, _preview),
    _Reader({"alternatives": ("<alternatives",)}, _copies),
    _Reader({".math-inline": ("math-inline",), ".math-block": ("math-block",)}, _copies),
    _Reader({".mjpage, .mjpage__block": ("mjpage",)}, _mjpage),
    _Reader(
        {
            ".MathJax_Display, .MathJax_SVG_Display, .MathJax, .MathJax_SVG, .mjx-chtml, .MathJax_CHTML,"
            " .MathJax_MathML": ("MathJax_", "MathJax-", "mjx-chtml", "data-mathml")
        },
        _mathjax_output,
    ),
    _Reader({"mjx-container": ("mjx-container",)}, _mjx_container),
    _Reader(MATHQUILL, read_mathquill),
    _Reader({".mwe-math-element": ("mwe-math",)}, _wiki),
    _Reader({".katex": ("katex-",)}, _katex),
    _Reader({"math, m\\:math, mml\\:math": ("<math", ":math", "msEquation", "<m:omath", *WIRIS_SIGNS)}, _math),
    _Reader({"img": tag_signs("im")}, _image, needs_mention=True),  # also <image>
    _Reader(
        {f"[{name}]": (name,) for name in TEX_ATTRIBUTES + FORMULA_ATTRIBUTES[:-1]}
        | {".ql-formula": ("ql-formula",)},
        read_attribute,
    ),
    _Reader({"[data-attrs]": ("data-attrs",), "[data-props]": ("data-props",)}, read_json),
    _Reader({".texhtml": ("texhtml",)}, read_texhtml),
    _Reader(FRACTIONS, read_fraction),
    _Reader({f".{name}": (name,) for name in ("nowrap", "radical", "sqrt")}, read_root),
    _Reader(
        {
            "span.math, div.math, code.math, pre.math, p.math, pre[lang='math']": word_signs("math"),
            "span.formula, div.formula": word_signs("formula"),
            "span.tex, span.latex, div.latex": (*word_signs("tex"), *word_signs("latex")),
            ".wp-katex-eq, .katex-eq": ("katex-eq",),
            "script[type='text/tex']": ("text/tex",),
            "code.language-math": ("language-math",),
        }
        | {name: (f"<{name}",) for name in DEDICATED}
        | {
            f".{name}": (name,)
            for name in (
                "arithmatex", "math-inline", "math-display", "math-block", "inline-math", "display-math", "inlinemath",
                "displaymath", "katex-error", "js-render-math", "mathquill-embedded-latex", "mathquill-editable",
            )
        },
        read_span,
        needs_mention=True,
    ),
)  # fmt: skip
"""What reads which elements, in the order in which they are tried: what wraps another comes first."""
_TYPESETTERS = ("mathjax", "katex", "latex", "asciimath")
"""Names of programs whose configuration a page may hold."""
_ROWS = ("ltx_eqn_row",)
SIGNS = all_signs(*(reader.selectors for reader in _READERS)) | {*_MENTIONS, *_TYPESETTERS, *_ROWS}
