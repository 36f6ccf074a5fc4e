"""Sphinx's directives and roles for plain docutils, as far as docstrings use them; unknown ones lose no text.

docutils keeps its directives and roles in module globals and calls roles without context, so one page is rendered at a
time, and `resolving` says which page's names cross references are looked up with.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import docutils.utils
from docutils import nodes
from docutils.parsers.rst import Directive, directives, roles
from docutils.parsers.rst.directives.body import MathBlock
from docutils.parsers.rst.languages import get_language

Resolve = Callable[[str], str | None]
"""URL of the page that a cross reference means, or None."""


def _unresolved(target: str) -> str | None:
    return None


_resolve: Resolve = _unresolved

_DROPPED = (
    "toctree", "index", "currentmodule", "module", "py:module", "automodule", "autoclass", "autofunction",
    "automethod", "autodata", "autoexception", "highlight", "include", "literalinclude", "raw", "image", "figure",
    "tabularcolumns", "only", "meta", "inheritance-diagram", "graphviz", "contents", "sectionauthor", "codeauthor",
)  # fmt: skip
_CODE = (
    "plot", "doctest", "testcode", "testoutput", "testsetup", "ipython", "prompt", "jupyter-execute", "code-block",
    "sourcecode", "code",
)  # fmt: skip
_TEXT_ROLES = (
    "abbr", "dfn", "guilabel", "menuselection", "index", "term", "ref", "doc", "numref", "pep", "rfc", "eq", "cite",
    "footcite",
)  # fmt: skip
_ADMONITIONS = {
    "versionadded": "New in version", "versionchanged": "Changed in version", "deprecated": "Deprecated since version",
    "seealso": "See also", "todo": "Todo",
}  # fmt: skip


class _Dropped(Directive):
    """A directive that makes Sphinx insert something from elsewhere."""

    has_content = True
    optional_arguments = 100

    def run(self) -> list[nodes.Node]:
        return []


class _Summary(Directive):
    """Sphinx's autosummary: a list of links to the named objects."""

    has_content = True
    optional_arguments = 100
    option_spec: ClassVar[Any] = None

    def run(self) -> list[nodes.Node]:
        items = []
        for line in self.content:
            name, _, text = line.strip().lstrip("~").partition(" ")
            if re.fullmatch(r"[\w.]+", name):
                url = _resolve(name)
                code = nodes.literal(name, name)
                shown = nodes.reference(name, "", code, refuri=url) if url else code
                items.append(
                    nodes.list_item("", nodes.paragraph("", "", shown, nodes.Text(f" {text}" if text else "")))
                )
        return [nodes.bullet_list("", *items)] if items else []


class _Code(Directive):
    has_content = True
    optional_arguments = 100
    option_spec: ClassVar[Any] = None

    def run(self) -> list[nodes.Node]:
        lines = [line for line in self.content if not re.match(r":[\w-]+:( |$)", line)]
        text = "\n".join(lines).strip("\n")
        return [nodes.literal_block(text, text)] if text else []


class _Passage(Directive):
    """Any other directive: its argument, under the name that Sphinx prints, then its content as text."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[Any] = None

    def run(self) -> list[nodes.Node]:
        title = _ADMONITIONS.get(self.name, "")
        text = " ".join(part for part in (title, *self.arguments) if part)
        box = nodes.container(classes=[self.name.replace(":", "-")])
        if text:
            parsed, messages = self.state.inline_text(text, self.lineno)
            box += [nodes.paragraph(text, "", *parsed), *messages]
        self.state.nested_parse(self.content, self.content_offset, box)
        return [box]


class _Math(MathBlock):
    """The math directive with the options that Sphinx adds."""

    option_spec: ClassVar[Any] = {
        **(MathBlock.option_spec or {}),
        "label": directives.unchanged,
        "nowrap": directives.flag,
        "no-wrap": directives.flag,
    }

    def run(self) -> list[Any]:
        for name in ("label", "nowrap", "no-wrap"):
            self.options.pop(name, None)
        return super().run()


def reference_role(_name: str, rawtext: str, text: str, *_: Any) -> Any:
    """A Sphinx cross reference: a link where its target is known, otherwise code."""
    text = docutils.utils.unescape(text)
    titled = re.fullmatch(r"(.+?)\s*<([^<>]+)>", text, re.DOTALL)
    title, target = titled.groups() if titled else (text.lstrip("!~"), text)
    if not titled and text.startswith("~"):
        title = title.rsplit(".", 1)[-1]
    url = _resolve(target.lstrip("!~"))
    code = nodes.literal(rawtext, title, classes=["xref"])
    return [nodes.reference(rawtext, "", code, refuri=url) if url else code], []


def default_role(_name: str, rawtext: str, text: str, *_: Any) -> Any:
    """Single backquotes: a link where they name something documented, otherwise emphasis, as numpydoc does."""
    text = docutils.utils.unescape(text)
    url = _resolve(text) if re.fullmatch(r"~?\w{3,}[\w.]*(\(\))?", text) else None
    if url:
        return [nodes.reference(rawtext, text.lstrip("~"), refuri=url)], []
    return [nodes.emphasis(rawtext, text)], []


def text_role(_name: str, rawtext: str, text: str, *_: Any) -> Any:
    """A role whose title alone is of use here: `:ref:` and the like."""
    title = re.sub(r"\s*<[^<>]+>$", "", docutils.utils.unescape(text))
    return [nodes.inline(rawtext, title)], []


@contextmanager
def resolving(resolve: Resolve, document: nodes.document, rest: str) -> Iterator[None]:
    """Prepare docutils for one text: its unknown directives and roles get the general ones, its names this meaning."""
    global _resolve
    register()
    _register_unknown(rest, document)
    _resolve = resolve
    roles.register_local_role("", default_role)  # docutils forgets the default role at the end of each document
    yield


@functools.cache
def register() -> None:
    for name in _DROPPED:
        directives.register_directive(name, _Dropped)
    for name in _CODE:
        directives.register_directive(name, _Code)
    for name in _ADMONITIONS:
        directives.register_directive(name, _Passage)
    directives.register_directive("math", _Math)
    directives.register_directive("autosummary", _Summary)
    for name in _TEXT_ROLES:
        roles.register_local_role(name, text_role)


_seen_directives: set[str] = set()
_seen_roles: set[str] = set()


def _register_unknown(rest: str, document: nodes.document) -> None:
    """Directives and roles that neither docutils nor we know get the general ones."""
    english: Any = get_language("en")
    for name in set(re.findall(r"\.\. ([\w:+.-]*\w)::", rest)) - _seen_directives:
        _seen_directives.add(name)
        if directives.directive(name, english, document)[0] is None:
            directives.register_directive(name.lower(), _Passage)
    for name in set(re.findall(r":([a-zA-Z][\w:+.-]*):`", rest)) - _seen_roles:
        _seen_roles.add(name)
        if roles.role(name, english, 0, document.reporter)[0] is None:
            roles.register_local_role(name, reference_role)
