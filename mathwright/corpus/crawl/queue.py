"""The frontier of a focused crawl: which URL is fetched next, and what each answer changes.

Each event (a URL taken, an answer stored, a page read) is one transaction of the file that `store` keeps, so that a
crawl killed at any moment resumes where it was: what was in flight is fetched again, what had been written to an
archive is read from there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mathwright.corpus.crawl.hosts import Hosts, Pace
from mathwright.corpus.crawl.page import Link, PageReport, link_words
from mathwright.corpus.crawl.scope import Scope
from mathwright.corpus.crawl.score import (
    RELEVANT,
    START_SHARE,
    FetchReason,
    Scale,
    WordShares,
    expected_share,
    relevance,
)
from mathwright.corpus.crawl.store import State, Store
from mathwright.corpus.crawl.traps import is_alike, pattern_verdict, url_limit, url_trap
from mathwright.corpus.urls import fetchable_url, host_of_url, is_other_name

MAX_TRIES = 3
"""Requests for one URL that failed (429, 503, no answer)."""
MAX_LINK_WORDS = 24
REVISED_BY, MAX_REVISED = 0.3, 20
"""A URL that turns out to be worth less by this returns to the queue; at most so many a turn."""
MAX_REDIRECTS = 10

_REOPENED = ("depth", "trap_facets")
"""Reasons that another way to the URL, or more pages of its kind, can overrule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a crawl ends; 0 is no limit, but for the pages."""

    max_pages: int
    max_bytes: int = 0
    max_seconds: float = 0.0
    max_depth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A URL to fetch."""

    id: int
    host: int
    group: int
    fetch_reason: FetchReason

    @property
    def url(self) -> str:
        return self.fetch_reason.url

    @property
    def depth(self) -> int:
        return self.fetch_reason.depth


