"""The frontier of a focused crawl: order, budgets, politeness, traps, and going on after a kill."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mathwright.corpus.crawl.hosts import MAX_FAILURES, MAX_GROUPS, MAX_RETRY_AFTER_S, Pace
from mathwright.corpus.crawl.page import Link, PageReport
from mathwright.corpus.crawl.queue import MAX_TRIES, Budget, Queue, Task
from mathwright.corpus.crawl.reasons import ReasonsFile
from mathwright.corpus.crawl.scope import Scope
from mathwright.corpus.crawl.traps import MAX_CALENDAR_URLS, MAX_FACET_URLS, MIN_ALIKE_PAGES, fingerprint
from mathwright.corpus.urls import is_other_name
from mathwright.errors import MathwrightError

START = "http://a.org/"
UNIQUE = 0x9E3779B97F4A7C15
Open = Callable[..., Queue]


@pytest.fixture
def open_queue(tmp_path: Path) -> Iterator[Open]:
    opened: list[Queue] = []

    def build(**changes: Any) -> Queue:
        pace = {"delay_s": 0.0, "requests_per_host": 1000, "max_pages_per_host": 10**9, "max_hosts": 0}
        budget = {"max_pages": 10**9}
        for key, value in changes.items():
            if key in Pace.__dataclass_fields__:
                pace[key] = value
            elif key in Budget.__dataclass_fields__:
                budget[key] = value
        queue = Queue(
            tmp_path / "frontier.sqlite",
            scope=Scope(changes.get("scope", "any"), [START]),
            pace=Pace(**pace),  # type: ignore[arg-type]
            budget=Budget(**budget),
            identity=changes.get("identity", "same"),
            scored=changes.get("scored", True),
            wait_s=0.2,
        )
        opened.append(queue)
        queue.add_starts([START])
        return queue

    yield build
    for queue in opened:
        queue.store.close()


def report(*links: str | Link, score: float | None = 0.5, content: str = "", print_: int | None = None) -> PageReport:
    given = [link if isinstance(link, Link) else Link(url=link, anchor="", score=None) for link in links]
    report.count += 1  # type: ignore[attr-defined]
    fresh = report.count * UNIQUE % 2**64  # type: ignore[attr-defined]
    return PageReport(score=score, num_words=5, links=given, content=content, fingerprint=print_ or fresh)


report.count = 0  # type: ignore[attr-defined]


def taken(queue: Queue, now: float = 1.0) -> Task:
    task = queue.take(now)
    assert task is not None
    return task


def assert_adds_up(queue: Queue) -> None:
    counts = queue.counts()
    assert counts["num_urls"] == sum(counts["pages_by_host"].values()) + sum(counts["dropped"].values())


# --- order --------------------------------------------------------------------------------------------


def test_the_better_link_goes_first_whatever_its_host(open_queue: Open) -> None:
    queue = open_queue()
    links = [Link(url=f"http://{host}.org/", anchor=host, score=score) for host, score in
             (("poor", 0.1), ("good", 0.9), ("fair", 0.6))]  # fmt: skip
    queue.page(taken(queue), report(*links, score=0.5), 10)
    reasons = [taken(queue).fetch_reason for _ in links]
    assert [reason.anchor for reason in reasons] == ["good", "fair", "poor"]
    assert [reason.order for reason in reasons] == [2, 3, 4]
    assert {(reason.via, reason.via_score, reason.depth) for reason in reasons} == {(START, 0.5, 1)}


def test_what_a_folder_gave_decides_over_equal_links(open_queue: Open) -> None:
    queue = open_queue()
    names = [f"http://a.org/{folder}/{i}" for folder in ("algebra", "news") for i in range(20)]
    queue.page(taken(queue), report(*names), 10)
    fetched = []
    for _ in range(16):
        task = taken(queue)
        fetched.append(task.url.split("/")[3])
        queue.page(task, report(score=0.95 if fetched[-1] == "algebra" else 0.05), 10)
    assert fetched[4:].count("algebra") == 12
    reason = taken(queue).fetch_reason
    assert reason.path_share > reason.host_share > 0.8


def test_a_better_reason_replaces_a_worse_one(open_queue: Open) -> None:
    queue = open_queue()
    queue.page(taken(queue), report("http://a.org/1", Link(url="http://a.org/x", anchor="here", score=0.1)), 10)
    queue.page(taken(queue), report(Link(url="http://a.org/x", anchor="theorems", score=0.9)), 10)
    reason = taken(queue).fetch_reason
    assert (reason.url, reason.anchor, reason.via) == ("http://a.org/x", "theorems", "http://a.org/1")


def test_words_that_led_astray_are_not_followed_again_even_in_links_queued_before(open_queue: Open) -> None:
    queue = open_queue()
    topics = [f"http://h{i}.org/{topic}/x" for i in range(12) for topic in ("theorems", "careers")]
    queue.page(taken(queue), report(*topics), 10)
    fetched = []
    for _ in range(16):
        task = taken(queue)
        fetched.append("theorems" in task.url)
        queue.page(task, report(score=0.9 if fetched[-1] else 0.1), 10)
    assert sum(fetched) == 12 and sum(fetched[:14]) >= 11
    queue.close()
    queue = open_queue()  # and this is remembered
    assert queue.words.evidence({"theorems"}, 0.5) > 1 > -0.3 > queue.words.evidence({"careers"}, 0.5)


def test_without_a_classifier_the_order_is_breadth_first(open_queue: Open) -> None:
    queue = open_queue(scored=False)
    fetched = []
    for _ in range(1 + 3 + 9):
        task = taken(queue)
        fetched.append(task.depth)
        links = [f"{task.url.rstrip('/')}/{name}/" for name in ("x", "y", "z")]
        queue.page(task, report(*links, score=None), 10)
    assert fetched == [0] + 3 * [1] + 9 * [2]


def test_folders_of_a_host_are_bounded(open_queue: Open) -> None:
    queue = open_queue()
    queue.page(taken(queue), report(*(f"http://a.org/user{chr(97 + i % 26)}{i}/p/q/r" for i in range(300))), 10)
    assert queue.store.db.execute("SELECT count(*) FROM groups").fetchone()[0] == MAX_GROUPS
    assert sum(1 for _ in range(300) if queue.take(1.0)) == 300


# --- budgets ------------------------------------------------------------------------------------------


def test_budgets(open_queue: Open) -> None:
    queue = open_queue(max_pages=4, max_pages_per_host=2, max_depth=1, max_hosts=2)
    links = [f"http://{host}.org/{i}" for host in ("a", "b", "c") for i in range(3)]
    queue.page(taken(queue), report(*links), 10)
    queue.robots_known("b.org", 0.0, 1.0)
    tasks = list(iter(lambda: queue.take(1.0), None))
    assert sorted(task.url[:12] for task in tasks) == ["http://a.org", "http://b.org", "http://b.org"]
    queue.drop(tasks[0], "status_4xx", 404)  # a failure does not cost budget
    tasks[0] = taken(queue)
    for task in tasks:
        queue.page(task, report("http://a.org/deeper"), 10)
    assert queue.finished
    assert queue.counts()["dropped"] == {"budget": 2, "depth": 1, "host_budget": 3, "status_4xx": 1}
    assert_adds_up(queue)


def test_bytes_and_time(open_queue: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = open_queue(max_bytes=100, max_seconds=1000)
    queue.page(taken(queue), report(*(f"http://a.org/{i}" for i in range(5))), 60)
    monkeypatch.setattr(queue, "_seconds_before", 900.0)
    task = taken(queue)
    monkeypatch.setattr(queue, "_seconds_before", 2000.0)
    assert queue.take(1.0) is None
    monkeypatch.setattr(queue, "_seconds_before", 0.0)
    queue.page(task, report(), 60)
    assert queue.take(1.0) is None and queue.finished


def test_depth_is_that_of_the_nearest_way(open_queue: Open) -> None:
    queue = open_queue(max_depth=2)
    queue.page(taken(queue), report("http://a.org/1", Link(url="http://a.org/short", anchor="", score=0.02)), 10)
    queue.page(taken(queue), report("http://a.org/2"), 10)
    queue.page(taken(queue), report("http://a.org/3"), 10)
    assert queue.counts()["dropped"] == {"budget": 1, "depth": 1}
    queue.page(taken(queue), report("http://a.org/3"), 10)  # the other way
    assert taken(queue).url == "http://a.org/3"


# --- politeness ---------------------------------------------------------------------------------------


def test_delay_and_crawl_delay(open_queue: Open) -> None:
    queue = open_queue(delay_s=2.0)
    queue.page(taken(queue, 100.0), report(*(f"http://a.org/{i}" for i in range(9))), 10)
    assert queue.take(101.9) is None
    assert queue.hosts.next_due(100.0) == 102.0
    taken(queue, 102.0)
    queue.robots_known("a.org", 7.0, 103.0)
    assert queue.take(109.9) is None
    taken(queue, 110.0)
    assert queue.take(116.9) is None


def test_a_new_host_gets_one_request_until_its_rules_are_known(open_queue: Open) -> None:
    queue = open_queue(requests_per_host=3)
    queue.page(taken(queue), report(*(f"http://b.org/{i}" for i in range(9))), 10)
    taken(queue)
    assert queue.take(1.0) is None
    queue.robots_known("b.org", 0.0, 1.0)
    assert [queue.take(1.0) is not None for _ in range(3)] == [True, True, False]


def test_back_off_doubles_and_eases(open_queue: Open) -> None:
    queue = open_queue(backoff_s=4.0, delay_s=1.0)
    queue.page(taken(queue, 0.0), report(*(f"http://a.org/{i}" for i in range(40))), 10)
    for now, due in ((10.0, 14.0), (20.0, 28.0), (30.0, 46.0)):
        queue.retry(taken(queue, now), now, reason="status_4xx", status=429, retry_after_s=0)
        assert queue.hosts.next_due(now) == due
    task = taken(queue, 100.0)
    queue.retry(task, 100.0, reason="status_4xx", status=429, retry_after_s=300)
    assert queue.hosts.next_due(100.0) == 400.0  # what it asks for is what it gets
    paces = []
    for i in range(30):
        now = 1000.0 + 100 * i
        queue.page(taken(queue, now), report(), 10)
        paces.append(queue.store.db.execute("SELECT pace FROM hosts").fetchone()[0])
    assert paces[0] > paces[-1] and paces == sorted(paces, reverse=True)


def test_answers_to_requests_under_way_are_one_failure(open_queue: Open) -> None:
    queue = open_queue(backoff_s=4.0)
    queue.page(taken(queue), report(*(f"http://a.org/{i}" for i in range(20))), 10)
    tasks = [taken(queue) for _ in range(10)]
    for task in tasks:
        queue.retry(task, 2.0, reason="status_5xx", status=503, retry_after_s=0)
    assert queue.hosts.next_due(2.0) == 6.0
    assert tuple(queue.store.db.execute("SELECT failures, closed FROM hosts").fetchone()) == (1, "")


def test_a_url_is_given_up_and_a_host_too(open_queue: Open) -> None:
    queue = open_queue()
    queue.page(taken(queue), report("http://b.org/1", "http://b.org/2", "http://b.org/3"), 10)
    lines = []
    for i in range(MAX_FAILURES):
        now = 10_000.0 * (i + 1)
        lines.append(queue.retry(taken(queue, now), now, reason="timeout", status=None, retry_after_s=0))
    assert [line["outcome"] for line in lines if line] == ["timeout", "host_down"]
    assert MAX_TRIES == 3 and lines[2] is not None
    assert queue.finished
    assert queue.counts()["dropped"] == {"host_down": 2, "timeout": 1}
    assert_adds_up(queue)


def test_a_host_that_asks_for_hours_is_left_alone(open_queue: Open) -> None:
    queue = open_queue()
    line = queue.retry(taken(queue), 1.0, reason="status_5xx", status=503, retry_after_s=MAX_RETRY_AFTER_S + 1)
    assert line is not None and line["outcome"] == "asked_to_wait"
    assert queue.finished


def test_a_better_host_is_waited_for_but_not_for_ever(open_queue: Open) -> None:
    queue = open_queue(delay_s=5.0, patience=0.5)
    good, fair, poor = (
        Link(url=f"http://{name}.org/1", anchor="", score=score)
        for name, score in (("good", 0.9), ("fair", 0.6), ("poor", 0.1))
    )
    more = Link(url="http://good.org/2", anchor="", score=0.9)
    queue.page(taken(queue, 0.0), report(good, more, fair, poor), 10)
    assert [taken(queue, 10.0).url for _ in range(2)] == ["http://good.org/1", "http://fair.org/1"]
    assert queue.take(10.0) is None  # not the poor one: good.org is busy
    queue.robots_known("good.org", 60.0, 10.0)
    assert taken(queue, 10.0).url == "http://poor.org/1"  # for a minute nobody waits


# --- one page, one fetch ------------------------------------------------------------------------------


def test_redirects_take_over_the_reason_and_loops_end(open_queue: Open) -> None:
    queue = open_queue()
    queue.page(taken(queue), report(Link(url="http://a.org/r0", anchor="go", score=0.7)), 10)
    for i in range(50):
        task = queue.take(1.0)
        if task is None:
            break
        assert (task.fetch_reason.anchor, task.fetch_reason.via, task.depth) == ("go", START, 1)
        queue.redirect(task, f"http://a.org/r{i + 1}", 302)
    assert queue.counts()["dropped"] == {"redirect": 10, "redirect_loop": 1}
    assert queue.finished


def test_a_redirect_to_itself_and_one_to_what_was_seen(open_queue: Open) -> None:
    queue = open_queue(scope="host")
    queue.page(taken(queue), report("http://a.org/self", "http://a.org/back"), 10)
    for _ in range(2):
        task = taken(queue)
        queue.redirect(task, task.url if "self" in task.url else START, 301)
    assert queue.counts()["dropped"] == {"redirect": 1, "redirect_loop": 1}


def test_a_start_url_may_lead_to_its_proper_name_and_that_is_remembered(open_queue: Open) -> None:
    queue = open_queue(scope="host")
    queue.redirect(taken(queue), "http://www.a.org/", 301)
    queue.close()
    queue = open_queue(scope="host")
    queue.page(taken(queue), report("http://www.a.org/x", "http://b.org/"), 10)
    assert taken(queue).url == "http://www.a.org/x"
    assert queue.counts()["dropped"]["off_site"] == 1


@pytest.mark.parametrize(
    ("url", "canonical", "same"),
    [
        ("http://a.org/x?sid=1", "http://a.org/x", True),
        ("http://www.a.org/x/", "https://a.org/x/index.html", True),
        ("http://a.org/x", "http://a.org/", False),
        ("http://a.org/x?page=2", "http://a.org/x?page=1", False),
        ("http://a.org/x", "http://b.org/x", False),
    ],
)
def test_other_names_that_are_believed(url: str, canonical: str, same: bool) -> None:
    assert is_other_name(url, canonical) == same


def test_canonical_names_are_not_fetched_and_other_claims_are_links(open_queue: Open) -> None:
    queue = open_queue()
    queue.page(taken(queue), report("http://a.org/x?sort=1", "http://a.org/x", "http://a.org/y?v=2"), 10)
    by_url = {}
    while (task := queue.take(1.0)) is not None:
        by_url[task.url] = task
        if "sort" in task.url:
            queue.page(task, PageReport(score=0.5, num_words=1, canonical="http://a.org/x", fingerprint=1), 10)
        elif "y?v" in task.url:
            queue.page(task, PageReport(score=0.5, num_words=1, canonical="http://a.org/z", fingerprint=2), 10)
        else:
            queue.page(task, report(), 10)
    assert "http://a.org/z" in by_url
    fetched_first = min(by_url, key=lambda url: by_url[url].fetch_reason.order)
    assert ("http://a.org/x" in by_url) == (fetched_first == "http://a.org/x")
    assert_adds_up(queue)


def test_links_of_a_copy_are_not_followed(open_queue: Open) -> None:
    queue = open_queue()
    queue.page(taken(queue), report("http://a.org/s/1/", content="same"), 10)
    line = queue.page(taken(queue), report("http://a.org/s/1/2/", content="same"), 10)
    assert line["notes"] == "copy"
    assert queue.finished


# --- traps --------------------------------------------------------------------------------------------


def test_a_calendar_ends(open_queue: Open) -> None:
    queue = open_queue()
    task, fetched = taken(queue), 0
    queue.page(task, report("http://a.org/calendar/2024/1"), 10)
    while (task := queue.take(1.0)) is not None and fetched < 500:
        fetched += 1
        queue.page(task, report(*(f"http://a.org/calendar/2024/{fetched + i}" for i in range(1, 4))), 10)
    assert fetched == MAX_CALENDAR_URLS
    assert queue.counts()["dropped"]["trap_calendar"] > 0


def test_facets_end_where_they_bring_nothing_new(open_queue: Open) -> None:
    queue = open_queue()
    combinations = [f"http://a.org/shop?colour={i}&size={j}" for i in range(30) for j in range(30)]
    queue.page(taken(queue), report(*combinations), 10)
    assert queue.counts()["dropped"] == {"budget": MAX_FACET_URLS, "trap_facets": 900 - MAX_FACET_URLS}
    fetched = 0
    while (task := queue.take(1.0)) is not None:
        fetched += 1
        queue.page(task, report(*combinations, content="nothing in stock", print_=7), 10)
    assert fetched == MIN_ALIKE_PAGES
    assert queue.counts()["dropped"]["trap_alike"] > 0
    assert_adds_up(queue)


def test_a_forum_with_two_parameters_goes_on(open_queue: Open) -> None:
    queue = open_queue()
    queue.page(taken(queue), report(*(f"http://a.org/t?f=1&t={i}" for i in range(50))), 10)
    for i in range(300):
        queue.page(taken(queue), report(*(f"http://a.org/t?f=1&t={j}" for j in range(i, i + 50))), 10)
    assert queue.num_pages == 301


def test_pages_that_repeat_close_their_pattern(open_queue: Open) -> None:
    queue = open_queue()
    queue.page(taken(queue), report(*(f"http://a.org/item/{i}" for i in range(100)), "http://a.org/real/1"), 10)
    text = "This item is not available any more, please look at our other items " * 3
    urls = []
    while (task := queue.take(1.0)) is not None:
        urls.append(task.url)
        alike = fingerprint(f"{text} item {task.id}") if "item" in task.url else None
        queue.page(task, report(print_=alike), 10)
    # the first of its kind is no repetition
    assert len([url for url in urls if "item" in url]) == MIN_ALIKE_PAGES
    assert "http://a.org/real/1" in urls
    assert queue.counts()["dropped"] == {"trap_alike": 100 - MIN_ALIKE_PAGES}


# --- on disk ------------------------------------------------------------------------------------------


def test_it_goes_on_where_it_was(open_queue: Open) -> None:
    queue = open_queue(max_pages=10)
    queue.page(taken(queue), report(*(f"http://a.org/{i}" for i in range(8)), score=0.9), 10)
    queue.page(taken(queue), report(score=0.2), 10)
    in_flight, written = taken(queue), taken(queue)
    queue.archived("crawl-00000.warc.gz", 500, written.id, 100)
    before = (queue.num_pages, queue.num_relevant, queue.size_bytes)
    queue.store.close()  # without a word, as a kill does
    queue = open_queue(max_pages=10)
    assert (queue.num_pages, queue.num_relevant, queue.size_bytes) == before
    assert queue.store.archives() == {"crawl-00000.warc.gz": 500}
    ((task, archive, offset),) = queue.stored()
    assert (task.id, task.url, archive, offset) == (written.id, written.url, "crawl-00000.warc.gz", 100)
    queue.page(task, report(), 10)
    rest = [found.fetch_reason for found in iter(lambda: queue.take(1.0), None)]
    assert len(rest) == 6
    assert in_flight.url in {reason.url for reason in rest}
    assert min(reason.order for reason in rest) == 5  # orders are not given twice


def test_a_raised_budget_goes_on(open_queue: Open) -> None:
    queue = open_queue(max_pages=1, max_pages_per_host=1)
    queue.page(taken(queue), report("http://a.org/1"), 10)
    assert queue.finished
    queue.close()
    queue = open_queue(max_pages=2, max_pages_per_host=2)
    assert not queue.finished
    taken(queue)


def test_another_crawl_or_process_is_refused(open_queue: Open) -> None:
    queue = open_queue()
    with pytest.raises(MathwrightError, match="another process"):
        open_queue()
    queue.close()
    with pytest.raises(MathwrightError, match="other start URLs"):
        open_queue(identity="other")


def test_a_frontier_that_an_earlier_version_left_is_taken_up(open_queue: Open, tmp_path: Path) -> None:
    """Version 1 of the file: one URL in each state, the next to be fetched the one that was in flight."""
    db = sqlite3.connect(tmp_path / "frontier.sqlite")
    db.executescript((Path(__file__).parents[2] / "golden" / "frontier_v1.sql").read_text())
    db.close()
    queue = open_queue()
    assert [line["url"] for line in queue.store.lines_after(0)] == ["http://a.org/", "http://a.org/missing"]
    assert queue.store.line(1) == {
        "line": 1, "order": 1, "url": "http://a.org/", "depth": 0, "host_share": 0.5, "path_share": 0.5, "words": 0.0,
        "priority": 0.5, "outcome": "page", "status": 200, "score": 0.6, "archive": "crawl-00000.warc.gz", "offset": 10,
    }  # fmt: skip
    assert queue.counts()["dropped"] == {"budget": 2, "status_4xx": 1, "unanswered": 1}
    ((task, archive, offset),) = queue.stored()
    assert (task.url, archive, offset) == ("http://a.org/stored", "crawl-00000.warc.gz", 110)
    queue.page(task, report("http://a.org/missing", "http://a.org/flying"), 10)
    assert [taken(queue).url for _ in range(2)] == ["http://a.org/flying", "http://a.org/queued"]
    assert queue.take(1.0) is None
    assert_adds_up(queue)


def test_the_file_of_reasons_catches_up(open_queue: Open, tmp_path: Path) -> None:
    queue = open_queue()
    path = tmp_path / "grounds.jsonl"
    file = ReasonsFile(path, queue.store)
    file.write(queue.page(taken(queue), report(*(f"http://a.org/{i}" for i in range(4))), 10))
    file.write(queue.page(taken(queue), report(), 10))
    whole = path.read_bytes()
    file.close()
    path.write_bytes(whole[:-7])  # a line half written
    queue.page(taken(queue), report(), 10)  # and one that never was
    ReasonsFile(path, queue.store).close()
    lines = path.read_bytes().splitlines()
    assert path.read_bytes().startswith(whole) and len(lines) == 3
    ReasonsFile(path, queue.store).close()
    assert path.read_bytes().splitlines() == lines


FILL = """
import sys, resource
from pathlib import Path
from mathwright.corpus.crawl import store
from mathwright.corpus.crawl.page import Link, PageReport
from tests.corpus.crawl.test_queue import Budget, Pace, Queue, Scope, report
store.CACHE_KIB = 1024  # full at once, so that it grows no more
queue = Queue(Path(sys.argv[1]), scope=Scope("any", ["http://a.org/"]), identity="", scored=True,
    pace=Pace(delay_s=0, requests_per_host=9, max_pages_per_host=10**9, max_hosts=0), budget=Budget(max_pages=10**9))
queue.add_starts(["http://a.org/"])
for page in range(15):
    task = queue.take(1.0)
    queue.page(task, report(*(Link(url=f"http://h{(page * 7 + i) % 97}.org/folder{i % 50}/page-{page}-{i}",
        anchor=f"anchor text number {i}", score=(i * 37 % 100) / 100) for i in range(2000))), 10)
    if page in (4, 14):
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_frontier(tmp_path: Path) -> None:
    """From 10,000 addresses to 30,000: kept in memory, they would take a third of a KiB each at least."""
    path = tmp_path / "frontier.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path)],
        cwd=Path(__file__).resolve().parents[3], capture_output=True, text=True, check=True,
    )  # fmt: skip
    small, large = (int(line) for line in done.stdout.split())
    assert path.stat().st_size > 5 * 2**20
    assert large - small < 3 * 2**10, (small, large)
