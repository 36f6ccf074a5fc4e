"""The hosts of a focused crawl, on disk: their pace, their budgets, and how much mathematics was found where.

A host's URLs are queued by folder: `groups` has one row for the host and one for each of its first folders, two levels
deep and MAX_GROUPS a host; deeper or later ones belong to the folder above. A group knows the best relevance among its
queued URLs, so that its priority can follow the share of mathematics without touching URLs.
"""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass

from mathwright.corpus.crawl.score import START_SHARE, expected_share, priority

MAX_GROUPS = 64
BACKOFF_S = 5.0
"""First pause after an answer 429 or 503 or none at all; doubled with each further one."""
MAX_BACKOFF_S = 600.0
MAX_RETRY_AFTER_S = 3600.0
"""A host that asks to be left alone for longer is not visited again in this crawl (reason asked_to_wait)."""
MAX_FAILURES = 6
"""So many failures in a row close a host (reason host_down)."""
MAX_INTERVAL_S = 60.0
PATIENCE_S = 10.0
"""A better host is waited for when it is due within this time."""
CALM_ANSWERS = 10
"""After so many good answers a host that was slowed down is visited at twice the pace again."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS hosts (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE, closed TEXT DEFAULT '', num_groups INTEGER DEFAULT 0,
    num_pages INTEGER DEFAULT 0, num_waiting INTEGER DEFAULT 0, free_at REAL DEFAULT 0, resting INTEGER DEFAULT 0,
    pace REAL DEFAULT 0, floor REAL DEFAULT 0, failures INTEGER DEFAULT 0, calm INTEGER DEFAULT 0,
    met INTEGER DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS groups (
    id INTEGER PRIMARY KEY, host INTEGER, prefix TEXT, parent INTEGER, num REAL DEFAULT 0, num_relevant REAL DEFAULT 0,
    share REAL, best REAL, priority REAL, UNIQUE (host, prefix)
) STRICT;
CREATE INDEX IF NOT EXISTS groups_by_priority ON groups (priority DESC) WHERE priority IS NOT NULL;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How hosts may be visited, from the recipe."""

    delay_s: float
    requests_per_host: int
    max_pages_per_host: int
    max_hosts: int
    """0 is no limit."""
    backoff_s: float = BACKOFF_S
    patience: float = 0.0
    """Nothing is fetched whose priority is below this share of the best; 0 never waits."""


