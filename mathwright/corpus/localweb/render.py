"""reStructuredText into HTML with docutils: no files read, no raw HTML, no messages of docutils in the page."""

from __future__ import annotations

import copy
import functools
import html
from typing import Any, Literal

import docutils.core
import docutils.frontend
import docutils.io
import docutils.readers.standalone
import docutils.utils
from docutils import nodes
from docutils.parsers.rst import Parser
from docutils.transforms import Transform
from docutils.utils.math import MathError, latex2mathml
from docutils.writers import html5_polyglot

from mathwright.corpus.localweb.sphinx import Resolve, resolving

MathOutput = Literal["mathjax", "mathml"]
"""How formulas are written: TeX between MathJax's delimiters, or presentation MathML."""


class _Recover(Transform):
    """What docutils could not parse stays in the page as it was written; its messages do not appear."""

    default_priority = 860  # before universal.FilterMessages, which would remove the text with the message

    def apply(self, **kwargs: Any) -> None:
        for message in list(self.document.findall(nodes.system_message)):
            kept = [child for child in message.children if isinstance(child, nodes.literal_block)]
            if message.parent is not None:
                message.parent.replace(message, kept)
        self.document.transform_messages.clear()
        for problem in list(self.document.findall(nodes.problematic)):
            problem.parent.replace(problem, nodes.Text(problem.astext()))


class _Reader(docutils.readers.standalone.Reader):
    def get_transforms(self) -> list[type[Transform]]:
        return [*super().get_transforms(), _Recover]


class _Translator(html5_polyglot.HTMLTranslator):
    def visit_math(self, node: Any) -> None:
        """MathML where docutils can write it, otherwise the TeX between MathJax's delimiters."""
        if self.settings.prefer_mathml:
            is_block = isinstance(node, nodes.math_block)
            try:
                self.body.append(latex2mathml.tex2mathml(node.astext(), as_block=is_block))
            except (MathError, RecursionError, ValueError, LookupError, AttributeError, TypeError):
                pass  # the converter is made for clean input; other people's formulas end in any of these
            else:
                raise nodes.SkipChildren
        super().visit_math(node)

    def visit_literal(self, node: nodes.literal) -> None:
        self.body.append(self.starttag(node, "code", "", CLASS="docutils literal"))

    def depart_literal(self, node: nodes.literal) -> None:
        self.body.append("</code>")


class _Writer(html5_polyglot.Writer):
    def __init__(self) -> None:
        super().__init__()
        self.translator_class = _Translator


def render(rest: str, *, math: MathOutput, resolve: Resolve) -> str:
    """HTML of a text in reStructuredText, without head and title; `resolve` gives the URLs of cross references.

    A text on which docutils itself fails is shown as it was written.
    """
    writer = _Writer()
    publisher = docutils.core.Publisher(
        _Reader(),
        Parser(),
        writer,
        source_class=docutils.io.StringInput,
        destination_class=docutils.io.StringOutput,
    )
    settings = copy.copy(_settings())
    settings.prefer_mathml = math == "mathml"
    publisher.settings = settings
    publisher.set_source(rest, source_path="docstring")
    publisher.set_destination(None, "page")
    with resolving(resolve, docutils.utils.new_document("lookup", settings), rest):
        try:
            publisher.publish()
        except Exception:  # docutils asserts where it meets what it did not expect, and any docstring may come
            return f"<pre>{html.escape(rest)}</pre>"
    return writer.parts.get("fragment", "")


@functools.cache
def _settings() -> Any:
    settings = docutils.frontend.get_default_settings(Parser(), _Reader(), _Writer())
    overrides = {
        "file_insertion_enabled": False, "raw_enabled": False, "report_level": 5, "halt_level": 6, "traceback": True,
        "math_output": ("mathjax", "mathjax"), "doctitle_xform": False, "docinfo_xform": False, "toc_backlinks": False,
        "sectsubtitle_xform": False, "smart_quotes": False, "syntax_highlight": "none", "line_length_limit": 10**7,
        "input_encoding": "unicode", "output_encoding": "unicode", "embed_stylesheet": False, "stylesheet_path": "",
        "warning_stream": "", "initial_header_level": 2, "_disable_config": True,
    }  # fmt: skip
    for name, value in overrides.items():
        setattr(settings, name, value)
    return settings
