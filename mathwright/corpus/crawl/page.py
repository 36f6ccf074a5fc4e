"""What a crawl reads from a page: its score, its links with their words, what it says of itself.

Runs in worker processes (`python -m mathwright.corpus.crawl.page`), so that neither extraction nor hostile HTML holds
up fetching; `crawl.readers` is the other end.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import resource
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

import lxml.etree

from mathwright.corpus.crawl.traps import fingerprint
from mathwright.corpus.extract.limits import MAX_HTML_BYTES, limit_tags
from mathwright.corpus.extract.page import decode, extract
from mathwright.corpus.urls import fetchable_url
from mathwright.records import to_json

if TYPE_CHECKING:
    from mathwright.corpus.classifier import Classifier

MAX_LINKS = 5_000
"""Links read from one page; the rest is counted in `PageReport.num_more_links`."""
MAX_ANCHOR_CHARS = 200
MAX_ANCHOR_PIECES = 100
"""Stretches of text between tags that are read of one link."""
MEMORY_BYTES = 4 * 2**30
"""Address space of a worker."""

_WORD = re.compile(r"[^\W\d_]{2,}")
_REFRESH = re.compile(r"^\s*+[\d.]*+\s*+[;,]\s*+(?:url\s*+=\s*+)?['\"]?\s*+([^'\">]+)", re.IGNORECASE)
_SCHEMES = ("#", "javascript:", "mailto:", "tel:", "data:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link of a page; of several to one address the one whose words score highest."""

    url: str
    """Canonical."""
    anchor: str
    score: float | None
    """Of the words of anchor and URL; None without a classifier or without words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReport:
    """What a page holds for the crawl."""

    score: float | None
    """The classifier's probability for the page's text; None without a classifier."""
    num_words: int
    links: list[Link] = field(default_factory=list)
    num_more_links: int = 0
    canonical: str = ""
    """Address that the page's rel=canonical gives, in canonical spelling."""
    nofollow: bool = False
    """A robots meta element asks not to follow the links."""
    noindex: bool = False
    fingerprint: int = 0
    """SimHash of the text; 0 for none."""
    content: str = ""
    """Hash of text and link addresses as written: pages that agree in it are one page under two names."""


def read_page(
    html: bytes, url: str, *, charset: str | None, classifier: Classifier | None, follow_all: bool = False
) -> PageReport:
    """Score a page and read its links.

    charset: what the HTTP header says. follow_all: links marked `nofollow` count too, and so do all links of a page
    that asks not to be followed.
    """
    document = extract(html, url, charset=charset)
    text = document.text
    facts = _read_markup(decode(html, charset), url, follow_all=follow_all)
    words = len(_WORD.findall(text))
    score = None
    if classifier is not None:
        score = float(classifier.score([f"{document.title}\n{text}"])[0])
    content = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16)
    content.update("\n".join(facts.written).encode("utf-8", "replace"))
    return PageReport(
        score=score,
        num_words=words,
        links=_scored(facts.links, classifier),
        num_more_links=facts.num_more,
        canonical=facts.canonical,
        nofollow=facts.nofollow,
        noindex=facts.noindex,
        fingerprint=fingerprint(text),
        content=content.hexdigest() if words or facts.written else "",
    )


def read_links(html: bytes, url: str, *, charset: str | None, follow_all: bool = False) -> PageReport:
    """The links of a page and what it says of itself, without its text."""
    facts = _read_markup(decode(html, charset), url, follow_all=follow_all)
    return PageReport(
        score=None,
        num_words=0,
        links=_scored(facts.links, None),
        num_more_links=facts.num_more,
        canonical=facts.canonical,
        nofollow=facts.nofollow,
        noindex=facts.noindex,
    )


@dataclass(slots=True)
class _Markup:
    links: dict[str, set[str]] = field(default_factory=dict)
    """Canonical URL -> anchor texts."""
    written: list[str] = field(default_factory=list)
    num_more: int = 0
    canonical: str = ""
    nofollow: bool = False
    noindex: bool = False