class Hosts:
    """Rows of `hosts` and `groups`. The caller holds the transactions."""

    def __init__(self, db: sqlite3.Connection, pace: Pace) -> None:
        self._db = db
        self.pace = pace
        self._known: dict[tuple[str, str], int] = {}
        """(host, folder) -> group; a cache of bounded size."""
        self.num_hosts: int = db.execute("SELECT count(*) FROM hosts").fetchone()[0]

    # --- groups ---

    def group_of(self, host: str, path: str) -> int | None:
        """The queue that a URL of this host and path belongs to; None where a new host is one too many."""
        folders = _folders(path)
        key = (host, folders[-1])
        if key not in self._known:
            if len(self._known) > 50_000:
                self._known.clear()
            group = self._find_group(host, folders)
            if group is None:
                return None
            self._known[key] = group
        return self._known[key]

    def _find_group(self, host: str, folders: list[str]) -> int | None:
        row = self._db.execute("SELECT id, num_groups FROM hosts WHERE name = ?", (host,)).fetchone()
        if row is None:
            if self.pace.max_hosts and self.num_hosts >= self.pace.max_hosts:
                return None
            self.num_hosts += 1
            row = self._db.execute("INSERT INTO hosts (name) VALUES (?) RETURNING id, num_groups", (host,)).fetchone()
        host_id, num_groups = row
        group: int | None = None
        share = START_SHARE
        for prefix in folders:
            found = self._db.execute(
                "SELECT id, share FROM groups WHERE host = ? AND prefix = ?", (host_id, prefix)
            ).fetchone()
            if found is None:
                if num_groups >= MAX_GROUPS:
                    break
                num_groups += 1
                found = self._db.execute(
                    "INSERT INTO groups (host, prefix, parent, share) VALUES (?, ?, ?, ?) RETURNING id, share",
                    (host_id, prefix, group, share),
                ).fetchone()
            group, share = found
        self._db.execute("UPDATE hosts SET num_groups = ? WHERE id = ?", (num_groups, host_id))
        return group

    def host_of(self, group: int) -> int:
        return self._db.execute("SELECT host FROM groups WHERE id = ?", (group,)).fetchone()[0]

    def shares(self, group: int) -> tuple[float, float]:
        """Expected share of mathematics (on the host, in the group)."""
        return self._db.execute(
            "SELECT top.share, g.share FROM groups g JOIN groups top ON top.host = g.host AND top.prefix = '/' "
            "WHERE g.id = ?",
            (group,),
        ).fetchone()

    def raise_best(self, group: int, relevance: float) -> None:
        """A URL of this relevance was queued in the group."""
        (best,) = self._db.execute("SELECT best FROM groups WHERE id = ?", (group,)).fetchone()
        if best is None or relevance > best:
            self.set_best(group, relevance)

    def set_best(self, group: int, relevance: float | None) -> None:
        """The best relevance among the queued URLs of the group; None where none is left."""
        share, closed, num_pages = self._db.execute(
            "SELECT g.share, h.closed, h.num_pages FROM groups g JOIN hosts h ON h.id = g.host WHERE g.id = ?", (group,)
        ).fetchone()
        is_open = not closed and num_pages < self.pace.max_pages_per_host
        self._db.execute(
            "UPDATE groups SET best = ?, priority = ? WHERE id = ?",
            (relevance, priority(relevance, share) if is_open and relevance is not None else None, group),
        )

    def count(self, group: int, *, is_relevant: bool) -> None:
        """A page of the group was fetched, and was mathematics or not. `refresh` takes it into account."""
        current: int | None = group
        while current is not None:
            (current,) = self._db.execute(
                "UPDATE groups SET num = num + 1, num_relevant = num_relevant + ? WHERE id = ? RETURNING parent",
                (int(is_relevant), current),
            ).fetchone()

    def refresh(self, host: int) -> None:
        """Compute shares and priorities of a host's groups again: after a page of it was fetched, or it was closed."""
        closed, num_pages = self._db.execute("SELECT closed, num_pages FROM hosts WHERE id = ?", (host,)).fetchone()
        is_open = not closed and num_pages < self.pace.max_pages_per_host
        shares: dict[int | None, float] = {None: START_SHARE}
        changes = []
        rows = self._db.execute(
            "SELECT id, parent, num, num_relevant, share, best, priority FROM groups WHERE host = ? ORDER BY id",
            (host,),
        )
        for group, parent, num, total, old_share, best, old in rows:  # a parent's row is older than its children's
            share = shares[group] = expected_share(total, num, shares[parent])
            new = priority(best, share) if best is not None and is_open else None
            if new != old or share != old_share:
                changes.append((share, new, group))
        self._db.executemany("UPDATE groups SET share = ?, priority = ? WHERE id = ?", changes)

    def refresh_all(self) -> None:
        for (host,) in self._db.execute("SELECT id FROM hosts").fetchall():
            self.refresh(host)

    # --- whose turn it is ---

    def next_group(self, now: float) -> tuple[int, int, float] | None:
        """(group, host, priority) of the best queue of those hosts that may be visited now.

        None also where a much better one (by Pace.patience) is only busy, or due within PATIENCE_S: hosts of little
        promise are always free, and would use up the budget while the good ones are visited at their pace.
        """
        found = self._db.execute(
            f"SELECT g.id, g.host, g.priority FROM groups g JOIN hosts h ON h.id = g.host WHERE {_READY} "
            "AND h.free_at <= :now ORDER BY g.priority DESC, g.id LIMIT 1",
            {"now": now, **self._limits},
        ).fetchone()
        if found is None or not self.pace.patience:
            return found
        (best,) = self._db.execute(
            "SELECT g.priority FROM groups g JOIN hosts h ON h.id = g.host WHERE g.priority IS NOT NULL "
            "AND h.num_pages + h.num_waiting < :max_pages AND h.free_at <= :soon ORDER BY g.priority DESC LIMIT 1",
            {"soon": now + PATIENCE_S, "max_pages": self.pace.max_pages_per_host},
        ).fetchone()
        return found if found[2] >= self.pace.patience * best else None

    def next_due(self, now: float) -> float | None:
        """The next time after `now` at which a host becomes due that has URLs queued; None for none."""
        return self._db.execute(
            f"SELECT min(h.free_at) FROM groups g JOIN hosts h ON h.id = g.host WHERE {_READY} AND h.free_at > :now",
            {"now": now, **self._limits},
        ).fetchone()[0]

    @property
    def has_queued(self) -> bool:
        """Whether any open host has URLs queued, its turn or not."""
        return self._db.execute("SELECT 1 FROM groups WHERE priority IS NOT NULL LIMIT 1").fetchone() is not None

    @property
    def _limits(self) -> dict[str, int]:
        return {"per_host": self.pace.requests_per_host, "max_pages": self.pace.max_pages_per_host}

    # --- politeness ---

    def none_waiting(self) -> None:
        """A crawl begins: no request is under way."""
        self._db.execute("UPDATE hosts SET num_waiting = 0")

    def waits(self, host: int) -> None:
        """A URL of the host is under way again, without a new request."""
        self._db.execute("UPDATE hosts SET num_waiting = num_waiting + 1 WHERE id = ?", (host,))

    def sent(self, host: int, now: float) -> None:
        """A request goes out."""
        self._db.execute(
            "UPDATE hosts SET num_waiting = num_waiting + 1, resting = 0, free_at = ?1 + max(pace, floor, ?2) "
            "WHERE id = ?3",
            (now, self.pace.delay_s, host),
        )

    def robots_known(self, name: str, crawl_delay_s: float, now: float) -> None:
        """robots.txt was read, and asks for so many seconds between requests. Until then a host gets one."""
        floor = max(self.pace.delay_s, crawl_delay_s)
        self._db.execute(
            "UPDATE hosts SET met = 1, floor = ?1, free_at = max(free_at, ?2 + max(pace, ?1)) WHERE name = ?3",
            (floor, now, name),
        )

    def not_sent(self, host: int) -> None:
        """The request was given up before it went out: robots.txt forbids it. The next may go at once."""
        self._db.execute("UPDATE hosts SET free_at = 0 WHERE id = ? AND NOT resting", (host,))

    def answered(self, host: int, *, is_page: bool) -> None:
        """Any answer but a failure: the host is well."""
        self._db.execute(
            "UPDATE hosts SET num_waiting = num_waiting - 1, num_pages = num_pages + ?1, met = 1, failures = 0, "
            "calm = (calm + 1) % ?2, pace = CASE WHEN calm + 1 < ?2 THEN pace WHEN pace < 0.5 THEN 0 ELSE pace / 2 END "
            "WHERE id = ?3",
            (int(is_page), CALM_ANSWERS, host),
        )

    def failed(self, host: int, now: float, retry_after_s: float) -> str:
        """429, 503 or no answer: the host is left alone for a while. Returns why it is closed, or ""."""
        failures, resting, free_at, pace, floor = self._db.execute(
            "UPDATE hosts SET num_waiting = num_waiting - 1 WHERE id = ? "
            "RETURNING failures, resting, free_at, pace, floor",
            (host,),
        ).fetchone()
        is_new = not (resting and free_at > now)  # not an answer to a request sent before the last failure was known
        failures += is_new
        wait = min(self.pace.backoff_s * 2 ** (failures - 1), MAX_BACKOFF_S)
        free_at = max(free_at, now + max(wait, retry_after_s))
        if is_new:
            pace = min(max(2 * max(pace, floor), self.pace.delay_s, self.pace.backoff_s / 5), MAX_INTERVAL_S)
        closed = "asked_to_wait" if retry_after_s > MAX_RETRY_AFTER_S else ""
        closed = closed or ("host_down" if failures >= MAX_FAILURES else "")
        self._db.execute(
            "UPDATE hosts SET failures = ?, resting = 1, free_at = ?, pace = ?, calm = 0, closed = ? WHERE id = ?",
            (failures, free_at, pace, closed, host),
        )
        return closed


_READY = (
    "g.priority IS NOT NULL AND h.num_waiting < CASE WHEN h.met THEN :per_host ELSE 1 END "
    "AND h.num_pages + h.num_waiting < :max_pages"
)


def _folders(path: str) -> list[str]:
    """`/a/b/c/d.html` -> `/`, `/a/`, `/a/b/`."""
    segments = path.split("/")[1:-1][:2]
    return ["/", *(f"/{'/'.join(segments[: i + 1])}/" for i in range(len(segments)))]


def parse_retry_after(value: str, now: float) -> float:
    """Seconds that a Retry-After header asks for, given in seconds or as an HTTP date; 0 for none or nonsense."""
    from email.utils import parsedate_to_datetime

    value = value.strip()
    try:
        seconds = float(value) if value.isdigit() else parsedate_to_datetime(value).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0
