r"""Mathematics written as elements of a page, in whatever markup, as TeX.

MathML, MathJax's scripts and output, KaTeX, LaTeXML, images: each such element is replaced in the tree by a
placeholder that passes through text extraction unharmed. Formulas between delimiters are looked for later, in the
extracted text, where a formula is whole even if markup cut it in pieces (`delimiters.py`).
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas import PROTECT, Formulas, clean_tex, has_placeholder
from mathwright.corpus.katex import katex_to_tex
from mathwright.corpus.mathml import mathml_to_tex

Node = Any
"""An element of resiliparse's tree (its classes have no common public type with the attributes used here)."""


def replace_elements(tree: HTMLTree, html: bytes) -> Formulas:
    """Put placeholders where the tree holds formulas as elements; returns what they stand for.

    html: the bytes of the page. A kind of markup is looked for only where they hold a sign of it (in UTF-16, where
    no sign is seen, every kind is looked for).
    """
    formulas = Formulas()
    document = tree.document
    if document is None:
        return formulas
    present = _SIGNS if b"\0" in html[:64] else {sign for sign in _SIGNS if sign in html}
    if not present:
        return formulas
    for signs, selector, read in _READERS:
        if present.isdisjoint(signs):
            continue
        nested = 0  # elements that went away together with the one around them
        for node in document.query_selector_all(selector).values():
            if nested:
                nested -= 1
                continue
            if formulas.full():
                return formulas
            found = read(node)
            if found is None:
                continue
            nested = len(node.query_selector_all(selector))
            tex, display, kind = found
            tex, delimited = clean_tex(tex)
            text = tree.create_text_node(formulas.add(tex, display or bool(delimited), kind) if tex else "")
            if text is not None:
                node.replace_with(text)
    return formulas


_Found = tuple[str, bool, str]


def _script(node: Node) -> _Found | None:
    kind = node.getattr("type") or ""
    display = "mode=display" in kind.replace(" ", "")
    if "mml" in kind or "mathml" in kind:
        return _mathml_text(node.text or "", "mathjax_script")
    if "asciimath" in kind:
        return None
    return node.text or "", display, "mathjax_script"


def _mathjax_output(node: Node) -> _Found | None:
    """MathJax 2's output; where its scripts stand beside it, they are the source and this is a copy."""
    markup = node.getattr("data-mathml")
    if markup:
        display = "Display" in (node.getattr("class") or "")
        found = _mathml_text(markup, "mathjax_output")
        return found if found is None else (found[0], found[1] or display, found[2])
    return None


def _mathml_text(markup: str, kind: str) -> _Found | None:
    """MathML written as text, in a script or an attribute."""
    math = HTMLTree.parse(markup[:1_000_000]).document.query_selector("math")  # pyright: ignore[reportOptionalMemberAccess]
    if math is None:
        return None
    tex, display, _ = _math(math)
    return tex, display, kind


def _mjx_container(node: Node) -> _Found | None:
    display = node.getattr("display") in ("true", "block")
    for inner in (node.query_selector("mjx-math[data-latex]"), node.query_selector("math[data-latex]")):
        if inner is not None:
            return inner.getattr("data-latex"), display, "mathjax_output"
    math = node.query_selector("math")
    if math is not None:
        tex, block, _ = _math(math)
        return tex, display or block, "mathjax_output"
    math = node.query_selector("mjx-math")
    return None if math is None else (mathml_to_tex(math), display, "mathjax_output")


def _katex(node: Node) -> _Found | None:
    parent = node.parent_element
    display = parent is not None and "katex-display" in (parent.getattr("class") or "")
    annotation = node.query_selector("annotation")
    if annotation is not None:
        return annotation.text or "", display, "katex"
    math = node.query_selector("math")
    if math is not None:
        return mathml_to_tex(math), display, "katex"
    html = node.query_selector(".katex-html")
    return None if html is None else (katex_to_tex(html), display, "katex_html")


def _annotation(math: Node) -> str | None:
    for annotation in math.query_selector_all("annotation").values():
        if "tex" in (annotation.getattr("encoding") or "").lower():
            return annotation.text or ""
    return None


def _math(node: Node) -> _Found:
    display = node.getattr("display") == "block" or node.getattr("mode") == "display"
    latexml = "ltx_" in (node.getattr("class") or "")
    alttext = node.getattr("alttext")
    if latexml and alttext:
        return alttext, display, "latexml"
    tex = _annotation(node)
    if tex and tex.strip():
        return tex, display, "mathml_annotation"
    if alttext and not alttext.isspace():
        return alttext, display, "mathml_alttext"
    return mathml_to_tex(node), display, "mathml"


def _wiki(node: Node) -> _Found | None:
    """MediaWiki's wrapper around MathML and its fallback image."""
    math = node.query_selector("math")
    image = node.query_selector("img[alt]")
    if math is None and image is None:
        return None
    display = (
        "display" in (node.getattr("class") or "")
        or node.query_selector(".mwe-math-fallback-image-display") is not None
    )
    tex = _math(math)[0] if math is not None else image.getattr("alt")
    return tex, display, "wikimedia"


