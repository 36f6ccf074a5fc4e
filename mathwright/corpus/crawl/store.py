"""The file of a focused crawl: every URL seen, where it stands, and what pages and links have taught so far.

`frontier.sqlite`, kept by one process at a time. `queue` decides what is written; here are the tables and the SQL.
Memory does not grow with the number of URLs.
"""

from __future__ import annotations

import fcntl
import hashlib
import sqlite3
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

from mathwright.corpus.crawl.hosts import SCHEMA as HOSTS_SCHEMA
from mathwright.corpus.crawl.score import FetchReason
from mathwright.corpus.crawl.traps import pattern_name
from mathwright.corpus.urls import portless
from mathwright.errors import MathwrightError

VERSION = 1
"""Of the tables; a frontier of another version is refused."""
CACHE_KIB = 16_384
PRINTS_KEPT = 32
"""Fingerprints of a pattern's last pages that a new one is compared with."""


class State(IntEnum):
    """Where a URL stands; the file holds the numbers."""

    QUEUED = 0
    IN_FLIGHT = 1
    """Requested and not answered."""
    STORED = 2
    """Written to an archive and not read yet."""
    PAGE = 3
    DROPPED = 4


_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS urls (
    id INTEGER PRIMARY KEY, mark INTEGER UNIQUE, url TEXT, grp INTEGER, pattern INTEGER, state INTEGER,
    reason TEXT DEFAULT '', depth INTEGER, redirects INTEGER DEFAULT 0, tries INTEGER DEFAULT 0, tie INTEGER,
    via INTEGER, via_score REAL, anchor TEXT DEFAULT '', anchor_score REAL, relevance REAL,
    fetch_order INTEGER, host_share REAL, path_share REAL, priority REAL, words REAL,
    archive TEXT, offset INTEGER, status INTEGER, score REAL, notes TEXT DEFAULT '', line INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS urls_queued ON urls (grp, relevance DESC, depth, tie) WHERE state = {State.QUEUED};
CREATE INDEX IF NOT EXISTS urls_under_way ON urls (state) WHERE state IN ({State.IN_FLIGHT}, {State.STORED});
CREATE INDEX IF NOT EXISTS urls_answered ON urls (line) WHERE line IS NOT NULL;
CREATE TABLE IF NOT EXISTS patterns (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE, num_urls INTEGER DEFAULT 0, num_pages INTEGER DEFAULT 0,
    num_alike INTEGER DEFAULT 0, closed TEXT DEFAULT '', prints BLOB DEFAULT x''
) STRICT;
CREATE TABLE IF NOT EXISTS contents (mark TEXT PRIMARY KEY, url INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY, num INTEGER, num_relevant INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS archives (name TEXT PRIMARY KEY, size INTEGER) STRICT;
"""


class Store:
    """The open file. The methods that write are called within `transaction`."""

    def __init__(self, path: Path, *, identity: str, wait_s: float) -> None:
        """Open or make the file. `identity`: what a crawl must have in common with the one that made it, as text.

        Raises MathwrightError where the file belongs to a crawl of another identity or version, or a process still
        uses it after `wait_s` seconds.
        """
        self._lock = _locked(path.with_suffix(".lock"), wait_s)
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", f"cache_size = -{CACHE_KIB}"):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.executescript(_SCHEMA + HOSTS_SCHEMA)
        try:
            self._check_identity(path, identity)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.db.close()
        self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def meta(self, key: str, default: Any) -> Any:
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else row["value"]

    def set_meta(self, key: str, value: Any) -> None:
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _check_identity(self, path: Path, identity: str) -> None:
        known = self.meta("identity", None)
        if known is None:
            self.set_meta("identity", identity)
            self.set_meta("version", VERSION)
        elif known != identity or self.meta("version", 0) != VERSION:
            raise MathwrightError(
                f"{path.parent} holds a crawl of other start URLs, scope, rules or classifier",
                hint="choose another folder, or remove this one to crawl again; budgets and paces may change",
            )

    # --- URLs that wait ---

    def find(self, url: str) -> sqlite3.Row | None:
        """What is known of a URL: its id, state, reason, relevance, group and depth."""
        return self.db.execute(
            'SELECT id, state, reason, relevance, grp AS "group", depth FROM urls WHERE mark = ?', (_mark(url),)
        ).fetchone()

    def enqueue(
        self,
        known: sqlite3.Row | None,
        *,
        url: str,
        group: int,
        depth: int,
        redirects: int,
        via: int | None,
        via_score: float | None,
        anchor: str,
        anchor_score: float | None,
        relevance: float,
    ) -> None:
        """Queue a URL, for this fetch reason; `known` is what `find` gave for it."""
        is_new = known is None or known["state"] == State.DROPPED
        values = {
            "state": State.QUEUED, "grp": group, "url": url, "depth": depth, "redirects": redirects, "via": via,
            "via_score": via_score, "anchor": anchor, "anchor_score": anchor_score, "relevance": relevance,
            "tie": _tie(url), "pattern": self._count_in_pattern(url) if is_new else None,
        }  # fmt: skip
        if known is None:
            values["mark"] = _mark(url)
            names = ", ".join(values)
            self.db.execute(f"INSERT INTO urls ({names}) VALUES ({', '.join(f':{n}' for n in values)})", values)
        else:
            changes = ", ".join(f"{name} = :{name}" for name in values if name not in ("tie", "pattern"))
            self.db.execute(
                f"UPDATE urls SET {changes}, reason = '', pattern = coalesce(:pattern, pattern), "
                "tie = coalesce(tie, :tie) WHERE id = :id",
                {**values, "id": known["id"]},
            )

    def refuse(self, url: str, known: sqlite3.Row | None, reason: str) -> None:
        """Remember that a URL was seen, by its mark alone: what is out of scope may be most of the web."""
        if known is None:
            self.db.execute(
                "INSERT INTO urls (mark, state, reason) VALUES (?, ?, ?)", (_mark(url), State.DROPPED, reason)
            )
        else:
            self.db.execute("UPDATE urls SET reason = ? WHERE id = ?", (reason, known["id"]))

    def best_queued(self, group: int) -> sqlite3.Row | None:
        """The URL of a group that goes first, with its pattern and the page that links to it."""
        return self.db.execute(
            "SELECT u.id, u.url, u.depth, u.via_score, u.anchor, u.anchor_score, u.relevance, p.id AS pattern, "
            "p.closed, v.url AS via FROM urls u LEFT JOIN patterns p ON p.id = u.pattern "
            f"LEFT JOIN urls v ON v.id = u.via WHERE u.grp = ? AND u.state = {State.QUEUED} "
            "ORDER BY u.relevance DESC, u.depth, u.tie LIMIT 1",
            (group,),
        ).fetchone()

    def best_relevance(self, group: int) -> float | None:
        """The relevance of the URL of a group that goes first; None where none is queued."""
        row = self.db.execute(
            f"SELECT relevance FROM urls WHERE grp = ? AND state = {State.QUEUED} "
            "ORDER BY relevance DESC, depth, tie LIMIT 1",
            (group,),
        ).fetchone()
        return row["relevance"] if row else None

    def set_relevance(self, number: int, relevance: float) -> None:
        self.db.execute("UPDATE urls SET relevance = ? WHERE id = ?", (relevance, number))

    def drop_queued(self, group: int, pattern: int, reason: str) -> None:
        """Drop all queued URLs of a group that have this pattern."""
        self.db.execute(
            f"UPDATE urls SET state = ?, reason = ? WHERE grp = ? AND state = {State.QUEUED} AND pattern = ?",
            (State.DROPPED, reason, group, pattern),
        )

    # --- URLs under way, and answered ---

    def send(self, number: int, reason: FetchReason) -> None:
        """A URL is requested, for this reason."""
        self.db.execute(
            "UPDATE urls SET state = ?, fetch_order = ?, host_share = ?, path_share = ?, priority = ?, words = ? "
            "WHERE id = ?",
            (
                State.IN_FLIGHT,
                reason.order,
                reason.host_share,
                reason.path_share,
                reason.priority,
                reason.words,
                number,
            ),
        )  # fmt: skip

    def requeue(self, number: int) -> None:
        self.db.execute("UPDATE urls SET state = ? WHERE id = ?", (State.QUEUED, number))

    def requeue_in_flight(self) -> list[tuple[int, float]]:
        """Queue again what was requested when the crawl was killed; returns (group, relevance) of each."""
        return self.db.execute(
            f"UPDATE urls SET state = {State.QUEUED} WHERE state = {State.IN_FLIGHT} RETURNING grp, relevance"
        ).fetchall()

    def count_try(self, number: int) -> int:
        """A request for the URL failed; returns how many have."""
        row = self.db.execute("UPDATE urls SET tries = tries + 1 WHERE id = ? RETURNING tries", (number,)).fetchone()
        return row["tries"]

    def archived(self, archive: str, size: int, number: int | None, offset: int) -> None:
        """An archive ends at `size` now; where a URL is given, its page lies at `offset`."""
        self.db.execute("INSERT OR REPLACE INTO archives VALUES (?, ?)", (archive, size))
        if number is not None:
            self.db.execute(
                "UPDATE urls SET state = ?, archive = ?, offset = ? WHERE id = ?",
                (State.STORED, archive, offset, number),
            )

    def set_done(
        self,
        number: int,
        state: State,
        *,
        reason: str,
        status: int | None,
        score: float | None,
        notes: Sequence[str],
        line: int,
    ) -> None:
        """A URL was answered for good: this is line `line` of grounds.jsonl."""
        self.db.execute(
            "UPDATE urls SET state = ?, reason = ?, status = ?, score = ?, notes = ?, line = ? WHERE id = ?",
            (state, reason, status, score, " ".join(notes), line, number),
        )

    def drop(self, number: int, reason: str) -> None:
        """A queued URL will not be requested."""
        self.db.execute("UPDATE urls SET state = ?, reason = ? WHERE id = ?", (State.DROPPED, reason, number))

    def origin(self, number: int) -> sqlite3.Row:
        """Where a URL was found, and through how many redirects."""
        return self.db.execute(
            "SELECT via, via_score, anchor, anchor_score, redirects FROM urls WHERE id = ?", (number,)
        ).fetchone()

    # --- what pages teach ---

    def words(self) -> Iterable[tuple[str, int, int]]:
        """(word, links with it that were followed, of these to mathematics)."""
        return self.db.execute("SELECT word, num, num_relevant FROM words")

    def save_words(self, rows: Iterable[tuple[str, int, int]]) -> None:
        self.db.executemany("INSERT OR REPLACE INTO words VALUES (?, ?, ?)", rows)

    def is_new_content(self, number: int, content: str) -> bool:
        """Whether no page before had this content, a hash; the page is remembered as the first."""
        row = self.db.execute(
            "INSERT OR IGNORE INTO contents VALUES (?, ?) RETURNING url", (content, number)
        ).fetchone()
        return row is not None

    def pattern_of_url(self, url: str) -> tuple[int, int, str]:
        """Of the pattern of a URL: URLs queued, pages that were new, why it is closed or ""."""
        row = self.db.execute(
            "SELECT num_urls, num_pages - num_alike AS num_new, closed FROM patterns WHERE name = ?",
            (pattern_name(url),),
        ).fetchone()
        return (row["num_urls"], row["num_new"], row["closed"]) if row else (0, 0, "")

    def _count_in_pattern(self, url: str) -> int:
        return self.db.execute(
            "INSERT INTO patterns (name, num_urls) VALUES (?, 1) "
            "ON CONFLICT (name) DO UPDATE SET num_urls = num_urls + 1 RETURNING id",
            (pattern_name(url),),
        ).fetchone()["id"]

    def fingerprints(self, number: int) -> tuple[int, tuple[int, ...]]:
        """(pattern of a URL, fingerprints of the last different pages of it)."""
        row = self.db.execute(
            "SELECT p.id, p.prints FROM urls u JOIN patterns p ON p.id = u.pattern WHERE u.id = ?", (number,)
        ).fetchone()
        return row["id"], struct.unpack(f"<{len(row['prints']) // 8}Q", row["prints"])

    def count_page(self, pattern: int, fingerprints: Sequence[int], *, is_alike: bool) -> tuple[int, int]:
        """A page of a pattern was read, whose fingerprints are these now; returns (pages, pages like others)."""
        kept = fingerprints[-PRINTS_KEPT:]
        row = self.db.execute(
            "UPDATE patterns SET num_pages = num_pages + 1, num_alike = num_alike + ?, prints = ? WHERE id = ? "
            "RETURNING num_pages, num_alike",
            (int(is_alike), struct.pack(f"<{len(kept)}Q", *kept), pattern),
        ).fetchone()
        return row["num_pages"], row["num_alike"]

    def close_pattern(self, pattern: int, reason: str) -> None:
        self.db.execute("UPDATE patterns SET closed = ? WHERE id = ?", (reason, pattern))

    # --- what is told of a crawl ---

    @property
    def num_under_way(self) -> int:
        """URLs requested, or stored and not read yet."""
        return self.db.execute(
            f"SELECT count(*) FROM urls WHERE state IN ({State.IN_FLIGHT}, {State.STORED})"
        ).fetchone()[0]

    def line(self, number: int) -> dict[str, Any]:
        """The line of grounds.jsonl of an answered URL: why it was fetched, and what came of it."""
        row = self.db.execute(
            "SELECT u.line AS line, u.fetch_order AS 'order', u.url AS url, u.depth AS depth, v.url AS via, "
            "u.via_score AS via_score, u.anchor AS anchor, u.anchor_score AS anchor_score, u.host_share AS host_share, "
            "u.path_share AS path_share, u.words AS words, u.priority AS priority, u.reason AS outcome, "
            "u.status AS status, u.score AS score, u.notes AS notes, u.archive AS archive, u.offset AS 'offset' "
            "FROM urls u LEFT JOIN urls v ON v.id = u.via WHERE u.id = ?",
            (number,),
        ).fetchone()
        values = {**dict(row), "outcome": row["outcome"] or "page"}
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in values.items() if v not in (None, "")}

    def lines_after(self, line: int) -> Iterator[dict[str, Any]]:
        """Lines of grounds.jsonl from the one after `line` on."""
        numbers = self.db.execute("SELECT id FROM urls WHERE line > ? ORDER BY line", (line,))
        return (self.line(row["id"]) for row in numbers)

    def stored(self) -> list[sqlite3.Row]:
        """Pages that were written and not read when the crawl was killed."""
        return self.db.execute(
            'SELECT u.id, g.host, g.id AS "group", u.url, u.depth, u.archive, u.offset, u.fetch_order, u.priority, '
            f"u.via_score FROM urls u JOIN groups g ON g.id = u.grp WHERE u.state = {State.STORED}"
        ).fetchall()

    def archives(self) -> dict[str, int]:
        """Archive files and the size up to which they are known to be whole."""
        return {row["name"]: row["size"] for row in self.db.execute("SELECT name, size FROM archives ORDER BY name")}

    @property
    def num_urls(self) -> int:
        """Distinct URLs seen."""
        return self.db.execute("SELECT count(*) FROM urls").fetchone()[0]

    def pages_by_host(self) -> dict[str, int]:
        rows = self.db.execute("SELECT name, num_pages FROM hosts WHERE num_pages > 0 ORDER BY id")
        return {row["name"]: row["num_pages"] for row in rows}

    def dropped(self) -> dict[str, int]:
        """URLs that are no pages, by reason; what is still queued counts under what keeps it there."""
        rows = self.db.execute(
            f"SELECT CASE u.state WHEN {State.DROPPED} THEN u.reason WHEN {State.QUEUED} THEN "
            "coalesce(nullif(h.closed, ''), nullif(p.closed, ''), 'budget') ELSE 'unanswered' END AS why, "
            "count(*) AS num FROM urls u LEFT JOIN groups g ON g.id = u.grp LEFT JOIN hosts h ON h.id = g.host "
            f"LEFT JOIN patterns p ON p.id = u.pattern WHERE u.state != {State.PAGE} GROUP BY why ORDER BY why"
        )
        return {row["why"]: row["num"] for row in rows}


def _mark(url: str) -> int:
    return int.from_bytes(hashlib.blake2b(url.encode("utf-8", "replace"), digest_size=8).digest(), signed=True)


def _tie(url: str) -> int:
    """Order among equals: by a hash, not by the alphabet."""
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
