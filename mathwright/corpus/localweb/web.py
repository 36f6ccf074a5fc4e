"""Start and stop the small web."""

from __future__ import annotations

import errno
import importlib.util
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from mathwright.children import LineWorker, run_module
from mathwright.corpus.localweb.source import host_of, package_location
from mathwright.errors import MathwrightError

MATHML_PACKAGES = frozenset({"networkx", "numpy", "mpmath"})
"""Packages whose formulas are written in MathML unless the caller says otherwise; both kinds occur on the web."""

MAX_PAGES = 3000
"""Pages of one package, the nearest to its root: transformers and sympy have more, whose files take seconds to read."""


class DocsWeb:
    """The documentation of installed packages as a web on the loopback, each as a host, while the context lasts.

    with DocsWeb(["sympy", "asyncio"]) as web:
        crawl(web.start_urls, ...)  # http://sympy.localhost:PORT/index.html, ...
    """

    def __init__(
        self,
        packages: Sequence[str],
        *,
        math: Mapping[str, Literal["mathjax", "mathml"]] | None = None,
        port: int = 0,
        path: Sequence[str] | None = None,
        max_pages: int | None = MAX_PAGES,
        num_workers: int = 2,
    ) -> None:
        """`packages` are import names, or dotted names for parts of a package alone (`scipy.special`).

        `math` says how a package's formulas are written; `port` 0 takes a free one (page addresses hold the port);
        `path` replaces sys.path; `max_pages` limits the pages of each package. Raises MathwrightError for a package
        that is not installed.
        """
        if importlib.util.find_spec("docutils") is None:
            raise MathwrightError("docutils is not installed", hint="pip install 'mathwright[corpus]'")
        if not packages:
            raise MathwrightError("no packages to serve", hint="name some in corpus.web.packages")
        self.packages = tuple(dict.fromkeys(name.partition(".")[0] for name in packages))
        self.num_pages: dict[str, int] = {}
        """Pages by host, known once the web is up."""
        self.damaged: dict[str, str] = {}
        """Source files that could not be read, with the reason."""
        self.port = port
        chosen = dict(math or {})
        self._math = {p: chosen.get(p, "mathml" if p in MATHML_PACKAGES else "mathjax") for p in self.packages}
        self._only = {p: [n for n in packages if n.startswith(f"{p}.")] for p in self.packages if p not in packages}
        self._path = list(path) if path is not None else None
        self._max_pages = max_pages
        self._num_workers = min(num_workers, len(self.packages))
        self._sizes = {package: _size(*package_location(package, self._path)) for package in self.packages}
        self._workers: list[LineWorker] = []

    @property
    def start_urls(self) -> tuple[str, ...]:
        """The first page of each host."""
        return tuple(f"http://{host_of(package)}:{self.port}/index.html" for package in self.packages)

    def __enter__(self) -> DocsWeb:
        listening = _listen(self.port)
        self.port = listening.getsockname()[1]
        try:
            with tempfile.TemporaryDirectory(prefix="mathwright-docs-") as folder, listening:
                self._start(listening, folder)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end_input()
        for worker in self._workers:
            worker.close(wait_s=3)
        self._workers = []

    def _start(self, listening: socket.socket, folder: str) -> None:
        for share in self._shares():
            worker = LineWorker(
                "a documentation server",
                run_module("mathwright.corpus.localweb.worker"),
                pass_fds=[listening.fileno()],
            )
            self._workers.append(worker)
            worker.tell({
                "mine": share, "only": self._only, "math": self._math, "path": self._path, "max_pages": self._max_pages,
                "folder": folder, "port": self.port, "listening": listening.fileno(),
            })  # fmt: skip
        for worker, share in zip(self._workers, self._shares(), strict=True):
            for _ in share:
                built = worker.hear()
                self.num_pages[host_of(built["package"])] = built["num_pages"]
                self.damaged.update(built["damaged"])
        self.num_pages = {host_of(package): self.num_pages[host_of(package)] for package in self.packages}
        for worker in self._workers:
            worker.tell({"serve": True})
        for worker in self._workers:
            worker.hear()

    def _shares(self) -> list[list[str]]:
        """The packages dealt to the workers, the largest first to whoever has least."""
        shares: list[list[str]] = [[] for _ in range(self._num_workers)]
        for package in sorted(self.packages, key=lambda package: -self._sizes[package]):
            min(shares, key=lambda share: sum(self._sizes[p] for p in share)).append(package)
        return shares


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        listening.close()
        reason = "is in use" if getattr(error, "errno", None) == errno.EADDRINUSE else f"cannot be opened: {error}"
        raise MathwrightError(f"port {port} on 127.0.0.1 {reason}", hint="choose another port, or 0 for any") from error
    listening.listen(128)
    return listening


def _size(location: Path, is_folder: bool) -> int:
    """Bytes of Python source: what reading a package costs."""
    files = location.rglob("*.py") if is_folder else (location,)
    return sum(file.stat().st_size for file in files)
