"""What passes between `crawl` and the process that crawls: the job on its standard input, the report at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mathwright.corpus.crawl.scope import ScopeKind


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlJob:
    """A crawl: where from, where to, and how politely."""

    start_urls: tuple[str, ...]
    folder: str
    """For the archives and crawl.log."""
    max_pages: int
    max_pages_per_host: int
    delay_s: float
    requests_per_host: int
    user_agent: str
    concurrency: int
    """Requests under way over all hosts."""
    timeout_s: float
    """For one answer."""
    max_page_bytes: int
    max_archive_bytes: int
    use_proxy: bool
    num_workers: int
    """Processes that read pages."""
    focus: Focus | None
    """For order "score"; None for order "breadth"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """What a focused crawl needs in addition; the fields of `WebRecipe` of these names."""

    scope: ScopeKind
    rules: str
    classifier: str
    max_depth: int
    max_hosts: int
    max_bytes: int
    max_seconds: float
    patience: float
    nofollow: Literal["obey", "ignore"]
    noindex: Literal["store", "skip"]
    backoff_s: float
    identity: str
    """Fingerprint of what may not change between two calls for one folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlReport:
    """What a crawl saw: num_urls = num_pages + the sum of dropped."""

    num_urls: int
    """Distinct URLs seen, start URLs and links."""
    pages_by_host: Mapping[str, int]
    """HTML pages fetched, by host with its port."""
    dropped: Mapping[str, int]
    """URLs that gave no page, by reason: off_site, robots, budget, redirect, content_type, status_4xx, ..."""
    size_bytes: int
    """Bytes of HTML fetched, decompressed."""
    seconds: float
    archives: tuple[str, ...]
    num_relevant: int | None = None
    """Pages that the classifier takes for mathematics (order score with a classifier)."""

    @property
    def num_pages(self) -> int:
        return sum(self.pages_by_host.values())