def _read_markup(source: str, url: str, *, follow_all: bool) -> _Markup:
    facts = _Markup()
    source, _, _ = limit_tags(source[:MAX_HTML_BYTES])
    parser = lxml.etree.HTMLParser(encoding="utf-8", recover=True, huge_tree=False, remove_comments=True)
    try:
        root = lxml.etree.fromstring(source.encode("utf-8", "replace"), parser)
    except lxml.etree.XMLSyntaxError:  # an empty page
        return facts
    if root is None:
        return facts
    base, canonical, refreshes = url, "", []
    for element in root.iter("base", "meta", "link"):
        name = (element.get("name") or "").lower()
        if element.tag == "base" and element.get("href") and base == url:
            base = _join(url, element.get("href")) or url
        elif element.tag == "meta" and name == "robots":
            content = (element.get("content") or "").lower()
            facts.nofollow |= "nofollow" in content or "none" in content
            facts.noindex |= "noindex" in content or "none" in content
        elif element.tag == "meta" and (element.get("http-equiv") or "").lower() == "refresh":
            match = _REFRESH.match(element.get("content") or "")
            refreshes += [match[1]] if match else []
        elif element.tag == "link" and "canonical" in (element.get("rel") or "").lower().split():
            canonical = canonical or element.get("href") or ""
    facts.canonical = fetchable_url(_join(base, canonical)) if canonical else ""
    if facts.nofollow and not follow_all:
        return facts
    for href, anchor in [*((target, "") for target in refreshes), *_anchors(root, follow_all=follow_all)]:
        target = fetchable_url(_join(base, href))
        if not target:
            continue
        if target not in facts.links and len(facts.links) >= MAX_LINKS:
            facts.num_more += 1
            continue
        facts.links.setdefault(target, set()).add(anchor)
        facts.written.append(href)
    return facts


def _anchors(root: Any, *, follow_all: bool) -> Iterator[tuple[str, str]]:
    """(address, text) of each link as written; the text of a picture is its alt."""
    for element in root.iter("a", "area"):
        href = (element.get("href") or "").strip()
        if not href or href.lower().startswith(_SCHEMES):
            continue
        if not follow_all and "nofollow" in (element.get("rel") or "").lower():
            continue
        # Elements that hold each other, and a million of them in one link, would be read again and again.
        text = " ".join("".join(itertools.islice(element.itertext(), MAX_ANCHOR_PIECES)).split())
        if not text:
            text = (
                element.get("title") or element.get("alt") or " ".join(i.get("alt") or "" for i in element.iter("img"))
            )
        yield href, " ".join(text.split())[:MAX_ANCHOR_CHARS]


def _join(base: str, href: str) -> str:
    try:
        return urljoin(base, href.strip())
    except ValueError:  # a bracket that opens no IPv6 address
        return ""


def link_words(anchor: str, url: str) -> str:
    """What the classifier reads of a link: anchor text and the words of path and query."""
    parts = urlsplit(url)
    return " ".join([anchor, *_WORD.findall(unquote(f"{parts.path} {parts.query}"))]).strip()


def _scored(links: dict[str, set[str]], classifier: Classifier | None) -> list[Link]:
    if classifier is None:
        return [Link(url=url, anchor=max(sorted(anchors), key=len), score=None) for url, anchors in links.items()]
    pairs = [(url, anchor) for url, anchors in links.items() for anchor in sorted(anchors)]
    texts = [link_words(anchor, url) for url, anchor in pairs]
    scores: list[float | None] = [None] * len(pairs)
    rows = [i for i, text in enumerate(texts) if _WORD.search(text)]
    for i, score in zip(rows, classifier.score([texts[i] for i in rows]), strict=True):
        scores[i] = float(score)
    best: dict[str, Link] = {}
    for (url, anchor), score in zip(pairs, scores, strict=True):
        known = best.get(url)
        if known is None or (score is not None and score > (known.score or 0.0)):
            best[url] = Link(url=url, anchor=anchor, score=score)
    return list(best.values())


# --- the worker ---------------------------------------------------------------------------------------


def from_json(values: Mapping[str, Any]) -> PageReport:
    """The report that `records.to_json` made plain values of; unchecked, for pages have thousands of links."""
    return PageReport(**{**values, "links": [Link(**link) for link in values["links"]]})


def serve(classifier_folder: str) -> None:
    """Answer jobs on stdin until it ends: a line of JSON with the length of the body, then the body."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    classifier = None
    if classifier_folder:
        from mathwright.corpus.classifier import Classifier

        classifier = Classifier.load(Path(classifier_folder))
    out = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints is no answer
    print("ready", file=out, flush=True)
    for line in _lines(sys.stdin.buffer):
        job = json.loads(line)
        html = sys.stdin.buffer.read(job["size"])
        url, charset, follow_all = job["url"], job["charset"], job["follow_all"]
        if job["links_only"]:
            report = read_links(html, url, charset=charset, follow_all=follow_all)
        else:
            report = read_page(html, url, charset=charset, classifier=classifier, follow_all=follow_all)
        print(json.dumps(to_json(report)), file=out, flush=True)


def _lines(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Lines one by one: iterating over a file reads ahead, into the body that follows."""
    while line := stream.readline():  # type: ignore[attr-defined]
        yield line


if __name__ == "__main__":
    serve(sys.argv[1])
