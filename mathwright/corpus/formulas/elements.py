r"""Mathematics written as elements of a page, in whatever markup, as TeX.

MathML, MathJax's scripts and output, KaTeX, LaTeXML, images: each such element is replaced in the tree by a
placeholder that passes through text extraction unharmed. Formulas between delimiters are looked for later, in the
extracted text, where a formula is whole even if markup cut it in pieces (`formulas.delimiters`);
`formulas.preparation` gets the tree ready for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any, NamedTuple

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.attributes import (
    DEDICATED,
    FORMULA_ATTRIBUTES,
    TEX_ATTRIBUTES,
    read_asciimath,
    read_attribute,
    read_json,
    read_span,
    read_texhtml,
    read_variable,
)
from mathwright.corpus.formulas.html_expressions import FRACTIONS, read_fraction, read_root
from mathwright.corpus.formulas.html_expressions import KIND as HTML_SCRIPTS
from mathwright.corpus.formulas.image_addresses import mathml_in_address
from mathwright.corpus.formulas.images import (
    COMMAND_SIGNS,
    HIDDEN_COPIES,
    SURE_SIGNS,
    address_of,
    is_copy,
    read_hidden_copy,
    read_image,
    read_titled_svg,
)
from mathwright.corpus.formulas.mathquill import ELEMENTS as MATHQUILL
from mathwright.corpus.formulas.mathquill import read_mathquill
from mathwright.corpus.formulas.placeholders import Formulas, clean_tex
from mathwright.corpus.formulas.signs import Selectors, all_signs, selector, tag_signs, word_signs
from mathwright.corpus.formulas.table_layout import ELEMENTS as LAYOUTS
from mathwright.corpus.formulas.table_layout import read_layout
from mathwright.corpus.formulas.typeset import (
    Found,
    read_copies,
    read_katex,
    read_math,
    read_mathjax,
    read_mathml_text,
    read_mjpage,
    read_mjx_container,
    read_preview,
    read_script,
    read_wiki,
)
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
    for reader in _READERS:
        needed = not reader.needs or not present.isdisjoint(reader.needs)
        wanted = selector(reader.selectors, present) if needed else ""
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


def _image(node: Node) -> Found | None:
    """An image of a formula; editors keep its MathML, in quotation marks of their own, in an attribute (Wiris)."""
    markup = node.getattr("data-mathml")
    if markup and "math" in markup:
        found = read_mathml_text(markup.translate(WIRIS), "image")
        if found is not None and found[0]:
            return found
    if (markup := mathml_in_address(address_of(node))) and (found := read_mathml_text(markup, "image")) is not None:
        return found
    found = read_image(node)
    return ("", False, "") if found is not None and is_copy(node) else found


class _Reader(NamedTuple):
    selectors: Selectors
    read: Callable[[Node], Found | None]
    needs: Sequence[str] = ()
    """Signs one of which the page must hold, too, beside that of the element; none where empty."""


_MENTIONS = (
    "math", "atex", "mimetex", "cht=tx", "formula", "equation", "eeimg", "upmath", "s2cms", ".tex", "texrender",
    "codecogs", "/tex/", "?tex=", "&tex=", "&amp;tex=", "x-tex", "ka-tex", "la-tex", "tex-inline", "tex-block", "<eq",
    "//tex.", "tex2img",
    *(f"alt={quote}{opening}" for quote in ('"', "'") for opening in ("$", "\\")),
)  # fmt: skip
"""On a page with none of these no image is looked at, and no element with a class such as `formula`."""

_READERS = (
    _Reader({'script[type^="math/"]': ("math/",)}, read_script),
    _Reader({".MathJax_Preview, .MathJax_Error": ("MathJax_",)}, read_preview),
    _Reader({"alternatives": ("<alternatives",)}, read_copies),
    _Reader({".math-inline": ("math-inline",), ".math-block": ("math-block",)}, read_copies),
    _Reader({".mjpage, .mjpage__block": ("mjpage",)}, read_mjpage),
    _Reader(
        {
            ".MathJax_Display, .MathJax_SVG_Display, .MathJax, .MathJax_SVG, .mjx-chtml, .MathJax_CHTML,"
            " .MathJax_MathML": ("MathJax_", "MathJax-", "mjx-chtml", "data-mathml")
        },
        read_mathjax,
    ),
    _Reader({"mjx-container": ("mjx-container",)}, read_mjx_container),
    _Reader(MATHQUILL, read_mathquill),
    _Reader({".mwe-math-element": ("mwe-math",)}, read_wiki),
    _Reader({".katex": ("katex-",)}, read_katex),
    _Reader(HIDDEN_COPIES, read_hidden_copy),
    _Reader({"math, m\\:math, mml\\:math": ("<math", ":math", "msEquation", "<m:omath", *WIRIS_SIGNS)}, read_math),
    _Reader({"img": tag_signs("im")}, _image, needs=(*_MENTIONS, *SURE_SIGNS)),  # also <image>
    _Reader({"svg": tag_signs("svg")}, read_titled_svg, needs=COMMAND_SIGNS),
    _Reader(
        {f"[{name}]": (name,) for name in TEX_ATTRIBUTES + FORMULA_ATTRIBUTES[:-1]}
        | {".ql-formula": ("ql-formula",)},
        read_attribute,
    ),
    _Reader({"[data-attrs]": ("data-attrs",), "[data-props]": ("data-props",)}, read_json),
    _Reader({".texhtml": ("texhtml",)}, read_texhtml),
    _Reader(LAYOUTS, read_layout),
    _Reader(FRACTIONS, read_fraction),
    _Reader({f".{name}": (name,) for name in ("nowrap", "radical", "sqrt")}, read_root),
    _Reader({"var": ("<var",)}, read_variable),
    _Reader(
        {
            "span.asciimath, div.asciimath": word_signs("asciimath"),
            "span.AM, div.AM": ('class="AM', "class='AM", "class=AM"),
        },
        read_asciimath,
    ),
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
        needs=_MENTIONS,
    ),
)  # fmt: skip
"""What reads which elements, in the order in which they are tried: what wraps another comes first."""
_TYPESETTERS = ("mathjax", "katex", "latex", "asciimath")
"""Names of programs whose configuration a page may hold."""
_ROWS = ("ltx_eqn_row",)
SIGNS = all_signs(*(reader.selectors for reader in _READERS)) | {*_MENTIONS, *SURE_SIGNS, *_TYPESETTERS, *_ROWS}
