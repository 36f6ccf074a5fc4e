"""The frontier of a focused crawl: every URL seen, on disk, and which of them is fetched next.

One SQLite file. Each event (a URL taken, an answer stored, a page read) is one transaction, so that a crawl killed at
any moment goes on where it was: what was in flight is fetched again, what had been written to an archive is read from
there. Memory does not grow with the number of URLs.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import sqlite3
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mathwright.corpus.crawl.hosts import SCHEMA as HOSTS_SCHEMA
from mathwright.corpus.crawl.hosts import Hosts, Pace
from mathwright.corpus.crawl.page import Link, PageReport, link_words
from mathwright.corpus.crawl.scope import Scope
from mathwright.corpus.crawl.score import RELEVANT, START_SHARE, Ground, Scale, WordShares, expected_share, relevance
from mathwright.corpus.crawl.traps import is_alike, pattern_verdict, url_limit, url_pattern, url_trap
from mathwright.corpus.urls import fetchable_url, host_of_url, portless
from mathwright.errors import MathwrightError

VERSION = 1
"""Of the tables; a frontier of another version is refused."""
CACHE_KIB = 16_384
MAX_TRIES = 3
"""Requests for one URL that failed (429, 503, no answer)."""
MAX_LINK_WORDS = 24
REVISED_BY, MAX_REVISED = 0.3, 20
"""A URL that turns out to be worth less by this goes back into the queue; so many a turn at most."""
MAX_REDIRECTS = 10
PRINTS_KEPT = 32
"""Fingerprints of a pattern's last pages that a new one is compared with."""

