"""§2.1: the pages of which it is taken as known that they are mathematics, and how they grow."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mathwright.corpus.rules.coverage import counted
from mathwright.corpus.rules.domains import domain
from mathwright.corpus.rules.rules import Rule, matching, rejected
from mathwright.errors import MathwrightError

FEW_PAGES = 20
"""Of fewer seed pages, rankings were seen to follow the look (three pages drew in any short index page)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """The first seed."""

    pages: np.ndarray
    """[N] bool."""
    warnings: list[str]
    """What in it looks like a mistake, for people."""


def match_seed(urls: Sequence[str], globs: Sequence[str], rules: Sequence[Rule]) -> Seed:
    """The first seed: pages whose URL matches a glob of the recipe, or that rules made by people accept, without those
    they reject.

    It warns of a glob that matches no page, and of a seed that can only teach to know itself again. Raises
    MathwrightError where there is no page in it, or no other.
    """
    matched = matching(urls, rules)
    warnings: list[str] = []
    for glob in dict.fromkeys(globs):
        by_glob = _matched(urls, glob)
        if not by_glob.any():
            warnings.append(f"no page matches {glob} of corpus.seed_urls; globs are over whole URLs")
        matched |= by_glob
    pages = matched & ~rejected(urls, rules)
    _require_some_and_not_all(urls, globs, matched, pages)
    return Seed(pages=pages, warnings=[*warnings, *_warnings_of_size(urls, pages)])


def _matched(urls: Sequence[str], glob: str) -> np.ndarray:
    match = re.compile(fnmatch.translate(glob)).match
    return np.fromiter((match(url) is not None for url in urls), dtype=bool, count=len(urls))


def _require_some_and_not_all(
    urls: Sequence[str], globs: Sequence[str], matched: np.ndarray, pages: np.ndarray
) -> None:
    sought = ", ".join(globs) or "no globs"
    if matched.any() and not pages.any():
        raise MathwrightError(
            f"rules reject all {matched.sum()} pages that match the seed ({sought})",
            hint="look at the rules that reject, with mathwright corpus annotate or in the rules file",
        )
    if not pages.any():
        raise MathwrightError(
            f"no page of {len(urls)} matches the seed ({sought})",
            hint="corpus.seed_urls are globs over whole URLs, such as *//mathoverflow.net/*"
            + (f"; one page is {urls[0]}" if urls else "; there are no pages at all"),
        )
    if pages.all():
        raise MathwrightError(
            f"the seed matches all {len(urls)} pages: none are left as negatives",
            hint="narrow corpus.seed_urls, or add pages that are not mathematics",
        )


def _warnings_of_size(urls: Sequence[str], pages: np.ndarray) -> list[str]:
    rows = np.flatnonzero(pages)
    hosts = {domain(urls[i]) for i in rows.tolist()}
    if len(rows) >= FEW_PAGES and len(hosts) > 1:
        return []
    return [
        f"the seed is {counted(len(rows), 'page')} of {counted(len(hosts), 'host')}: the classifier may learn these "
        "pages rather than their subject; match more with corpus.seed_urls"
    ]


def grow_seed(urls: Sequence[str], seed_pages: np.ndarray, collected: np.ndarray, rules: Sequence[Rule]) -> np.ndarray:
    """The seed of the next iteration [N]: this one's, with the uncollected pages that the rules accept, without what
    they reject. seed_pages, collected [N] bool."""
    return (seed_pages | (matching(urls, rules) & ~collected)) & ~rejected(urls, rules)
