"""Harvest rate of the focused crawl: mathematical pages per page fetched, against breadth-first with the same budget.

    python benchmarks/crawl_harvest.py docs runs/harvest-docs --budget 1500
    python benchmarks/crawl_harvest.py archives runs/harvest-web --budget 600 \
        --archives 'web/pages-*.warc.gz' --labels web/labels.jsonl.gz

docs: the documentation of installed packages, a host each, found from a portal. The classifier learns from packages
that are not crawled; a page counts as mathematics when it belongs to a mathematical package.
archives: pages of the open web under their own names, served by a local proxy. The classifier learns from the pages of
half the hosts, the other half is crawled; a portal links to one page of each group of pages that link to each other.
A page counts as mathematics when its label says so.

Both crawls go through HTTP, Scrapy and the frontier on disk; one has a classifier, the other has none.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import hashlib
import html
import http.server
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from mathwright.corpus import classifier as classify
from mathwright.corpus.archive import read_pages
from mathwright.corpus.archive.listing import find_archives
from mathwright.corpus.crawl.page import read_page
from mathwright.corpus.crawl.run import crawl
from mathwright.corpus.extract import extract
from mathwright.corpus.localweb import DocsWeb
from mathwright.corpus.recipe import ClassifierRecipe, WebRecipe
from mathwright.corpus.urls import fetchable_url
from mathwright.records import Page

MATHEMATICAL = ("sympy", "scipy.stats", "scipy.signal", "scipy.optimize", "networkx", "torch.nn", "torch.distributions")
OTHER = (
    "asyncio", "scrapy", "twisted", "docutils", "rich", "pyarrow", "daft", "transformers.utils", "jinja2",
    "setuptools", "hypothesis",
)  # fmt: skip
TRAINING = {"mpmath": True, "numpy.linalg": True, "email": False, "http": False, "unittest": False, "logging": False}
CLASSIFIER = ClassifierRecipe(
    num_positives=2_000, num_negatives=2_000, dim=256, lr=0.1, word_ngrams=3, min_count=3, epochs=3, buckets=100_000
)
CRAWL = WebRecipe(
    kind="crawl", archives=(), packages=(), start_urls=(), max_pages=0, max_pages_per_host=100_000, delay_s=0.0,
    requests_per_host=4, user_agent="mathwright-benchmark (+https://example.org/local)", order="score", scope="any",
)  # fmt: skip
SHARES = (0.1, 0.25, 0.5, 1.0)


@contextmanager
def serving(pages: Mapping[str, bytes]) -> Iterator[int]:
    """Serve pages by URL (as a proxy) or by path, on a port of the loopback."""

    class Answer(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = pages.get(fetchable_url(self.path) if "://" in self.path else self.path)
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def portal(links: Iterable[tuple[str, str]]) -> bytes:
    return "\n".join(f'<p><a href="{html.escape(url)}">{html.escape(text)}</a></p>' for url, text in links).encode()


def train(texts: Iterable[tuple[str, bool]], folder: Path) -> str:
    by_side: dict[bool, list[str]] = {True: [], False: []}
    for text, is_math in texts:
        by_side[is_math].append(text)
    print(f"classifier: {len(by_side[True]):,} mathematical and {len(by_side[False]):,} other pages to learn from")
    classify.train(by_side[True], by_side[False], CLASSIFIER, work_folder=folder, seed=1).save(folder)
    return str(folder)


def text_of(page: Page) -> str:
    document = extract(page.html, page.url, charset=page.charset)
    return f"{document.title}\n{document.text}"


# --- the two crawls -----------------------------------------------------------------------------------


def compare(start: str, classifier: str, budget: int, out: Path, is_math: Callable[[str], bool], skip: str) -> None:
    """Crawl with and without the classifier; print both curves. Pages of host `skip`, the portal's, do not count."""
    curves = {}
    for name, folder in (("breadth-first", ""), ("focused", classifier)):
        recipe = dataclasses.replace(CRAWL, max_pages=budget, classifier=folder)
        report = crawl([start], out / name, recipe=recipe)
        lines = [json.loads(line) for line in (out / name / "grounds.jsonl").read_text(encoding="utf-8").splitlines()]
        pages = [line["url"] for line in lines if line["outcome"] == "page" and urlsplit(line["url"]).netloc != skip]
        curves[name] = [is_math(url) for url in pages]
        print(f"{name}: {report.num_pages:,} pages of {len(report.pages_by_host)} hosts in {report.seconds:.0f} s; "
              f"{report.num_relevant} mathematics to the classifier; dropped {dict(report.dropped)}")  # fmt: skip
    print("\n| mathematical of the pages fetched | " + " | ".join(f"first {share:.0%}" for share in SHARES) + " |")
    print("|---|" + "---|" * len(SHARES))
    for name, found in curves.items():
        cells = [found[: round(share * len(found))] for share in SHARES]
        print(f"| {name} | " + " | ".join(f"{sum(c) / max(1, len(c)):.3f} ({sum(c)})" for c in cells) + " |")


