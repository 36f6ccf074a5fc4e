"""§2.1: domains that are mathematical, and the URL path prefixes in them that could be.

The paper: a domain is the set of pages that share a base URL; one of whose pages more than 10% were collected is
mathematical. Here the base URL is the host, without a leading `www.` and without the port.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Collected pages among all pages of a domain or of a URL prefix."""

    name: str
    """A host, or a host with a path prefix that ends in `/`."""
    num_pages: int
    num_collected: int

    @property
    def share(self) -> float:
        return self.num_collected / self.num_pages

    @property
    def interval(self) -> tuple[float, float]:
        """95% Wilson score interval of the share: honest for domains with few pages."""
        return wilson(self.num_collected, self.num_pages)


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a proportion; (0, 1) for no trials."""
    if trials == 0:
        return 0.0, 1.0
    p, spread = successes / trials, z * z / trials
    centre = (p + spread / 2) / (1 + spread)
    half = z * math.sqrt(p * (1 - p) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def address(url: str) -> str:
    """Host and path of a URL, as domains and rules see it: no scheme, `www.`, port, query or fragment.

    An unparsable URL has no host.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:  # such as an unclosed [ of an IPv6 address
        return "/"
    return host.removeprefix("www.") + (parts.path or "/")


def domain(url: str) -> str:
    """Host of a URL as `address` gives it."""
    return address(url).partition("/")[0]


def domain_table(urls: Sequence[str], collected: np.ndarray) -> list[Share]:
    """All domains, by collected pages, then by share, then by name."""
    pages = Counter(domain(url) for url in urls)
    taken = Counter(domain(url) for url, is_collected in zip(urls, collected, strict=True) if is_collected)
    table = [Share(name=name, num_pages=num, num_collected=taken[name]) for name, num in pages.items()]
    return sorted(table, key=lambda row: (-row.num_collected, -row.share, row.name))


def is_mathematical(row: Share, *, min_share: float, min_pages: int) -> bool:
    """The paper's rule: more than `min_share` (10%) collected; domains under `min_pages` are too small to tell."""
    return row.num_pages >= min_pages and row.share > min_share


def prefix_children(urls: Sequence[str], collected: np.ndarray, prefix: str) -> list[Share]:
    """The prefixes one path segment below `prefix` (`host/` or `host/a/`) with their counts, by name.

    Pages that lie directly in `prefix` (no further slash) belong to no child.
    """
    pages: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for url, is_collected in zip(urls, collected, strict=True):
        for child in _child(address(url), prefix):
            pages[child] += 1
            taken[child] += bool(is_collected)
    return [Share(name=name, num_pages=num, num_collected=taken[name]) for name, num in sorted(pages.items())]


def _child(page: str, prefix: str) -> Iterator[str]:
    if page.startswith(prefix):
        segment, slash, _ = page[len(prefix) :].partition("/")
        if slash:
            yield f"{prefix}{segment}/"
