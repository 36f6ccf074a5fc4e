"""§2.1: which URLs a focused crawl may fetch at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

import numpy as np

from mathwright.corpus.rules.rules import Rule, matching
from mathwright.corpus.urls import fetchable_url, host_of_url, is_private, registered_domain

ScopeKind = Literal["host", "domain", "prefixes", "any"]

_GLOB_CHARACTER = re.compile(r"[*?\[]")


class Scope:
    """What a crawl admits, by the kinds of `WebRecipe.scope`; the start URLs themselves are always admitted."""

    def __init__(self, kind: ScopeKind, start_urls: Sequence[str], rules: Sequence[Rule] = ()) -> None:
        """`rules`: a `reject` keeps its URLs out whatever the kind; `accept` is what the kind "prefixes" admits."""
        self._kind = kind
        self._rules = list(rules)
        self._start = {fetchable_url(url) for url in start_urls}
        self._hosts = {host_of_url(url) for url in self._start}
        self._domains = {_domain(url) for url in self._start}
        self._private = any(is_private(urlsplit(url).hostname or "") for url in self._start)
        self._rejects = [rule for rule in rules if rule.decision == "reject"]

    def add_host(self, url: str) -> None:
        """Let the host of `url` in: a start URL was redirected to its site's proper name."""
        self._hosts.add(host_of_url(url))
        self._domains.add(_domain(url))

    def refusals(self, urls: Sequence[str]) -> list[str]:
        """For each fetchable URL "" where it is admitted, else the reason: off_site, rule, private_host."""
        reasons = [self._refusal(url) for url in urls]
        open_rows = [i for i, reason in enumerate(reasons) if not reason and urls[i] not in self._start]
        if self._rules and open_rows:
            for i, refusal in zip(open_rows, self._refused_by_rules([urls[i] for i in open_rows]), strict=True):
                reasons[i] = refusal
        return reasons

    def _refusal(self, url: str) -> str:
        host = host_of_url(url)
        if url in self._start:
            return ""
        if not self._private and is_private(urlsplit(url).hostname or ""):
            return "private_host"
        if self._kind == "host" and host not in self._hosts:
            return "off_site"
        if self._kind == "domain" and _domain(url) not in self._domains:
            return "off_site"
        return ""

    def _refused_by_rules(self, urls: Sequence[str]) -> list[str]:
        if self._kind == "prefixes":
            accepted = matching(urls, self._rules)
            return ["" if is_accepted else "off_site" for is_accepted in accepted]
        everything = Rule(glob="*", decision="accept", by="", why="")
        kept = matching(urls, [everything, *self._rejects]) if self._rejects else np.ones(len(urls), dtype=bool)
        return ["" if is_kept else "rule" for is_kept in kept]


def _domain(url: str) -> str:
    return registered_domain(urlsplit(url).hostname or "")


def start_urls_of(rules: Sequence[Rule]) -> list[str]:
    """Where a crawl of accepted prefixes can start: `mathoverflow.net/questions/*` -> `https://mathoverflow.net/questions/`.

    Globs whose host is itself a pattern name no place to start at and give none.
    """
    found: dict[str, None] = {}
    for rule in rules:
        head = _GLOB_CHARACTER.split(rule.glob, maxsplit=1)[0]
        host, slash, path = head.partition("/")
        if rule.decision == "accept" and slash and host:
            found[f"https://{host}/{path if rule.glob == head else path[: path.rfind('/') + 1]}"] = None
    return list(found)
