"""The page around the documentation of one entry: head, navigation, sidebar, body, footer."""

from __future__ import annotations

import functools
import html
import inspect
from collections.abc import Mapping, Sequence

from mathwright.corpus.localweb.index import Entry, PackageDocs
from mathwright.corpus.localweb.markup import to_rest
from mathwright.corpus.localweb.render import MathOutput, render
from mathwright.corpus.localweb.source import host_of

MATHJAX = '<script defer src="https://cdn.jsdelivr.net/npm/mathjax@3/es5/tex-mml-chtml.js"></script>'
ROBOTS = "User-agent: *\nDisallow: /search.html\nDisallow: /_sources/\n"
MAX_SIBLINGS = 40
STYLE = (
    "body{font:16px/1.5 sans-serif;margin:0;color:#222}header,footer{background:#f3f4f5;padding:.6em 1.5em}"
    ".columns{display:flex;gap:2em;padding:0 1.5em}.sidebar{flex:0 0 14em;font-size:.9em}main{max-width:50em}"
    ".sidebar ul{list-style:none;padding:0}pre{background:#f8f8f8;padding:.6em;overflow:auto}.rubric{font-weight:bold}"
    ".sig{background:#eef;padding:.3em .6em;font-family:monospace}.classifier::before{content:' : '}"
    "table.autosummary td{padding:.1em .8em .1em 0}"
)