QUEUED, IN_FLIGHT, STORED, PAGE, DROPPED = range(5)
_REOPENED = ("depth", "trap_facets")
"""Reasons that another way to the URL, or more pages of its kind, can overrule."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS urls (
    id INTEGER PRIMARY KEY, mark INTEGER UNIQUE, url TEXT, grp INTEGER, pattern INTEGER, state INTEGER,
    reason TEXT DEFAULT '', depth INTEGER, redirects INTEGER DEFAULT 0, tries INTEGER DEFAULT 0, tie INTEGER,
    via INTEGER, via_score REAL, anchor TEXT DEFAULT '', anchor_score REAL, relevance REAL,
    fetch_order INTEGER, host_share REAL, path_share REAL, priority REAL, words REAL,
    archive TEXT, offset INTEGER, status INTEGER, score REAL, notes TEXT DEFAULT '', line INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS urls_queued ON urls (grp, relevance DESC, depth, tie) WHERE state = 0;
CREATE INDEX IF NOT EXISTS urls_under_way ON urls (state) WHERE state IN (1, 2);
CREATE INDEX IF NOT EXISTS urls_answered ON urls (line) WHERE line IS NOT NULL;
CREATE TABLE IF NOT EXISTS patterns (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE, num_urls INTEGER DEFAULT 0, num_pages INTEGER DEFAULT 0,
    num_alike INTEGER DEFAULT 0, closed TEXT DEFAULT '', prints BLOB DEFAULT x''
) STRICT;
CREATE TABLE IF NOT EXISTS contents (mark TEXT PRIMARY KEY, url INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY, num INTEGER, num_relevant INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS archives (name TEXT PRIMARY KEY, size INTEGER) STRICT;
"""


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
    ground: Ground


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
        self._lock = _locked(path.with_suffix(".lock"), wait_s)
        self._db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", f"cache_size = -{CACHE_KIB}"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA + HOSTS_SCHEMA)
        self._check_identity(path, identity)
        self.hosts = Hosts(self._db, pace)
        self.scope = scope
        self.budget = budget
        self._scored = scored
        self._started = time.monotonic()
        self._seconds_before = float(self._meta("seconds", 0.0))
        self.num_pages: int = self._meta("num_pages", 0)
        self.num_relevant: int = self._meta("num_relevant", 0)
        self.size_bytes: int = self._meta("size_bytes", 0)
        self._num_taken: int = self._meta("num_taken", 0)
        self._num_lines: int = self._meta("num_lines", 0)
        self.words = WordShares(self._db.execute("SELECT word, num, num_relevant FROM words"))
        self.page_scale = Scale(*json.loads(self._meta("page_scale", "[]")))
        self.link_scale = Scale(*json.loads(self._meta("link_scale", "[]")))
        for host in json.loads(self._meta("more_hosts", "[]")):
            scope.add_host(host)
        with self._transaction():
            self._db.execute("UPDATE hosts SET num_waiting = 0")
            for grp, value in self._db.execute(
                "UPDATE urls SET state = 0 WHERE state = 1 RETURNING grp, relevance"
            ).fetchall():
                self.hosts.raise_best(grp, value)
            # budgets may have been raised since
            for (host,) in self._db.execute("SELECT id FROM hosts").fetchall():
                self.hosts.refresh(host)

    def close(self) -> None:
        self._save_counts()
        self._db.close()
        self._lock.close()

    # --- what was seen ---

    def add_starts(self, urls: Sequence[str]) -> None:
        with self._transaction():
            self._add([Link(url=fetchable_url(url), anchor="", score=None) for url in urls], None, -1, None)

    def _add(self, links: Sequence[Link], via: int | None, depth: int, page_score: float | None) -> None:
        """Links of a page at `depth`."""
        refusals = self.scope.refusals([link.url for link in links])
        for link, refusal in zip(links, refusals, strict=True):
            self._add_link(link, refusal, via, depth + 1, page_score)

    def _add_link(
        self, link: Link, refusal: str, via: int | None, depth: int, page_score: float | None, redirects: int = 0
    ) -> None:
        """Queue a URL, or better the ground of one that is queued."""
        mark = _mark(link.url)
        known = self._db.execute(
            "SELECT id, state, reason, relevance, grp, depth FROM urls WHERE mark = ?", (mark,)
        ).fetchone()
        if known is None and link.score is not None and not refusal:
            self.link_scale.add(link.score)
        value = -float(depth)  # without scores breadth-first
        if self._scored:
            value = self._relevance(page_score, link.score, self._evidence(link.anchor, link.url))
        if known is not None and known[1] != QUEUED and not (known[1] == DROPPED and known[2] in _REOPENED):
            return
        if known is not None and known[1] == QUEUED:
            if (value, -depth) <= (known[3], -known[5]):
                return
            group = known[4]
        else:
            refusal = refusal or self._limit(link.url, depth)
            group = None if refusal else self.hosts.group_of(host_of_url(link.url), urlsplit(link.url).path)
            if group is None:
                self._refuse(mark, known, refusal or "host_budget")
                return
        ground = (QUEUED, "", group, link.url, depth, redirects, via, page_score, link.anchor, link.score, value)
        columns = "state, reason, grp, url, depth, redirects, via, via_score, anchor, anchor_score, relevance"
        if known is None:
            pattern = self._pattern(link.url)
            self._db.execute(
                f"INSERT INTO urls ({columns}, mark, pattern, tie) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (*ground, mark, pattern, _tie(link.url)),
            )
        else:
            pattern = self._pattern(link.url) if known[1] == DROPPED else None
            self._db.execute(
                f"UPDATE urls SET ({columns}) = (?,?,?,?,?,?,?,?,?,?,?), pattern = coalesce(?, pattern), "
                "tie = coalesce(tie, ?) WHERE id = ?",
                (*ground, pattern, _tie(link.url), known[0]),
            )
        self.hosts.raise_best(group, value)

    def _relevance(self, page_score: float | None, anchor_score: float | None, words: float) -> float:
        return relevance(self.page_scale.z(page_score), self.link_scale.z(anchor_score), words)

    def _evidence(self, anchor: str, url: str) -> float:
        base = expected_share(self.num_relevant, self.num_pages, START_SHARE)
        return self.words.evidence(_words(anchor, url), base)

    def _learn(self, task: Task, *, is_relevant: bool) -> None:
        """What the fetched URL was says something about its host, its folder and the words of its link."""
        self.hosts.count(task.group, is_relevant=is_relevant)
        if task.ground.depth > 0:
            rows = self.words.learn(_words(task.ground.anchor, task.ground.url), is_relevant=is_relevant)
            self._db.executemany("INSERT OR REPLACE INTO words VALUES (?, ?, ?)", rows)

    def _limit(self, url: str, depth: int) -> str:
        """Why a URL in scope is not queued, or ""."""
        if self.budget.max_depth and depth > self.budget.max_depth:
            return "depth"
        trap = url_trap(url)
        if trap:
            return trap
        name = _pattern_name(url)
        row = self._db.execute(
            "SELECT num_urls, num_pages - num_alike, closed FROM patterns WHERE name = ?", (name,)
        ).fetchone()
        num_urls, num_new, closed = row or (0, 0, "")
        limit, reason = url_limit(url, num_new)
        return closed or (reason if limit is not None and num_urls >= limit else "")

    def _pattern(self, url: str) -> int:
        name = _pattern_name(url)
        return self._db.execute(
            "INSERT INTO patterns (name, num_urls) VALUES (?, 1) "
            "ON CONFLICT (name) DO UPDATE SET num_urls = num_urls + 1 RETURNING id",
            (name,),
        ).fetchone()[0]

    def _refuse(self, mark: int, known: Any, reason: str) -> None:
        """Remember that a URL was seen, by its mark alone: what is out of scope may be most of the web."""
        if known is None:
            self._db.execute("INSERT INTO urls (mark, state, reason) VALUES (?, ?, ?)", (mark, DROPPED, reason))
        else:
            self._db.execute("UPDATE urls SET reason = ? WHERE id = ?", (reason, known[0]))

    # --- what is next ---

    def take(self, now: float) -> Task | None:
        """The best URL that may be requested now; None while hosts rest, answers are awaited, or the budget is used."""
        if self.num_pages + self.num_under_way >= self.budget.max_pages or self._is_used_up:
            return None
        num_revised = 0
        with self._transaction():
            while (best := self.hosts.next_group(now)) is not None:
                group, host, priority = best
                row = self._db.execute(
                    "SELECT u.id, u.url, u.depth, u.via_score, u.anchor, u.anchor_score, p.id, p.closed, "
                    "v.url, u.relevance FROM urls u LEFT JOIN patterns p ON p.id = u.pattern "
                    "LEFT JOIN urls v ON v.id = u.via "
                    "WHERE u.grp = ? AND u.state = 0 ORDER BY u.relevance DESC, u.depth, u.tie LIMIT 1",
                    (group,),
                ).fetchone()
                if row is None:
                    self._requeue_best(group)
                    continue
                number, url, depth, via_score, anchor, anchor_score, pattern, closed, via, old = row
                if closed:
                    self._db.execute(
                        "UPDATE urls SET state = ?, reason = ? WHERE grp = ? AND state = 0 AND pattern = ?",
                        (DROPPED, closed, group, pattern),
                    )
                    self._requeue_best(group)
                    continue
                words = self._evidence(anchor, url) if self._scored else None
                new = self._relevance(via_score, anchor_score, words or 0.0) if self._scored else old
                if new < old - REVISED_BY and num_revised < MAX_REVISED:
                    # More is known of its words now than when it was found; another may be better.
                    num_revised += 1
                    self._db.execute("UPDATE urls SET relevance = ? WHERE id = ?", (new, number))
                    self._requeue_best(group)
                    continue
                host_share, path_share = self.hosts.shares(group)
                self._num_taken += 1
                self._set_meta("num_taken", self._num_taken)
                ground = Ground(
                    order=self._num_taken, url=url, depth=depth, via=via or "", via_score=via_score, anchor=anchor,
                    anchor_score=anchor_score, host_share=host_share, path_share=path_share, priority=priority,
                    words=words,
                )  # fmt: skip
                self._db.execute(
                    "UPDATE urls SET state = ?, fetch_order = ?, host_share = ?, path_share = ?, priority = ?, "
                    "words = ? WHERE id = ?",
                    (IN_FLIGHT, ground.order, host_share, path_share, priority, words, number),
                )
                self._requeue_best(group)
                self.hosts.sent(host, now)
                return Task(id=number, host=host, group=group, ground=ground)
        return None

    def _requeue_best(self, group: int) -> None:
        row = self._db.execute(
            "SELECT relevance FROM urls WHERE grp = ? AND state = 0 ORDER BY relevance DESC, depth, tie LIMIT 1",
            (group,),
        ).fetchone()
        self.hosts.set_best(group, row[0] if row else None)

    @property
    def num_under_way(self) -> int:
        """URLs requested, or stored and not read yet."""
        return self._db.execute("SELECT count(*) FROM urls WHERE state IN (1, 2)").fetchone()[0]

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

    def meet(self, host: str, crawl_delay_s: float, now: float) -> None:
        """The host's robots.txt is known."""
        with self._transaction():
            self.hosts.met(host, crawl_delay_s, now)

    # --- what came back ---

    def archived(self, archive: str, size: int, task_id: int | None = None, offset: int = 0) -> None:
        """An exchange was written: its archive ends at `size` now. With a task, its page lies at `offset`."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO archives VALUES (?, ?)", (archive, size))
            if task_id is not None:
                self._db.execute(
                    "UPDATE urls SET state = ?, archive = ?, offset = ? WHERE id = ?",
                    (STORED, archive, offset, task_id),
                )

    def page(self, task: Task, report: PageReport, size_bytes: int) -> dict[str, Any]:
        """A page was fetched and read; returns its line of grounds."""
        notes = [word for word, is_so in (("nofollow", report.nofollow), ("noindex", report.noindex)) if is_so]
        with self._transaction():
            self.num_pages += 1
            is_relevant = report.score is not None and report.score >= RELEVANT
            self.num_relevant += is_relevant
            self.size_bytes += size_bytes
            is_copy = self._is_copy(task.id, report.content)
            if is_copy:
                notes.append("copy")  # the same text and links under another address: nothing new behind it
            self._count_alike(task.id, report.fingerprint, is_copy)
            self.hosts.answered(task.host, is_page=True)
            # Without a classifier nothing is known of a page, and shares stay where they began.
            if report.score is not None:
                self.page_scale.add(report.score)
                self._learn(task, is_relevant=is_relevant)
            self._set_done(task.id, PAGE, "", 200, report.score, notes)
            if report.canonical:
                self._note_canonical(task.ground.url, report.canonical)
            if not is_copy:
                links = [*report.links, *self._canonical_link(task.ground.url, report)]
                self._add(links, task.id, task.ground.depth, report.score)
            self.hosts.refresh(task.host)
            self._save_counts()
        return self.line(task.id)

    def drop(self, task: Task, reason: str, status: int | None = None) -> dict[str, Any]:
        """The URL was answered, but not with a page; returns its line of grounds."""
        with self._transaction():
            self.hosts.answered(task.host, is_page=False)
            if reason == "robots":
                self.hosts.not_sent(task.host)
            self._set_done(task.id, DROPPED, reason, status, None, [])
            self.hosts.refresh(task.host)
            self._save_counts()
        return self.line(task.id)

    def redirect(self, task: Task, target: str, status: int) -> dict[str, Any]:
        """The URL leads to another, which takes over its ground."""
        with self._transaction():
            row = self._db.execute(
                "SELECT via, via_score, anchor, anchor_score, redirects FROM urls WHERE id = ?", (task.id,)
            ).fetchone()
            via, via_score, anchor, anchor_score, redirects = row
            is_loop = redirects >= MAX_REDIRECTS or target == task.ground.url
            if target and not is_loop:
                if task.ground.depth == 0 and redirects == 0:  # a start URL may lead to its site's proper name
                    self._let_in(target)
                refusal = self.scope.refusals([target])[0]
                link = Link(url=target, anchor=anchor, score=anchor_score)
                self._add_link(link, refusal, via, task.ground.depth, via_score, redirects + 1)
        return self.drop(task, "redirect_loop" if is_loop else "redirect", status)

    def retry(
        self, task: Task, now: float, *, reason: str, status: int | None, retry_after_s: float
    ) -> dict[str, Any] | None:
        """The host did not serve the URL now: it rests, and the URL is tried again later, or dropped after MAX_TRIES.

        Returns the line of grounds where it is dropped.
        """
        with self._transaction():
            closed = self.hosts.failed(task.host, now, retry_after_s)
            (tries,) = self._db.execute(
                "UPDATE urls SET tries = tries + 1 WHERE id = ? RETURNING tries", (task.id,)
            ).fetchone()
            is_over = bool(closed) or tries >= MAX_TRIES
            if is_over:
                self._set_done(task.id, DROPPED, closed or reason, status, None, [])
            else:
                self._db.execute("UPDATE urls SET state = ? WHERE id = ?", (QUEUED, task.id))
            self._requeue_best(task.group)
            if closed:
                self.hosts.refresh(task.host)
        return self.line(task.id) if is_over else None

    def _set_done(
        self, number: int, state: int, reason: str, status: int | None, score: float | None, notes: list[str]
    ) -> None:
        self._num_lines += 1
        self._db.execute(
            "UPDATE urls SET state = ?, reason = ?, status = ?, score = ?, notes = ?, line = ? WHERE id = ?",
            (state, reason, status, score, " ".join(notes), self._num_lines, number),
        )

    def _is_copy(self, number: int, content: str) -> bool:
        if not content:
            return False
        row = self._db.execute(
            "INSERT OR IGNORE INTO contents VALUES (?, ?) RETURNING url", (content, number)
        ).fetchone()
        return row is None

    def _count_alike(self, number: int, fingerprint: int, is_copy: bool) -> None:
        pattern, prints = self._db.execute(
            "SELECT p.id, p.prints FROM urls u JOIN patterns p ON p.id = u.pattern WHERE u.id = ?", (number,)
        ).fetchone()
        known = struct.unpack(f"<{len(prints) // 8}Q", prints)
        alike = is_copy or any(is_alike(fingerprint, other) for other in known)
        if not alike:
            prints = (prints + struct.pack("<Q", fingerprint))[-8 * PRINTS_KEPT :]
        num_pages, num_alike = self._db.execute(
            "UPDATE patterns SET num_pages = num_pages + 1, num_alike = num_alike + ?, prints = ? WHERE id = ? "
            "RETURNING num_pages, num_alike",
            (int(alike), prints, pattern),
        ).fetchone()
        closed = pattern_verdict(num_pages, num_alike)
        if closed:
            self._db.execute("UPDATE patterns SET closed = ? WHERE id = ?", (closed, pattern))

    def _note_canonical(self, url: str, canonical: str) -> None:
        """The page's other name is not fetched too."""
        if canonical != url and is_other_name(url, canonical):
            mark = _mark(canonical)
            known = self._db.execute("SELECT id, state, grp FROM urls WHERE mark = ?", (mark,)).fetchone()
            if known is None:
                self._refuse(mark, None, "canonical")
            elif known[1] == QUEUED:
                self._db.execute("UPDATE urls SET state = ?, reason = 'canonical' WHERE id = ?", (DROPPED, known[0]))
                self._requeue_best(known[2])

    def _canonical_link(self, url: str, report: PageReport) -> list[Link]:
        """A rel=canonical that may be another page is followed like a link."""
        if not report.canonical or report.canonical == url or is_other_name(url, report.canonical):
            return []
        return [Link(url=report.canonical, anchor="", score=None)]

    def _let_in(self, url: str) -> None:
        self.scope.add_host(url)
        more = [*json.loads(self._meta("more_hosts", "[]")), url]
        self._set_meta("more_hosts", json.dumps(more))

    # --- what others read ---

    def line(self, number: int) -> dict[str, Any]:
        """The line of grounds of an answered URL."""
        cursor = self._db.execute(
            "SELECT u.line AS line, u.fetch_order AS 'order', u.url AS url, u.depth AS depth, v.url AS via, "
            "u.via_score AS via_score, u.anchor AS anchor, u.anchor_score AS anchor_score, u.host_share AS host_share, "
            "u.path_share AS path_share, u.words AS words, u.priority AS priority, u.reason AS outcome, "
            "u.status AS status, u.score AS score, u.notes AS notes, u.archive AS archive, u.offset AS 'offset' "
            "FROM urls u LEFT JOIN urls v ON v.id = u.via WHERE u.id = ?",
            (number,),
        )
        values = dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))
        values["outcome"] = values["outcome"] or "page"
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in values.items() if v not in (None, "")}

    def lines_after(self, line: int) -> Iterator[dict[str, Any]]:
        """Lines of grounds behind a number, in order."""
        numbers = self._db.execute("SELECT id FROM urls WHERE line > ? ORDER BY line", (line,))
        return (self.line(number) for (number,) in numbers)

    def stored(self) -> Iterator[tuple[Task, str, int]]:
        """(task, archive, offset) of pages that were written and not read when the crawl was killed."""
        rows = self._db.execute(
            "SELECT u.id, g.host, g.id, u.url, u.depth, u.archive, u.offset, u.fetch_order, u.priority, u.via_score "
            "FROM urls u JOIN groups g ON g.id = u.grp WHERE u.state = 2"
        ).fetchall()
        for number, host, group, url, depth, archive, offset, order, priority, via_score in rows:
            ground = Ground(
                order=order, url=url, depth=depth, via="", via_score=via_score, anchor="", anchor_score=None,
                host_share=0, path_share=0, words=None, priority=priority,
            )  # fmt: skip
            self._db.execute("UPDATE hosts SET num_waiting = num_waiting + 1 WHERE id = ?", (host,))
            yield Task(id=number, host=host, group=group, ground=ground), archive, offset

    def archives(self) -> dict[str, int]:
        """Archive files and the size up to which they are known to be whole."""
        return dict(self._db.execute("SELECT name, size FROM archives ORDER BY name"))

    def counts(self) -> dict[str, Any]:
        """num_urls, pages by host and what was dropped for which reason: num_urls = pages + the sum of dropped."""
        dropped: dict[str, int] = {}
        rows = self._db.execute(
            "SELECT CASE u.state WHEN 4 THEN u.reason WHEN 0 THEN coalesce(nullif(h.closed, ''), nullif(p.closed, ''), "
            "'budget') ELSE 'unanswered' END AS why, count(*) FROM urls u LEFT JOIN groups g ON g.id = u.grp "
            "LEFT JOIN hosts h ON h.id = g.host LEFT JOIN patterns p ON p.id = u.pattern WHERE u.state != 3 "
            "GROUP BY why ORDER BY why"
        )
        dropped.update(rows)
        (num_urls,) = self._db.execute("SELECT count(*) FROM urls").fetchone()
        pages = dict(self._db.execute("SELECT name, num_pages FROM hosts WHERE num_pages > 0 ORDER BY id"))
        return {"num_urls": num_urls, "pages_by_host": pages, "dropped": dropped}

    # --- the file ---

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _meta(self, key: str, default: Any) -> Any:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else row[0]

    def _set_meta(self, key: str, value: Any) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _save_counts(self) -> None:
        for key in ("num_pages", "num_relevant", "size_bytes", "seconds"):
            self._set_meta(key, getattr(self, key))
        self._set_meta("num_lines", self._num_lines)
        self._set_meta("page_scale", json.dumps(astuple(self.page_scale)))
        self._set_meta("link_scale", json.dumps(astuple(self.link_scale)))

    def _check_identity(self, path: Path, identity: str) -> None:
        known = self._meta("identity", None)
        if known is None:
            self._set_meta("identity", identity)
            self._set_meta("version", VERSION)
        elif known != identity or self._meta("version", 0) != VERSION:
            raise MathwrightError(
                f"{path.parent} holds a crawl of other start URLs, scope, rules or classifier",
                hint="choose another folder, or remove this one to crawl anew; budgets and paces may change",
            )


