"""§2.1: what a focused crawl fetches first, and the reason it has for it.

Four signs say that an unseen page is mathematics: the classifier's score of the page that links to it, its score of the
link's own words (anchor text and the words of the URL), where links with these words have led so far, and the share of
mathematics among what was fetched under the same host and path. They are added as evidence in log odds:

    priority = sigmoid(W_PAGE z(page) + W_ANCHOR z(anchor) + W_WORDS words + W_SHARE logit(share))

so that weak signs add up and one strong sign can be outvoted. z(score) is the score's log odds as standard deviations
above the mean of this crawl: a classifier trained on pages may give all links of three words 0.45 plus or minus 0.02,
and it is the 0.02 that tells them apart. 0.5 is thus an average link of an average page to an unknown host.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

W_PAGE, W_ANCHOR, W_WORDS, W_SHARE = 0.5, 0.5, 1.0, 1.0
"""Found on the two webs of benchmarks/crawl_harvest.py; docs/quality.md has what others gave."""
CLIP = 0.02
"""fastText is sure of nearly everything; beyond this its probabilities say no more."""
PRIOR_PAGES = 2.0
"""How many pages' worth of evidence the level above is: START_SHARE for a host, a host for its folders."""
MAX_WORDS = 100_000
"""Words whose shares are kept, in memory."""
PRIOR_SCORES, PRIOR_SPREAD, MIN_SPREAD = 10.0, 1.0, 0.05
START_SHARE = 0.5
"""Share of mathematics expected before anything was fetched."""
RELEVANT = 0.5
"""Score from which a page counts as mathematics in reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchReason:
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
    words: float | None
    """What the words of the link add, in log odds, by where links with these words have led; None unscored."""
    priority: float

    def warc_fields(self) -> dict[str, str]:
        """Fields of the WARC metadata record; `via` and `hopsFromSeed` are the names other crawlers use."""
        named: dict[str, Any] = {
            "via": self.via, "hopsFromSeed": self.depth, "fetchOrder": self.order, "viaScore": self.via_score,
            "anchorText": self.anchor, "anchorScore": self.anchor_score, "hostShare": self.host_share,
            "pathShare": self.path_share, "linkWords": self.words, "priority": self.priority,
        }  # fmt: skip
        return {name: _shown(value) for name, value in named.items() if value not in (None, "")}


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())


def logit(probability: float) -> float:
    """Log odds, of probabilities clipped to CLIP and 1 - CLIP."""
    p = min(max(probability, CLIP), 1 - CLIP)
    return math.log(p / (1 - p))


@dataclass(slots=True)
class Scale:
    """Running mean and spread of log odds, by which one score is compared with those seen before (Welford 1962).

    Begins as if PRIOR_SCORES scores around 0.5 had been seen, so that the first ones are not taken for extremes.
    """

    num: float = PRIOR_SCORES
    mean: float = 0.0
    sum_squares: float = PRIOR_SCORES * PRIOR_SPREAD**2

    def add(self, score: float) -> None:
        self.num += 1
        step = logit(score) - self.mean
        self.mean += step / self.num
        self.sum_squares += step * (logit(score) - self.mean)

    def z(self, score: float | None) -> float:
        """Standard deviations above the mean; 0 for what is not known."""
        if score is None:
            return 0.0
        spread = math.sqrt(self.sum_squares / self.num)
        return (logit(score) - self.mean) / max(spread, MIN_SPREAD)


def relevance(page_z: float, anchor_z: float, words: float) -> float:
    """What is known of a link when it is found, in log odds."""
    return W_PAGE * page_z + W_ANCHOR * anchor_z + W_WORDS * words


class WordShares:
    """Where links led by their words: for each word the share of mathematics among the pages reached through it.

    The classifier has learnt from pages, which are full of formulas; a link "Correlation" is three times as good as
    "Careers" all the same, and this is learnt from what the crawl itself has fetched (Chakrabarti et al. 2002 call it
    an apprentice).
    """

    def __init__(self, rows: Iterable[tuple[str, int, int]] = ()) -> None:
        """`rows`: (word, links followed, of these to mathematics)."""
        self._counts = {word: (num, num_relevant) for word, num, num_relevant in rows}

    def learn(self, words: Collection[str], *, is_relevant: bool) -> list[tuple[str, int, int]]:
        """A link with these words was followed; returns the changed rows. After MAX_WORDS no new word is taken in."""
        changed = []
        for word in words:
            num, num_relevant = self._counts.get(word, (0, 0))
            if num or len(self._counts) < MAX_WORDS:
                self._counts[word] = (num + 1, num_relevant + is_relevant)
                changed.append((word, *self._counts[word]))
        return changed

    def evidence(self, words: Collection[str], base: float) -> float:
        """Log odds that these words add to the `base` share of the crawl: their sum over the root of their number.

        (The sum would take words that always come together for independent witnesses, the mean would let one telling
        word drown among dull ones.)
        """
        total, num_known = 0.0, 0
        for word in words:
            num, num_relevant = self._counts.get(word, (0, 0))
            if num:
                total += logit(expected_share(num_relevant, num, base)) - logit(base)
                num_known += 1
        return total / math.sqrt(num_known) if num_known else 0.0


def priority(relevance_log_odds: float, share: float) -> float:
    """The pooled probability, in (0, 1); see the head of this file."""
    return 1 / (1 + math.exp(-relevance_log_odds - W_SHARE * logit(share)))


def expected_share(num_relevant: float, num_fetched: float, prior: float) -> float:
    """Posterior mean of a share under a Beta prior worth PRIOR_PAGES pages with mean `prior`.

    Unknown hosts thus get the share of the crawl as a whole and are tried; a few bad pages move them down.
    """
    return (num_relevant + PRIOR_PAGES * prior) / (num_fetched + PRIOR_PAGES)