class PackagePages:
    """The pages of one host, rendered when asked for."""

    def __init__(self, docs: PackageDocs, *, math: MathOutput, hosts: Mapping[str, PackageDocs], port: int) -> None:
        """`hosts` are the packages of the whole web by name, for links from one to another."""
        self.docs = docs
        self.math: MathOutput = math
        self.hosts = hosts
        self.port = port

    def get(self, path: str) -> tuple[int, str, str]:
        """(HTTP status, content type, text) of a path without its leading slash."""
        if path == "robots.txt":
            return 200, "text/plain", ROBOTS
        if path == "":
            path = "index.html"
        if path == "search.html":
            return (
                200,
                "text/html",
                self._frame(f"Search {self.docs.package}", "", "<h1>Search</h1><form><input></form>"),
            )
        if path.startswith("_sources/") and path.endswith(".txt"):
            entry = self.docs.entries.get(path.removeprefix("_sources/").removesuffix(".txt"))
            if entry is not None:
                return 200, "text/plain", f"{entry.name}\n\n{entry.doc}\n"
        entry = self.docs.entries.get(path)
        if entry is None:
            return 404, "text/html", self._frame("Page not found", "", "<h1>Page not found</h1>")
        return 200, "text/html", self._entry(entry)

    def resolve(self, target: str, near: str) -> str | None:
        """URL of the page that a name in the docstring of `near` means, on this host or another."""
        target = target.removeprefix("~").strip()
        package, _, rest = target.partition(".")
        other = self.hosts.get(package)
        if other is not None and other is not self.docs:
            path = other.by_name.get(target.removesuffix("()")) if rest else None
            return f"http://{host_of(package)}:{self.port}/{path}" if path else None
        path = self.docs.resolve(target, near)
        return f"/{path}" if path else None

    def _entry(self, entry: Entry) -> str:
        rest = to_rest(inspect.cleandoc(entry.doc))
        body = render(rest, math=self.math, resolve=functools.partial(self.resolve, near=entry.name)) if rest else ""
        parts = [f"<h1>{html.escape(entry.name)}</h1>"]
        if entry.kind != "module":
            word = "class " if entry.kind == "class" else ""
            parts.append(f'<p class="sig">{word}{html.escape(entry.name + entry.signature)}</p>')
        parts += [body, self._members(entry)]
        return self._frame(
            f"{entry.short_name} — {self.docs.package} {self.docs.version} documentation", entry.path, "\n".join(parts)
        )

    def _members(self, entry: Entry) -> str:
        """Tables of what a module or class contains."""
        if entry.kind == "class" and entry.members:
            rows = []
            for name, first_line in entry.members:
                path = self.docs.by_name.get(f"{entry.name}.{name}")
                rows.append((name, path, first_line))
            return f'<p class="rubric">Methods</p>{_table(rows)}'
        if entry.kind != "module":
            return ""
        parts = []
        for title, kinds in (("Modules", {"module"}), ("Classes", {"class"}), ("Functions", {"function"})):
            rows = [
                (child.short_name, child.path, child.doc.strip().partition("\n")[0])
                for child in self.docs.children.get(entry.folder, [])
                if child.kind in kinds and child is not entry
            ]
            if rows:
                parts.append(f"<h2>{title}</h2>{_table(rows)}")
        return "".join(parts) + (self._contents() if not entry.folder else "")

    def _contents(self) -> str:
        """The whole site's packages below the first level, as the contents of a documentation list them."""
        modules = (entry for entry in self.docs.entries.values() if entry.kind == "module" and "/" in entry.folder)
        items = "".join(
            f'<li><a href="/{entry.path}">{html.escape(entry.name)}</a></li>'
            for entry in modules
            if any(child.kind == "module" for child in self.docs.children.get(entry.folder, []))
        )
        return f"<h2>Contents</h2><ul>{items}</ul>" if items else ""

    def _frame(self, title: str, path: str, body: str) -> str:
        package, version = html.escape(self.docs.package), html.escape(self.docs.version)
        mathjax = MATHJAX if "\\(" in body or 'class="math"' in body or self.math == "mathjax" else ""
        source = f'<a href="/_sources/{path}.txt">Show Source</a>' if path.endswith("index.html") else ""
        return (
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
            f'<meta name="viewport" content="width=device-width">\n<style>{STYLE}</style>\n{mathjax}\n</head>\n<body>\n'
            f'<header><nav><a href="/index.html">{package} {version} documentation</a> | '
            f'<a href="/search.html">Search</a></nav>\n{self._breadcrumbs(path)}</header>\n'
            f'<div class="columns"><nav class="sidebar">{self._sidebar(path)}{source}</nav>\n'
            f"<main>\n{body}\n{self._neighbours(path)}</main></div>\n"
            f"<footer><p>© Copyright the {package} developers.</p><p>Rendered from the docstrings of {package} "
            f'{version} with <a href="https://docutils.sourceforge.io/">docutils</a>. Found a mistake? Report it to '
            f"the project.</p></footer>\n</body>\n</html>\n"
        )

    def _breadcrumbs(self, path: str) -> str:
        """Links to the modules around a page."""
        links = [f'<a href="/index.html">{html.escape(self.docs.package)}</a>']
        folders = path.split("/")[:-1]
        for depth, folder in enumerate(folders, start=1):
            target = "/".join([*folders[:depth], "index.html"])
            name = html.escape(folder)
            links.append(f'<a href="/{target}">{name}</a>' if target in self.docs.entries else name)
        return f'<div class="breadcrumbs">{" » ".join(links)}</div>' if path else ""

    def _sidebar(self, path: str) -> str:
        """The neighbours in the same folder, a window of them where they are many."""
        siblings = self.docs.children.get(path.rpartition("/")[0], [])
        at = next((index for index, entry in enumerate(siblings) if entry.path == path), 0)
        first = max(0, min(at - MAX_SIBLINGS // 2, len(siblings) - MAX_SIBLINGS))
        items = "".join(
            f'<li><a href="/{entry.path}">{html.escape(entry.short_name)}</a></li>'
            for entry in siblings[first : first + MAX_SIBLINGS]
        )
        return f"<p>Section navigation</p><ul>{items}</ul>" if items else ""

    def _neighbours(self, path: str) -> str:
        siblings = self.docs.children.get(path.rpartition("/")[0], [])
        at = next((index for index, entry in enumerate(siblings) if entry.path == path), None)
        if at is None:
            return ""
        links = [
            f'<a rel="{rel}" href="/{siblings[i].path}">{arrow} {html.escape(siblings[i].short_name)}</a>'
            for rel, arrow, i in (("prev", "previous:", at - 1), ("next", "next:", at + 1))
            if 0 <= i < len(siblings)
        ]
        return f'<div class="prev-next">{" ".join(links)}</div>'


def _table(rows: Sequence[tuple[str, str | None, str]]) -> str:
    cells = []
    for name, path, first_line in rows:
        shown = f"<code>{html.escape(name)}</code>"
        link = f'<a href="/{path}">{shown}</a>' if path else shown
        cells.append(f"<tr><td>{link}</td><td>{html.escape(first_line)}</td></tr>")
    return f'<table class="autosummary">{"".join(cells)}</table>'