def is_other_name(url: str, canonical: str) -> bool:
    """Whether a rel=canonical can be believed to name the same page: same host but for `www.`, same path but for an
    index file or a final slash, and no query but parts of this one's. Whole sites name their front page by mistake.
    """
    ours, theirs = urlsplit(url), urlsplit(canonical)
    if _bare_path(ours.path) != _bare_path(theirs.path):
        return False
    if ours.netloc.removeprefix("www.") != theirs.netloc.removeprefix("www."):
        return False
    return set(parse_qsl(theirs.query)) <= set(parse_qsl(ours.query))


def _bare_path(path: str) -> str:
    head, _, last = path.rpartition("/")
    return head if last.partition(".")[0] in ("index", "") else path


def _words(anchor: str, url: str) -> frozenset[str]:
    """The first MAX_LINK_WORDS different words of a link."""
    return frozenset(list(dict.fromkeys(link_words(anchor, url).lower().split()))[:MAX_LINK_WORDS])


@functools.lru_cache(maxsize=16)  # asked twice for a new URL
def _pattern_name(url: str) -> str:
    return f"{host_of_url(url)} {url_pattern(url)}"


def _mark(url: str) -> int:
    return int.from_bytes(hashlib.blake2b(url.encode("utf-8", "replace"), digest_size=8).digest(), signed=True)


def _tie(url: str) -> int:
    """Order among equals: by a hash that does not know the port that a local server got, not by the alphabet."""
    return int.from_bytes(hashlib.blake2b(portless(url).encode("utf-8", "replace"), digest_size=7).digest())


def _locked(path: Path, wait_s: float) -> Any:
    """An open file that this process holds the lock of; a killed crawler's child may need a moment to end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                file.close()
                raise MathwrightError(
                    f"another process crawls into {path.parent}", hint="wait for it to end, or choose another folder"
                ) from None
            time.sleep(0.05)
        else:
            return file
