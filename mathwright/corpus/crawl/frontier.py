"""Which URL is fetched next: breadth-first, budgets spread evenly over hosts, the same choice in every run.

A host is crawled level by level: depth d + 1 is decided when all of depth d has been answered, and where the budget
does not reach, the URLs of smallest hash are taken, so that a site is sampled evenly and not by its alphabet. Nothing
here depends on the order in which answers arrive.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from mathwright.corpus.urls import fetchable_url, host_of_url, portless


@dataclass(slots=True)
class _Host:
    level: list[str] = field(default_factory=list)
    """URLs of the present depth not requested yet, smallest hash last."""
    next_level: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    """Requested and not answered."""
    num_pages: int = 0
    quota: int = 0
    depth: int = 0

    @property
    def wants_more(self) -> bool:
        return bool(self.level or self.next_level)


class Frontier:
    """URLs seen, budgets, and what became of each URL; every URL ends as a page or under one reason."""

    def __init__(self, start_urls: list[str], *, max_pages: int, max_pages_per_host: int) -> None:
        """Hosts of the start URLs are the only ones crawled."""
        self.dropped: Counter[str] = Counter()
        self.hosts: dict[str, _Host] = {}
        self._max_pages = max_pages
        self._max_pages_per_host = max_pages_per_host
        self._seen: set[bytes] = set()
        for url in start_urls:
            self.hosts.setdefault(host_of_url(fetchable_url(url)), _Host())
        for url in start_urls:
            self.add(fetchable_url(url))
        for host in self.hosts.values():
            host.level, host.next_level = _by_hash(host.next_level), set()
        self._grant()

    @property
    def num_urls(self) -> int:
        """Distinct URLs seen."""
        return len(self._seen)

    @property
    def num_pages(self) -> int:
        return sum(host.num_pages for host in self.hosts.values())

    def add(self, url: str, *, new_host: bool = False) -> None:
        """A fetchable URL, found on a page; `new_host` lets it bring its host into the crawl."""
        mark = hashlib.blake2b(url.encode(), digest_size=8).digest()
        if not url or mark in self._seen:
            return
        self._seen.add(mark)
        if new_host:
            self.hosts.setdefault(host_of_url(url), _Host())
        host = self.hosts.get(host_of_url(url))
        if host is None:
            self.dropped["off_site"] += 1
        else:
            host.next_level.add(url)

    def page(self, url: str) -> None:
        """The URL was answered with a page."""
        host = self.hosts[host_of_url(url)]
        host.waiting.remove(url)
        host.num_pages += 1

    def drop(self, url: str, reason: str) -> None:
        """The URL was answered, but not with a page."""
        self.hosts[host_of_url(url)].waiting.remove(url)
        self.dropped[reason] += 1

    def take(self) -> list[tuple[str, int]]:
        """(URL, depth) of what can be requested now; empty while answers are awaited or when all is done."""
        batch = [item for host in self.hosts.values() for item in self._take_from(host)]
        if not batch and not any(host.waiting for host in self.hosts.values()):
            self._grant()
            batch = [item for host in self.hosts.values() for item in self._take_from(host)]
        return batch

    def finish(self) -> None:
        """What was never requested is dropped for the budget; what was never answered, as interrupted."""
        for host in self.hosts.values():
            self.dropped["budget"] += len(host.level) + len(host.next_level)
            self.dropped["unanswered"] += len(host.waiting)
            host.level, host.next_level, host.waiting = [], set(), set()

    def _take_from(self, host: _Host) -> list[tuple[str, int]]:
        if host.waiting or host.num_pages >= host.quota:
            return []
        if not host.level and host.next_level:
            host.level, host.next_level = _by_hash(host.next_level), set()
            host.depth += 1
        batch = [host.level.pop() for _ in range(min(len(host.level), host.quota - host.num_pages))]
        host.waiting.update(batch)
        return [(url, host.depth) for url in batch]

    def _grant(self) -> None:
        """Divide the pages left among the hosts that could use them; called when all hosts stand still."""
        left = self._max_pages - self.num_pages
        hungry = [h for h in self.hosts.values() if h.wants_more and h.num_pages < self._max_pages_per_host]
        for index, host in enumerate(hungry):
            share = left // len(hungry) + (1 if index < left % len(hungry) else 0)
            host.quota = min(host.num_pages + share, self._max_pages_per_host)


def _by_hash(urls: set[str]) -> list[str]:
    """In falling order of a hash of path and query, which does not know the port that a local server got."""

    def key(url: str) -> tuple[bytes, str]:
        return hashlib.blake2b(portless(url).encode(), digest_size=8).digest(), url

    return sorted(urls, key=key, reverse=True)
