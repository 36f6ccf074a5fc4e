"""URLs that a crawler must not follow for ever: calendars, sessions, facets, paths that deepen, pages that repeat.

Two lines of defence. Some URLs are refused at sight (`url_trap`). The others belong to a URL pattern (`url_pattern`),
and a pattern is closed when its pages turn out alike (`pattern_verdict`): a trap nobody has thought of looks like that
too.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from mathwright.corpus.urls import host_of_url

MAX_URL_CHARS = 1_000
MAX_SEGMENTS = 16
"""Path segments. In 40,000 links between real pages the deepest had 12."""
MAX_PARAMETERS = 6
"""Query parameters; forums and wikis use up to five."""
MAX_CALENDAR_URLS = 40
"""URLs of a pattern that holds dates in a calendar's address: a year of months and some."""
MAX_FACET_URLS = 60
"""URLs of one path and one set of two or more parameters at first; each page that is new there adds FACET_CREDIT."""
FACET_CREDIT = 4
MIN_ALIKE_PAGES = 8
ALIKE_SHARE = 0.6
"""A pattern is closed when at least this share of at least MIN_ALIKE_PAGES pages is near-identical to earlier ones."""
NEAR_BITS = 3
"""Fingerprints of 64 bits that differ in at most this many are near-identical (Manku et al. 2007 use 3)."""

_CALENDAR = re.compile(r"calendar|/cal/|[/?&](?:events?|agenda|schedule|day|week|month|year|date)[=/]", re.IGNORECASE)
_DATE = re.compile(r"(?<!\d)(\d{4})(?:[-/_]?\d{1,2}){0,2}(?!\d)|(?:year|yr)=(\d{1,5})", re.IGNORECASE)
_FIRST_YEAR = 1900
_TOKEN = re.compile(r"(?=[^/]*\d)(?=[^/]*[a-z])[0-9a-z]{16,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{13,}", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")
_RUN_OF_NUMBERS = re.compile(r"(?:/0)+(?=/|$)")
_WORD = re.compile(r"[^\W\d_]+")


def url_trap(url: str) -> str:
    """Why a canonical URL is refused at sight, or "": trap_long, _deep, _repeating, _facets or _calendar."""
    parts = urlsplit(url)
    segments = [segment for segment in parts.path.split("/") if segment]
    if len(url) > MAX_URL_CHARS:
        return "trap_long"
    if _repeats(segments):
        return "trap_repeating"
    if len(segments) > MAX_SEGMENTS:
        return "trap_deep"
    if parts.query.count("&") >= MAX_PARAMETERS:
        return "trap_facets"
    if is_calendar(url) and not _plausible_dates(f"{parts.path}?{parts.query}"):
        return "trap_calendar"
    return ""


def is_calendar(url: str) -> bool:
    """Whether the address speaks of days, months, events: a generator of pages without end."""
    parts = urlsplit(url)
    tail = f"{parts.path}?{parts.query}"
    return bool(_CALENDAR.search(tail)) and bool(_DIGITS.search(tail))


def _plausible_dates(tail: str) -> bool:
    years = [int(year or named) for year, named in _DATE.findall(tail)]
    return all(_FIRST_YEAR <= year <= datetime.now(UTC).year + 1 for year in years)


def _repeats(segments: list[str]) -> bool:
    """One segment three times, or a pair of segments twice in a row: `/a/b/a/b/`."""
    if any(segments.count(segment) > 2 and not segment.isdigit() for segment in set(segments)):
        return True
    return any(
        segments[i : i + 2] == segments[i + 2 : i + 4] and segments[i] != segments[i + 1]
        for i in range(len(segments) - 3)
    )


def url_pattern(url: str) -> str:
    """The family of a URL within its host: numbers and random tokens made alike, query values left out.

    `/questions/123/title` -> `/questions/0/*`, `/list?page=7&sort=up` -> `/list?page&sort`. Without a query the last
    segment is `*`: pages of one folder are one family.
    """
    parts = urlsplit(url)
    path = _DIGITS.sub("0", _TOKEN.sub("x", parts.path))
    path = _RUN_OF_NUMBERS.sub("/0", path)
    if parts.query:
        return f"{path}?{'&'.join(sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}))}"
    return path[: path.rfind("/") + 1] + "*"


@functools.lru_cache(maxsize=16)  # asked twice for a new URL
def pattern_name(url: str) -> str:
    """The pattern of a URL with its host."""
    return f"{host_of_url(url)} {url_pattern(url)}"


def url_limit(url: str, num_new_pages: int) -> tuple[int | None, str]:
    """How many URLs of this URL's pattern may be queued, and the reason the others are dropped for; None is no limit.

    num_new_pages: pages fetched under the pattern that were not like earlier ones.
    """
    if is_calendar(url):
        return MAX_CALENDAR_URLS, "trap_calendar"
    if urlsplit(url).query.count("&") >= 1:
        return MAX_FACET_URLS + FACET_CREDIT * num_new_pages, "trap_facets"
    return None, ""


def pattern_verdict(num_pages: int, num_alike: int) -> str:
    """ "trap_alike" where the pages of a pattern repeat each other, else ""."""
    return "trap_alike" if num_pages >= MIN_ALIKE_PAGES and num_alike >= ALIKE_SHARE * num_pages else ""


def fingerprint(text: str) -> int:
    """SimHash of 64 bits (Charikar 2002) over pairs of words; numbers do not count, so that page 7 is like page 8."""
    words = _WORD.findall(text.lower())[:2_000]
    if not words:
        return 0
    grams = {f"{a} {b}" for a, b in itertools.pairwise(words)} | set(words)
    digests = b"".join(hashlib.blake2b(gram.encode(), digest_size=8).digest() for gram in grams)
    bits = np.unpackbits(np.frombuffer(digests, dtype=np.uint8).reshape(-1, 8), axis=1)  # [grams, 64]
    majority = bits.sum(axis=0, dtype=np.int64) * 2 > len(grams)
    return int.from_bytes(np.packbits(majority).tobytes())


def is_alike(print_a: int, print_b: int) -> bool:
    return (print_a ^ print_b).bit_count() <= NEAR_BITS