def docs(out: Path, budget: int) -> None:
    hosts = tuple(TRAINING)
    with DocsWeb(hosts) as web:
        recipe = dataclasses.replace(CRAWL, order="breadth", max_pages=3_000, max_pages_per_host=600)
        report = crawl(web.start_urls, out / "training", recipe=recipe)
    pages = (p for path in report.archives for p in read_pages(Path(path)) if isinstance(p, Page))
    math_hosts = {name.partition(".")[0] for name, is_math in TRAINING.items() if is_math}
    classifier = train(
        ((text_of(p), package_of(p.url) in math_hosts) for p in pages if not p.url.endswith("/robots.txt")),
        out / "classifier",
    )
    mathematical = {name.partition(".")[0] for name in MATHEMATICAL}
    with DocsWeb((*MATHEMATICAL, *OTHER)) as web:
        names = sorted((package_of(url), url) for url in web.start_urls)
        with serving({"/": portal((url, name) for name, url in names)}) as port:
            print(f"{sum(web.num_pages.values()):,} pages of {len(names)} packages")
            host = f"portal.localhost:{port}"
            compare(f"http://{host}/", classifier, budget, out, lambda url: package_of(url) in mathematical, host)


def package_of(url: str) -> str:
    return (urlsplit(url).hostname or "").partition(".")[0]


def archives(out: Path, budget: int, pattern: str, labels_path: Path) -> None:
    with gzip.open(labels_path, "rt", encoding="utf-8") as file:
        kinds = {plain(row["url"]): row["kind"] for row in map(json.loads, file)}
    pages: dict[str, Page] = {}
    for path in find_archives([pattern]):
        for item in read_pages(path):
            if isinstance(item, Page):
                pages.setdefault(plain(item.url), item)
    training = {url: page for url, page in pages.items() if half(url) == 0}
    classifier = train(
        ((text_of(page), kinds[url] == "math") for url, page in training.items()
         if kinds.get(url) in ("math", "nonmath")),
        out / "classifier",
    )  # fmt: skip
    crawled = {url: page for url, page in pages.items() if half(url) == 1}
    entries = sorted(min(group, key=lambda url: (len(url), url)) for group in groups(crawled))
    titles = {url: extract(crawled[url].html, url, charset=crawled[url].charset).title for url in entries}
    served = {url: page.html.replace(b"https://", b"http://") for url, page in crawled.items()}
    start = "http://portal.example/"
    served[start] = portal((url, titles[url] or url) for url in entries)
    num_math = sum(kinds.get(url) == "math" for url in crawled)
    print(f"{len(crawled):,} pages, {num_math} mathematical, {len(entries):,} links on the portal")
    with serving(served) as port:
        os.environ["http_proxy"] = f"http://127.0.0.1:{port}"
        compare(start, classifier, budget, out, lambda url: kinds.get(plain(url)) == "math", "portal.example")


def plain(url: str) -> str:
    return fetchable_url(url).replace("https://", "http://")


def half(url: str) -> int:
    """0 or 1, the same for all pages of a host."""
    return hashlib.blake2b(urlsplit(url).netloc.encode()).digest()[0] % 2


def groups(pages: Mapping[str, Page]) -> list[Sequence[str]]:
    """Pages that links join, in either direction."""
    leader = {url: url for url in pages}

    def find(url: str) -> str:
        while leader[url] != url:
            leader[url] = url = leader[leader[url]]
        return url

    for url, page in pages.items():
        body = page.html.replace(b"https://", b"http://")
        for link in read_page(body, url, charset=page.charset, classifier=None).links:
            if link.url in leader:
                leader[find(url)] = find(link.url)
    found: dict[str, list[str]] = {}
    for url in pages:
        found.setdefault(find(url), []).append(url)
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("web", choices=("docs", "archives"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--budget", type=int, default=1_000, help="pages each crawl may fetch")
    parser.add_argument("--archives", default="", help="glob of WARC files")
    parser.add_argument("--labels", type=Path, help="JSON lines (gzip) with url and kind")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.web == "docs":
        docs(arguments.out, arguments.budget)
    elif not arguments.archives or arguments.labels is None:
        parser.error("archives needs --archives and --labels")
    else:
        archives(arguments.out, arguments.budget, arguments.archives, arguments.labels)


if __name__ == "__main__":
    main()