class Queue:
    """The frontier. Used by one process at a time and by one thread."""

    def __init__(
        self, path: Path, *, scope: Scope, pace: Pace, budget: Budget, identity: str, scored: bool, wait_s: float = 10
    ) -> None:
        """Open or make the file. `identity`: start URLs, scope, rules and classifier, as text. `scored`: a classifier
        scores pages and links; without one the order is breadth-first.

        Raises MathwrightError where the file belongs to a crawl of another identity or version, or a process still
        uses it after `wait_s` seconds.
        """
        self.store = store = Store(path, identity=identity, wait_s=wait_s)
        self.hosts = Hosts(store.db, pace)
        self.scope = scope
        self.budget = budget
        self._scored = scored
        self._started = time.monotonic()
        self._seconds_before = float(store.meta("seconds", 0.0))
        self.num_pages: int = store.meta("num_pages", 0)
        self.num_relevant: int = store.meta("num_relevant", 0)
        self.size_bytes: int = store.meta("size_bytes", 0)
        self._num_taken: int = store.meta("num_taken", 0)
        self._num_lines: int = store.meta("num_lines", 0)
        self.words = WordShares(store.words())
        self.page_scale = Scale(*json.loads(store.meta("page_scale", "[]")))
        self.link_scale = Scale(*json.loads(store.meta("link_scale", "[]")))
        for host in json.loads(store.meta("more_hosts", "[]")):
            scope.add_host(host)
        with store.transaction():
            self.hosts.none_waiting()
            for group, value in store.requeue_in_flight():
                self.hosts.raise_best(group, value)
            self.hosts.refresh_all()  # budgets may have been raised since

    def close(self) -> None:
        self._save_counts()
        self.store.close()

    def _save_counts(self) -> None:
        for key in ("num_pages", "num_relevant", "size_bytes", "seconds"):
            self.store.set_meta(key, getattr(self, key))
        self.store.set_meta("num_lines", self._num_lines)
        self.store.set_meta("page_scale", json.dumps(astuple(self.page_scale)))
        self.store.set_meta("link_scale", json.dumps(astuple(self.link_scale)))

    # --- what was seen ---

    def add_starts(self, urls: Sequence[str]) -> None:
        with self.store.transaction():
            self._add([Link(url=fetchable_url(url), anchor="", score=None) for url in urls], None, -1, None)

    def _add(self, links: Sequence[Link], via: int | None, depth: int, page_score: float | None) -> None:
        """Links of a page at `depth`."""
        refusals = self.scope.refusals([link.url for link in links])
        for link, refusal in zip(links, refusals, strict=True):
            self._add_link(link, refusal, via, depth + 1, page_score)

    def _add_link(
        self, link: Link, refusal: str, via: int | None, depth: int, page_score: float | None, redirects: int = 0
    ) -> None:
        """Queue a URL, or give one that is queued a better reason to be fetched."""
        known = self.store.find(link.url)
        if known is None and link.score is not None and not refusal:
            self.link_scale.add(link.score)
        value = -float(depth)  # without scores breadth-first
        if self._scored:
            value = self._relevance(page_score, link.score, self._evidence(link.anchor, link.url))
        if known is not None and known["state"] == State.QUEUED:
            if (value, -depth) <= (known["relevance"], -known["depth"]):
                return
            group = known["group"]
        elif known is not None and not (known["state"] == State.DROPPED and known["reason"] in _REOPENED):
            return
        else:
            refusal = refusal or self._limit(link.url, depth)
            group = None if refusal else self.hosts.group_of(host_of_url(link.url), urlsplit(link.url).path)
            if group is None:
                self.store.refuse(link.url, known, refusal or "host_budget")
                return
        self.store.enqueue(
            known, url=link.url, group=group, depth=depth, redirects=redirects, via=via, via_score=page_score,
            anchor=link.anchor, anchor_score=link.score, relevance=value,
        )  # fmt: skip
        self.hosts.raise_best(group, value)

    def _limit(self, url: str, depth: int) -> str:
        """Why a URL in scope is not queued, or ""."""
        if self.budget.max_depth and depth > self.budget.max_depth:
            return "depth"
        trap = url_trap(url)
        if trap:
            return trap
        num_urls, num_new, closed = self.store.pattern_of_url(url)
        limit, reason = url_limit(url, num_new)
        return closed or (reason if limit is not None and num_urls >= limit else "")

    def _relevance(self, page_score: float | None, anchor_score: float | None, words: float) -> float:
        return relevance(self.page_scale.z(page_score), self.link_scale.z(anchor_score), words)

    def _evidence(self, anchor: str, url: str) -> float:
        base = expected_share(self.num_relevant, self.num_pages, START_SHARE)
        return self.words.evidence(_words(anchor, url), base)

    # --- what is next ---

    def take(self, now: float) -> Task | None:
        """The best URL that may be requested now; None while hosts rest, answers are awaited, or the budget is used."""
        if self.num_pages + self.num_under_way >= self.budget.max_pages or self._is_used_up:
            return None
        num_revised = 0
        with self.store.transaction():
            while (turn := self.hosts.next_group(now)) is not None:
                group, host, priority = turn
                best = self.store.best_queued(group)
                if best is not None and not best["closed"]:
                    words = self._evidence(best["anchor"], best["url"]) if self._scored else None
                    value = best["relevance"]
                    if words is not None:
                        value = self._relevance(best["via_score"], best["anchor_score"], words)
                    if value >= best["relevance"] - REVISED_BY or num_revised == MAX_REVISED:
                        return self._send(best, host, group, priority, words, now)
                    # More is known of its words now than when it was found; another may be better.
                    num_revised += 1
                    self.store.set_relevance(best["id"], value)
                elif best is not None:
                    self.store.drop_queued(group, best["pattern"], best["closed"])
                self._update_best(group)
        return None

    def _send(self, best: Any, host: int, group: int, priority: float, words: float | None, now: float) -> Task:
        """Request a queued URL: `best` is its row, `words` what the words of its link say."""
        host_share, path_share = self.hosts.shares(group)
        self._num_taken += 1
        self.store.set_meta("num_taken", self._num_taken)
        reason = FetchReason(
            order=self._num_taken, url=best["url"], depth=best["depth"], via=best["via"] or "",
            via_score=best["via_score"], anchor=best["anchor"], anchor_score=best["anchor_score"],
            host_share=host_share, path_share=path_share, priority=priority, words=words,
        )  # fmt: skip
        self.store.send(best["id"], reason)
        self._update_best(group)
        self.hosts.sent(host, now)
        return Task(id=best["id"], host=host, group=group, fetch_reason=reason)

    def _update_best(self, group: int) -> None:
        self.hosts.set_best(group, self.store.best_relevance(group))

    @property
    def num_under_way(self) -> int:
        """URLs requested, or stored and not read yet."""
        return self.store.num_under_way

    @property
    def _is_used_up(self) -> bool:
        budget = self.budget
        return bool(
            (budget.max_bytes and self.size_bytes >= budget.max_bytes)
            or (budget.max_seconds and self.seconds >= budget.max_seconds)
        )

    @property
    def seconds(self) -> float:
        """Time spent on this crawl, earlier runs included."""
        return self._seconds_before + time.monotonic() - self._started

    @property
    def finished(self) -> bool:
        if self.num_under_way:
            return False
        return self.num_pages >= self.budget.max_pages or self._is_used_up or not self.hosts.has_queued

    def robots_known(self, host: str, crawl_delay_s: float, now: float) -> None:
        """The host's robots.txt was read."""
        with self.store.transaction():
            self.hosts.robots_known(host, crawl_delay_s, now)

    # --- what came back ---

    def archived(self, archive: str, size: int, task_id: int | None = None, offset: int = 0) -> None:
        """An exchange was written: its archive ends at `size` now. With a task, its page lies at `offset`."""
        with self.store.transaction():
            self.store.archived(archive, size, task_id, offset)

    def page(self, task: Task, report: PageReport, size_bytes: int) -> dict[str, Any]:
        """A page was fetched and read; returns its line of grounds.jsonl."""
        notes = [word for word, is_so in (("nofollow", report.nofollow), ("noindex", report.noindex)) if is_so]
        with self.store.transaction():
            self.num_pages += 1
            is_relevant = report.score is not None and report.score >= RELEVANT
            self.num_relevant += is_relevant
            self.size_bytes += size_bytes
            is_copy = bool(report.content) and not self.store.is_new_content(task.id, report.content)
            if is_copy:
                notes.append("copy")  # the same text and links under another address: they lead to nothing new
            self._count_alike(task.id, report.fingerprint, is_copy)
            self.hosts.answered(task.host, is_page=True)
            # Without a classifier nothing is known of a page, and shares stay where they began.
            if report.score is not None:
                self.page_scale.add(report.score)
                self._learn(task, is_relevant=is_relevant)
            self._set_done(task.id, State.PAGE, "", 200, report.score, notes)
            if report.canonical:
                self._note_canonical(task.url, report.canonical)
            if not is_copy:
                links = [*report.links, *self._canonical_link(task.url, report)]
                self._add(links, task.id, task.depth, report.score)
            self.hosts.refresh(task.host)
            self._save_counts()
        return self.store.line(task.id)

    def drop(self, task: Task, reason: str, status: int | None = None) -> dict[str, Any]:
        """The URL was answered, but not with a page; returns its line of grounds.jsonl."""
        with self.store.transaction():
            self.hosts.answered(task.host, is_page=False)
            if reason == "robots":
                self.hosts.not_sent(task.host)
            self._set_done(task.id, State.DROPPED, reason, status, None, [])
            self.hosts.refresh(task.host)
            self._save_counts()
        return self.store.line(task.id)

    def redirect(self, task: Task, target: str, status: int) -> dict[str, Any]:
        """The URL leads to another, which takes over its fetch reason; returns its line of grounds.jsonl."""
        with self.store.transaction():
            origin = self.store.origin(task.id)
            is_loop = origin["redirects"] >= MAX_REDIRECTS or target == task.url
            if target and not is_loop:
                if task.depth == 0 and origin["redirects"] == 0:  # a start URL may lead to its site's proper name
                    self._let_in(target)
                refusal = self.scope.refusals([target])[0]
                link = Link(url=target, anchor=origin["anchor"], score=origin["anchor_score"])
                self._add_link(link, refusal, origin["via"], task.depth, origin["via_score"], origin["redirects"] + 1)
        return self.drop(task, "redirect_loop" if is_loop else "redirect", status)

    def retry(
        self, task: Task, now: float, *, reason: str, status: int | None, retry_after_s: float
    ) -> dict[str, Any] | None:
        """The host did not serve the URL now: it rests, and the URL is tried again later, or dropped after MAX_TRIES.

        Returns the line of grounds.jsonl where it is dropped.
        """
        with self.store.transaction():
            closed = self.hosts.failed(task.host, now, retry_after_s)
            is_over = self.store.count_try(task.id) >= MAX_TRIES or bool(closed)
            if is_over:
                self._set_done(task.id, State.DROPPED, closed or reason, status, None, [])
            else:
                self.store.requeue(task.id)
            self._update_best(task.group)
            if closed:
                self.hosts.refresh(task.host)
        return self.store.line(task.id) if is_over else None

    def _set_done(
        self, number: int, state: State, reason: str, status: int | None, score: float | None, notes: list[str]
    ) -> None:
        self._num_lines += 1
        self.store.set_done(number, state, reason=reason, status=status, score=score, notes=notes, line=self._num_lines)

    def _learn(self, task: Task, *, is_relevant: bool) -> None:
        """What the fetched URL was says something about its host, its folder and the words of its link."""
        self.hosts.count(task.group, is_relevant=is_relevant)
        if task.depth > 0:
            words = _words(task.fetch_reason.anchor, task.url)
            self.store.save_words(self.words.learn(words, is_relevant=is_relevant))

    def _count_alike(self, number: int, fingerprint: int, is_copy: bool) -> None:
        pattern, known = self.store.fingerprints(number)
        alike = is_copy or any(is_alike(fingerprint, other) for other in known)
        num_pages, num_alike = self.store.count_page(pattern, known if alike else (*known, fingerprint), is_alike=alike)
        closed = pattern_verdict(num_pages, num_alike)
        if closed:
            self.store.close_pattern(pattern, closed)

    def _note_canonical(self, url: str, canonical: str) -> None:
        """The page's other name is not fetched too."""
        if canonical != url and is_other_name(url, canonical):
            known = self.store.find(canonical)
            if known is None:
                self.store.refuse(canonical, None, "canonical")
            elif known["state"] == State.QUEUED:
                self.store.drop(known["id"], "canonical")
                self._update_best(known["group"])

    def _canonical_link(self, url: str, report: PageReport) -> list[Link]:
        """A rel=canonical that may be another page is followed like a link."""
        if not report.canonical or report.canonical == url or is_other_name(url, report.canonical):
            return []
        return [Link(url=report.canonical, anchor="", score=None)]

    def _let_in(self, url: str) -> None:
        self.scope.add_host(url)
        more = [*json.loads(self.store.meta("more_hosts", "[]")), url]
        self.store.set_meta("more_hosts", json.dumps(more))

    # --- what others read ---

    def stored(self) -> Iterator[tuple[Task, str, int]]:
        """(task, archive, offset) of pages that were written and not read when the crawl was killed."""
        for row in self.store.stored():
            reason = FetchReason(
                order=row["fetch_order"], url=row["url"], depth=row["depth"], via="", via_score=row["via_score"],
                anchor="", anchor_score=None, host_share=0, path_share=0, words=None, priority=row["priority"],
            )  # fmt: skip
            self.hosts.waits(row["host"])
            task = Task(id=row["id"], host=row["host"], group=row["group"], fetch_reason=reason)
            yield task, row["archive"], row["offset"]

    def counts(self) -> dict[str, Any]:
        """num_urls, pages by host and what was dropped for which reason: num_urls = pages + the sum of dropped."""
        return {
            "num_urls": self.store.num_urls,
            "pages_by_host": self.store.pages_by_host(),
            "dropped": self.store.dropped(),
        }


def _words(anchor: str, url: str) -> tuple[str, ...]:
    """The first MAX_LINK_WORDS different words of a link, in order: sums over them are the same in every run."""
    return tuple(dict.fromkeys(link_words(anchor, url).lower().split()))[:MAX_LINK_WORDS]
