"""§2.1: what a focused crawl fetches first, and the ground it has for it.

Three signs say that an unseen page is mathematics: the classifier's score of the page that links to it, the score of
the link's own words (anchor text and the words of the URL), and the share of mathematics among what was fetched so far
under the same host and path. They are pooled in log odds:

    priority = sigmoid(W_PAGE logit(page) + W_ANCHOR logit(anchor) + W_SHARE logit(share))

so that three weak signs add up and one strong sign can be outvoted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

W_PAGE, W_ANCHOR, W_SHARE = 0.3, 0.5, 1.0
"""Found on the two webs of benchmarks/crawl_harvest.py; docs/crawling.md has what others gave."""
CLIP = 0.02
"""fastText is sure of nearly everything; beyond this its probabilities say no more."""
PRIOR_PAGES = 2.0
"""How many pages' worth of evidence the level above is: START_SHARE for a host, a host for its folders."""
START_SHARE = 0.5
"""Share of mathematics expected before anything was fetched."""
RELEVANT = 0.5
"""Score from which a page counts as mathematics in reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Why a URL was fetched."""

    order: int
    """1 for the first URL fetched, and on."""
    url: str
    depth: int
    """Links from a start URL."""
    via: str
    """The linking page; "" for a start URL."""
    via_score: float | None
    """The classifier's probability that the linking page is mathematics."""
    anchor: str
    """Text of the link."""
    anchor_score: float | None
    """The classifier's probability for the words of link and URL; None where there are none."""
    host_share: float
    """Expected share of mathematics on the host, from what was fetched of it before."""
    path_share: float
    """The same of the URL's folder."""
    priority: float

    def warc_fields(self) -> dict[str, str]:
        """Fields of the WARC metadata record; `via` and `hopsFromSeed` are the names other crawlers use."""
        named: dict[str, Any] = {
            "via": self.via, "hopsFromSeed": self.depth, "fetchOrder": self.order, "viaScore": self.via_score,
            "anchorText": self.anchor, "anchorScore": self.anchor_score, "hostShare": self.host_share,
            "pathShare": self.path_share, "priority": self.priority,
        }  # fmt: skip
        return {name: _shown(value) for name, value in named.items() if value not in (None, "")}


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())


def logit(probability: float) -> float:
    """Log odds, of probabilities clipped to CLIP and 1 - CLIP."""
    p = min(max(probability, CLIP), 1 - CLIP)
    return math.log(p / (1 - p))


def relevance(page_score: float | None, anchor_score: float | None) -> float:
    """What is known of a link when it is found, in log odds; an unknown sign counts nothing."""
    total = 0.0
    for weight, score in ((W_PAGE, page_score), (W_ANCHOR, anchor_score)):
        total += weight * logit(score) if score is not None else 0.0
    return total


def priority(relevance_log_odds: float, share: float) -> float:
    """The pooled probability, in (0, 1); see the head of this file."""
    return 1 / (1 + math.exp(-relevance_log_odds - W_SHARE * logit(share)))


def expected_share(sum_scores: float, num_fetched: float, prior: float) -> float:
    """Posterior mean of a share under a Beta prior worth PRIOR_PAGES pages with mean `prior`.

    Unknown hosts thus get the share of the crawl as a whole and are tried; a few bad pages move them down.
    """
    return (sum_scores + PRIOR_PAGES * prior) / (num_fetched + PRIOR_PAGES)
