"""§2.1: domains that are mathematical.

The paper: a domain is the set of pages that share a base URL; one of whose pages more than 10% were collected is
mathematical. The base URL is the host, without a leading `www.` and without the port, or by option the registered
domain, which joins the hosts of one owner (`en.wikipedia.org`, `de.wikipedia.org`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mathwright.corpus.urls import address, registered_domain
from mathwright.stats import Interval, wilson_interval

DomainUnit = Literal["host", "registered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Collected pages among all pages of a domain or of a URL prefix."""

    name: str
    """A domain, or a host with a path prefix that ends in `/`."""
    num_pages: int
    num_collected: int

    @property
    def share(self) -> float:
        return self.num_collected / self.num_pages

    @property
    def interval(self) -> Interval:
        """95% Wilson score interval of the share: honest for domains with few pages."""
        return wilson_interval(self.num_collected, self.num_pages)


def domain(url: str, unit: DomainUnit = "host") -> str:
    """Host of a URL as `address` gives it, or the registered domain of that host."""
    host = address(url).partition("/")[0]
    return host if unit == "host" else registered_domain(host)


def domain_table(urls: Sequence[str], collected: np.ndarray, unit: DomainUnit = "host") -> list[Share]:
    """All domains, by collected pages, then by share, then by name."""
    pages: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for url, is_collected in zip(urls, collected.tolist(), strict=True):
        name = domain(url, unit)
        pages[name] += 1
        if is_collected:
            taken[name] += 1
    table = [Share(name=name, num_pages=num, num_collected=taken[name]) for name, num in pages.items()]
    return sorted(table, key=lambda row: (-row.num_collected, -row.share, row.name))


def is_mathematical(row: Share, *, min_share: float, min_pages: int) -> bool:
    """The paper's rule: more than `min_share` (10%) collected; domains under `min_pages` are too small to tell."""
    return row.num_pages >= min_pages and row.share > min_share