_IMAGE_CLASSES = re.compile(r"\b(?:math|tex|latex|mwe-math\S*|mathimg|ee_img|ql-img\S*|equation)\b", re.IGNORECASE)
_IMAGE_SOURCES = re.compile(
    r"codecogs\.com|latex\.php|mimetex|mathtex|quicklatex|cht=tx|/math/render/|/images/math/|wp-latex|s0\.wp\.com/latex"
    r"|texify|/teximages?/|latex\.(?:gif|png|svg|download)|eq\.(?:latex|png)\?|/equation\?tex=|/tex/|render\.githubusercontent",
    re.IGNORECASE,
)
_TEX_IN_URL = re.compile(
    r"(?:latex\.php\?(?:.*&)?latex=|cht=tx&(?:.*&)?chl=|/equation\?tex=|math\?math=|latex\?tex=)([^&]+)"
    r"|(?:codecogs\.com/(?:gif|png|svg|eq)\.\w+\?|mimetex\.cgi\?|mathtex\.cgi\?)(.+)"
)
_LOOKS_LIKE_TEX = re.compile(r"\\[A-Za-z]+|[_^]\{|[_^]\w|^\$.*\$$|=")


def _image(node: Node) -> _Found | None:
    """An image of a formula whose alt text, title or address holds the TeX."""
    source = node.getattr("src") or node.getattr("data-src") or ""
    css = node.getattr("class") or ""
    alt = (node.getattr("alt") or node.getattr("title") or "").strip()
    delimited = alt.startswith(("$", "\\(", "\\[")) and alt.endswith(("$", "\\)", "\\]")) and len(alt) > 2
    if not (delimited or _IMAGE_CLASSES.search(css) or _IMAGE_SOURCES.search(source)):
        return None
    if not delimited and "mathjax" in source:
        return None
    in_url = _TEX_IN_URL.search(source)
    if in_url is not None and not _LOOKS_LIKE_TEX.search(alt):
        alt = urllib.parse.unquote_plus(in_url[1]) if in_url[1] else urllib.parse.unquote(in_url[2])
    if not alt or (not delimited and len(alt) > 12 and not _LOOKS_LIKE_TEX.search(alt)):
        return None
    return alt, "display" in css, "image"


def _attribute(node: Node) -> _Found | None:
    """An element that a script of the page turns into mathematics, its TeX in an attribute."""
    for name in ("data-tex", "data-latex", "data-math", "data-formula", "data-expr"):
        tex = node.getattr(name)
        if tex:
            if name in ("data-math", "data-expr", "data-formula") and not _LOOKS_LIKE_TEX.search(tex):
                return None
            display = (node.getattr("data-display") or node.getattr("data-math-style") or "") in (
                "true",
                "display",
                "block",
            )
            return tex, display, "attribute"
    return None


_SPAN = re.compile(r"\s*(?:\\\((.+)\\\)|\\\[(.+)\\\]|\$\$(.+)\$\$|\$([^$]+)\$)(?:\s*\([\w.]+\))?[\s¶#]*\Z", re.DOTALL)


def _span(node: Node) -> _Found | None:
    """`<span class="math">` of Sphinx, docutils, pandoc and their kin: delimiters inside, or bare TeX."""
    if node.first_element_child is not None:
        for extra in node.query_selector_all(".eqno, .headerlink, script").values():
            extra.remove()
    text = node.text or ""
    if has_placeholder(text):  # an image or MathML, read before
        return None
    css = node.getattr("class") or ""
    display = node.tag in ("div", "pre") or "display" in css
    spelled = _SPAN.match(text)
    if spelled is not None:
        tex = next(group for group in spelled.groups() if group is not None)
        if not any(mark in tex for mark in ("\\)", "\\]", "$")) or text.count("$") == 2:
            return tex, spelled[2] is not None or spelled[3] is not None, "math_span"
        return None
    if any(mark in text for mark in ("\\(", "\\[", "$")):
        return None
    if (node.first_element_child is None and _LOOKS_LIKE_TEX.search(text)) or len(text.strip()) == 1:
        return text, display, "math_span"
    return None


def _drop(node: Node) -> _Found | None:
    return "", False, ""


_READERS: tuple[tuple[tuple[bytes, ...], str, Callable[[Node], _Found | None]], ...] = (
    ((b"math",), 'script[type^="math/"]', _script),
    ((b"MathJax",), ".MathJax_Preview, .MathJax_Error", _drop),
    ((b"MathJax", b"mjx-"), ".MathJax_Display, .MathJax_SVG_Display, .MathJax[data-mathml],"
     " .MathJax_SVG[data-mathml], .mjx-chtml[data-mathml], .MathJax_CHTML[data-mathml]", _mathjax_output),
    ((b"mjx-",), "mjx-container", _mjx_container),
    ((b"math",), ".mwe-math-element", _wiki),
    ((b"atex",), ".katex", _katex),
    ((b"math",), "math, m\\:math, mml\\:math", _math),
    ((b"math", b"atex", b"mimetex", b"cht=tx", b'alt="$'), "img", _image),
    ((b"math", b"atex", b"data-tex"), "[data-tex], [data-latex], [data-math], [data-formula], [data-expr]", _attribute),
    ((b"math",), "span.math, div.math, code.math, pre.math, p.math, span.formula, .arithmatex,"
     " script[type='text/tex'], tex-math", _span),
)  # fmt: skip
"""Signs of it, selector and reader, in the order in which they are tried: what wraps another comes first."""
_SIGNS = frozenset(sign for signs, _, _ in _READERS for sign in signs)


def protect_code(tree: HTMLTree) -> None:
    """Hide dollars and backslashes of program text, so that they do not look like delimiters."""
    if tree.document is None:
        return
    for node in tree.document.query_selector_all("pre, code, kbd, samp, tt, textarea").values():
        text = node.text or ""
        if "$" not in text and "\\" not in text:
            continue
        if node.first_element_child is None or node.query_selector("br, div, p, li, tr, math, img") is None:
            node.text = text.translate(PROTECT)  # drops the highlighter's spans, which plain text does not show
            continue
        for leaf in list(node):  # a tree must not change while it is walked
            if leaf.tag == "#text" and leaf.value:
                leaf.value = leaf.value.translate(PROTECT)
