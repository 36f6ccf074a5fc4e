"""The small web: which pages a package has, how docstrings become HTML, what the server says."""

from __future__ import annotations

import html
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mathwright.corpus.localweb import DocsWeb, build_index
from mathwright.corpus.localweb import render as render_module
from mathwright.corpus.localweb.markup import to_rest
from mathwright.corpus.localweb.page import PackagePages
from mathwright.corpus.localweb.render import MathOutput, render
from mathwright.errors import MathwrightError

LONG = "It says a good deal. " * 12


def write_package(root: Path, files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return [str(root)]


@pytest.fixture
def geometry(tmp_path: Path) -> list[str]:
    """A package with re-exports, private modules, attached docstrings, a damaged file; importing it would fail."""
    return write_package(
        tmp_path,
        {
            "geometry/__init__.py": '''
                """Geometry of the plane."""
                from .curves import *
                raise RuntimeError("imported")
            ''',
            "geometry/curves/__init__.py": '''
                """Curves."""
                from .conic import circle
                from ._hidden import spiral as helix
                from .._core.basics import point
                __all__ = ["circle", "helix", "point"]
            ''',
            "geometry/curves/conic.py": f'''
                def circle(radius, *, centre=(0, 0)):
                    """A circle of area :math:`\\\\pi r^2`."""
                def ellipse(a, b):
                    """Not re-exported; see :func:`circle` and `geometry.Shape`."""
                def _secret():
                    """Private."""
                def bare(): ...
                class Arc:
                    """Part of a circle."""
                    def length(self, unit):
                        """Short."""
                    def area(self):
                        """Long. {LONG}"""
                    def _private(self):
                        """Hidden. {LONG}"""
            ''',
            "geometry/curves/_hidden.py": 'def spiral(turns):\n    """Turns."""\n',
            "geometry/_core/__init__.py": "",
            "geometry/_core/basics.py": '''
                def point(x, y):
                    """A point."""
                def internal():
                    """Not public."""
            ''',
            "geometry/_docs.py": '''
                add_docstr(geometry.norm, r"""norm(x, *, out=None) -> float

                The length :math:`\\lVert x \\rVert` of {input}.
                """.format(**common))
            ''',
            "geometry/name_docs.py": f'area = r"""\nThe area. {LONG}"""\nshort = "no text"\n',
            "geometry/shape.py": 'class Shape:\n    """Any shape."""\n',
            "geometry/broken.py": "def f(:\n",
            "geometry/tests/test_shape.py": 'def helper():\n    """Of a test."""\n',
        },
    )


def test_pages_lie_where_users_import_from(geometry: list[str]) -> None:
    docs = build_index("geometry", path=geometry)
    assert set(docs.entries) == {
        "index.html",
        "norm.html",  # attached from outside
        "curves/index.html",
        "curves/circle.html",  # re-exported by the package around its module
        "curves/helix.html",  # from a private module, under the name that the package gives it
        "point.html",  # from a private package, by re-export alone, where the path to it is shortest
        "curves/conic/index.html",
        "curves/conic/ellipse.html",
        "curves/conic/Arc.html",
        "curves/conic/Arc.area.html",  # a method with a substantial docstring
        "name_docs/index.html",
        "name_docs/area.html",
        "shape/index.html",
        "shape/Shape.html",
    }
    assert docs.entries["curves/circle.html"].signature == "(radius, *, centre=(0, 0))"
    assert docs.entries["norm.html"].signature == "(x, *, out=None)"
    assert "of input." in docs.entries["norm.html"].doc
    assert docs.entries["curves/conic/Arc.html"].members == (
        ("length", "Short."),
        ("area", "Long. " + LONG.strip()),
    )
    (damaged,) = docs.damaged.items()
    assert damaged[0].endswith("broken.py")
    assert damaged[1].startswith("SyntaxError")


def test_page_limit_keeps_the_pages_nearest_to_the_root(geometry: list[str]) -> None:
    docs = build_index("geometry", path=geometry, max_pages=3)
    assert len(docs.entries) == 3
    assert "index.html" in docs.entries
    assert "curves/conic/Arc.area.html" not in docs.entries


def test_part_of_a_package(geometry: list[str]) -> None:
    whole = build_index("geometry", path=geometry)
    docs = build_index("geometry", only=["geometry.curves.conic"], path=geometry)
    around = {"index.html", "curves/index.html"}
    assert set(docs.entries) == around | {
        f"curves/conic/{page}.html" for page in ("index", "circle", "ellipse", "Arc", "Arc.area")
    }
    assert docs.entries["curves/conic/Arc.html"] == whole.entries["curves/conic/Arc.html"]
    with pytest.raises(MathwrightError, match=r"geometry has no module geometry\.solids"):
        build_index("geometry", only=["geometry.solids"], path=geometry)
    with DocsWeb(["geometry.shape", "geometry.curves.conic"], path=geometry) as web:
        assert web.num_pages == {"geometry.localhost": 9}


def test_missing_package_says_what_to_do() -> None:
    with pytest.raises(MathwrightError, match="no_such_package is not installed") as error:
        build_index("no_such_package")
    assert "corpus.web.packages" in error.value.hint
    with pytest.raises(MathwrightError, match="not the import name"):
        build_index("../etc")


def test_links_between_pages(geometry: list[str]) -> None:
    docs = build_index("geometry", path=geometry)
    pages = PackagePages(docs, math="mathjax", hosts={"geometry": docs}, port=80)
    page = pages.get("curves/conic/ellipse.html")[2]
    assert '<a class="reference external" href="/curves/circle.html"><code class="xref docutils literal">circle' in page
    assert '<a href="/curves/index.html">curves</a>' in page  # parent, in the breadcrumbs
    assert '<a href="/curves/conic/Arc.html">Arc</a>' in page  # sibling, in the sidebar
    root = pages.get("index.html")[2]
    for path in ("curves/index.html", "shape/index.html", "norm.html"):
        assert f'href="/{path}"' in root


def test_every_page_can_be_reached_from_the_first(geometry: list[str]) -> None:
    docs = build_index("geometry", path=geometry)
    pages = PackagePages(docs, math="mathjax", hosts={"geometry": docs}, port=80)
    reached, frontier = {"index.html"}, ["index.html"]
    while frontier:
        for link in re.findall(r'href="/([^"]+)"', pages.get(frontier.pop())[2]):
            if link not in reached and link in docs.entries:
                reached.add(link)
                frontier.append(link)
    assert reached == set(docs.entries)


def to_html(doc: str, math: MathOutput = "mathjax") -> str:
    return render(to_rest(textwrap.dedent(doc).strip("\n")), math=math, resolve=lambda name: None)


def test_numpydoc_sections() -> None:
    page = to_html("""
        Sum.

        Parameters
        ----------
        x_, *args : array_like, optional
            Numbers.

        See Also
        --------
        numpy.sum : Of arrays.
        mean, median

        Examples
        --------
        Call it:
        >>> add(1)
        $1 and $2
    """)
    assert '<p class="rubric">Parameters</p>' in page
    assert "<dt>x_, *args<span" in page
    assert '<span class="classifier">array_like, optional</span>' in page
    assert re.search(r"numpy.sum</code> : Of arrays", page)
    assert page.count("<code") == 3
    assert re.search(r"<pre[^>]*>&gt;&gt;&gt; add\(1\)\n\$1 and \$2\n?</pre>", page)


def test_google_sections() -> None:
    page = to_html("""
        Loss.

        Args:
            weight (Tensor, optional): a rescaling
                of each class.
            **kwargs: the rest

        Shape:
            - Input: :math:`(N, C)`.

        Example::

            >>> loss(x)
    """)
    assert '<p class="rubric">Args</p>' in page
    assert "<dt>weight<span" in page
    assert "of each class." in page
    assert "<dt>**kwargs</dt>" in page
    assert '<p class="rubric">Shape</p>' in page
    assert r'<li><p>Input: <span class="math">\((N, C)\)</span>.</p></li>' in page


@pytest.mark.parametrize(
    ("source", "tex"),
    [
        (r"the value $\Gamma(n) = (n-1)!$ here", r"\(\Gamma(n) = (n-1)!\)"),
        ("for $n$-th roots", r"\(n\)"),
        (".. math ::\n\n    x_1^2 * y_2 * z", "x_1^2 * y_2 * z"),
        (".. math::\n    :label: eq\n    :nowrap:\n\n    a = b", "a = b"),
        (r"role :math:`\frac{a}{b}`", r"\(\frac{a}{b}\)"),
        ("Sum\n\n$$\\sum_i x_i$$\n\nend", r"\sum_i x_i"),
    ],
)
def test_formulas_keep_their_tex(source: str, tex: str) -> None:
    page = html.unescape(to_html(source))
    assert tex in page
    assert "$" not in page
    assert re.search(r'class="math"', page)


@pytest.mark.parametrize(
    "source",
    [
        "it costs $5 and then $6 more",
        "set ``$HOME/$USER`` first",
        "    $ pip install x$\n\n>>> '$a_1$'",
        "from $A to $B",
    ],
)
def test_dollars_that_are_no_mathematics(source: str) -> None:
    assert 'class="math"' not in to_html(source)


def test_mathml_and_its_way_out() -> None:
    page = to_html(r"good :math:`\frac{1}{x}` and bad :math:`\nosuchmacro{x}`", math="mathml")
    assert "<mfrac>" in page
    assert r"\(\nosuchmacro{x}\)" in page  # what docutils cannot convert stays TeX
    assert "\\frac" not in page


@pytest.mark.parametrize(
    "source",
    [
        "unknown :foo:`~a.b` role and |sub| and ref_ and *star",
        ".. unheard:: of\n\n    some words\n",
        "====\nbad\n==\n\n  indented\nback",
        "+---+\n| a\n+---+",
        ".. versionadded:: 1.2\n    more words",
    ],
)
def test_docutils_never_speaks_in_the_page(source: str) -> None:
    page = to_html(source)
    for word in ("system-message", "problematic", "Unknown", "WARNING", "ERROR", "docstring:"):
        assert word not in page
    words = re.findall(r"[a-z]{3,}", source.replace("unheard", "").replace("versionadded", ""))
    assert [word for word in words if word not in page and word != "foo"] == []


def test_no_file_is_read_and_no_raw_html_passes(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("TREASURE")
    for directive in ("include", "literalinclude", "csv-table"):
        page = to_html(f"before\n\n.. {directive}:: {secret}\n    :file: {secret}\n\nafter")
        assert "TREASURE" not in page
    page = to_html("before\n\n.. raw:: html\n\n    <script>alert(1)</script>\n\n<b>after</b>")
    assert "<script>" not in page
    assert "&lt;b&gt;" in page


def test_text_that_docutils_fails_on_is_shown_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_module.docutils.core.Publisher, "publish", lambda self: {}["bug"])
    assert to_html("a < b") == "<pre>a &lt; b</pre>"


def fetch(web: DocsWeb, host: str, path: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{web.port}/{path}", headers={"Host": f"{host}:{web.port}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_server(geometry: list[str]) -> None:
    write_package(Path(geometry[0]), {"other_one/__init__.py": '"""Uses :func:`geometry.curves.circle`."""\n'})
    with DocsWeb(["geometry", "other_one"], path=geometry) as web:
        assert web.num_pages == {"geometry.localhost": 14, "other-one.localhost": 1}
        assert [Path(file).name for file in web.damaged] == ["broken.py"]
        assert web.start_urls[0] == f"http://geometry.localhost:{web.port}/index.html"
        status, page = fetch(web, "geometry.localhost", "curves/circle.html")
        assert status == 200
        assert r"\(\pi r^2\)" in page
        assert fetch(web, "geometry.localhost", "curves/circle.html")[1] == page  # whichever process answers
        assert (
            f'href="http://geometry.localhost:{web.port}/curves/circle.html"'
            in fetch(web, "other-one.localhost", "index.html")[1]
        )
        assert "Disallow: /_sources/" in fetch(web, "geometry.localhost", "robots.txt")[1]
        assert "Geometry of the plane." in fetch(web, "geometry.localhost", "_sources/index.html.txt")[1]
        assert fetch(web, "geometry.localhost", "nowhere.html")[0] == 404
        assert fetch(web, "elsewhere.example", "index.html")[0] == 404
        with (
            pytest.raises(MathwrightError, match=f"port {web.port} on 127.0.0.1 is in use"),
            DocsWeb(["geometry"], path=geometry, port=web.port),
        ):
            pass
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", web.port), timeout=2)


def test_missing_package_is_refused_before_anything_starts() -> None:
    with pytest.raises(MathwrightError, match="no_such_package is not installed"):
        DocsWeb(["email", "no_such_package"])


def test_servers_end_with_the_process_that_started_them() -> None:
    program = (
        "import time\nfrom mathwright.corpus.localweb import DocsWeb\n"
        "web = DocsWeb(['http']).__enter__()\nprint(web.port, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.05)
    pytest.fail("the server outlived its parent")
