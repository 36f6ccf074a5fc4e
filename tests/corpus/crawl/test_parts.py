"""Parts of the focused crawler that need no network: scope, traps, scores, what is read from a page."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mathwright.children import python_path
from mathwright.corpus.crawl.hosts import parse_retry_after
from mathwright.corpus.crawl.page import MAX_LINKS, from_json, link_words, read_page
from mathwright.corpus.crawl.readers import PageReaders
from mathwright.corpus.crawl.scope import Scope, start_urls_of
from mathwright.corpus.crawl.score import Scale, WordShares, expected_share, logit, priority, relevance
from mathwright.corpus.crawl.traps import (
    fingerprint,
    is_alike,
    is_calendar,
    pattern_verdict,
    url_limit,
    url_pattern,
    url_trap,
)
from mathwright.corpus.rules.rules import Rule
from mathwright.records import to_json


def rule(glob: str, decision: str = "accept") -> Rule:
    return Rule(glob=glob, decision=decision, by="me", why="test")  # type: ignore[arg-type]


# --- scope --------------------------------------------------------------------------------------------


def test_scopes_admit_what_they_say() -> None:
    start = ["https://maths.ox.ac.uk/a"]
    urls = [
        "https://maths.ox.ac.uk/b", "https://www.ox.ac.uk/", "https://cam.ac.uk/", "http://10.0.0.1/",
    ]  # fmt: skip
    assert Scope("host", start).refusals(urls) == ["", "off_site", "off_site", "private_host"]
    assert Scope("domain", start).refusals(urls) == ["", "", "off_site", "private_host"]
    assert Scope("any", start).refusals(urls) == ["", "", "", "private_host"]


@pytest.mark.parametrize("suffix", ["github.io", "blogspot.com", "readthedocs.io"])
def test_a_site_among_strangers_is_a_domain_of_its_own(suffix: str) -> None:
    scope = Scope("domain", [f"https://alice.{suffix}/notes/"])
    urls = [
        f"https://alice.{suffix}/",
        f"https://new.alice.{suffix}:8080/",
        f"https://bob.{suffix}/",
        f"https://{suffix}/",
    ]
    assert scope.refusals(urls) == ["", "", "off_site", "off_site"]


def test_rules_are_the_scope_or_cut_into_it() -> None:
    start = ["https://mathoverflow.net/questions/"]
    rules = [rule("mathoverflow.net/questions/*"), rule("*/tagged/*", "reject")]
    urls = [
        "https://www.mathoverflow.net/questions/1/x",
        "https://mathoverflow.net/questions/tagged/algebra",
        "https://mathoverflow.net/users/1",
    ]
    assert Scope("prefixes", start, rules).refusals(urls) == ["", "off_site", "off_site"]
    assert Scope("any", start, rules).refusals(urls) == ["", "rule", ""]
    # a start URL is fetched whatever the rules say: it was asked for by name
    assert Scope("prefixes", ["https://mathoverflow.net/"], rules).refusals(["https://mathoverflow.net/"]) == [""]


def test_a_crawl_of_local_hosts_may_visit_local_hosts() -> None:
    assert Scope("any", ["http://a.localhost:8000/"]).refusals(["http://b.localhost:8000/"]) == [""]


def test_start_urls_of_rules() -> None:
    rules = [
        rule("a.org/q/*"),
        rule("b.org/x/p.html"),
        rule("*.c.org/*"),
        rule("d.org/q/*", "reject"),
        rule("e.org/ab*"),
    ]
    assert start_urls_of(rules) == ["https://a.org/q/", "https://b.org/x/p.html", "https://e.org/"]


# --- traps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/a/b/a/b/c", "trap_repeating"),
        ("/x/x/x/page", "trap_repeating"),
        ("/" + "/".join(f"d{i}" for i in range(17)), "trap_deep"),
        ("/" + "y" * 1000, "trap_long"),
        ("/shop?a=1&b=2&c=3&d=4&e=5&f=6&g=7", "trap_facets"),
        ("/calendar/2191/05", "trap_calendar"),
        ("/events?year=1066&month=3", "trap_calendar"),
        # and none of these
        ("/calendar/2024/05", ""),
        ("/questions/2191/sums", ""),
        ("/article/1066", ""),
        ("/docs/stable/reference/generated/scipy.special.gamma.html", ""),
        ("/2024/05/2024/06", ""),
        ("/a/b/a/c", ""),
        ("/w/index.php?title=Gamma&oldid=123456&action=raw", ""),
    ],
)
def test_traps_known_at_sight(path: str, reason: str) -> None:
    assert url_trap(f"http://a.org{path}") == reason


@pytest.mark.parametrize(
    ("url", "pattern"),
    [
        ("http://a.org/questions/123/title", "/questions/0/*"),
        ("http://a.org/calendar/2024/05/01/", "/calendar/0/*"),
        ("http://a.org/list?sort=up&page=7", "/list?page&sort"),
        ("http://a.org/s/0a1b2c3d4e5f60718293/p", "/s/x/*"),
        ("http://a.org/", "/*"),
    ],
)
def test_url_pattern(url: str, pattern: str) -> None:
    assert url_pattern(url) == pattern


def test_limits_grow_with_what_is_new() -> None:
    facets = "http://a.org/shop?colour=red&size=4"
    assert url_limit(facets, 0)[0] < url_limit(facets, 10)[0]  # type: ignore[operator]
    assert url_limit("http://a.org/thread?t=4", 0) == (None, "")
    assert is_calendar("http://a.org/cal?month=5") and not is_calendar("http://a.org/calculus/5")
    assert url_limit("http://a.org/cal?month=5", 1000) == url_limit("http://a.org/cal?month=5", 0)


def test_patterns_close_on_evidence() -> None:
    assert pattern_verdict(7, 7) == ""
    assert pattern_verdict(8, 5) == "trap_alike"
    assert pattern_verdict(100, 59) == ""


def test_fingerprints() -> None:
    words = [f"word{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(200)]
    page = " ".join(words)
    assert is_alike(fingerprint(f"page 7 of 9 {page}"), fingerprint(f"page 8 of 9 {page}"))
    assert not is_alike(fingerprint(page), fingerprint(" ".join(words[100:] + ["something"] * 3 + list("xyz"))))
    assert fingerprint("") == fingerprint("12 34") == 0


# --- scores -------------------------------------------------------------------------------------------


def test_priority_is_the_log_odds_pool() -> None:
    assert priority(0.0, 0.5) == pytest.approx(0.5)
    assert priority(relevance(0.0, 0.0, 0.0), 0.9) == pytest.approx(0.9)  # nothing else is known
    values = np.linspace(-2, 2, 7)
    for fixed in values:
        share = 1 / (1 + np.exp(-fixed))
        by_page = [priority(relevance(z, fixed, fixed), share) for z in values]
        by_anchor = [priority(relevance(fixed, z, fixed), share) for z in values]
        by_words = [priority(relevance(fixed, fixed, z), share) for z in values]
        by_share = [priority(relevance(fixed, fixed, fixed), 1 / (1 + np.exp(-z))) for z in values]
        for found in (by_page, by_anchor, by_words, by_share):
            assert all(a < b for a, b in itertools.pairwise(found))
    assert np.isfinite(logit(0.0)) and logit(0.0) == pytest.approx(-logit(1.0))


def test_scores_are_compared_with_those_seen() -> None:
    scale = Scale()
    assert scale.z(None) == scale.z(0.5) == 0.0
    scores = np.random.default_rng(0).normal(0.45, 0.01, 2000)
    for score in scores:
        scale.add(score)
    odds = np.log(scores / (1 - scores))
    assert scale.mean == pytest.approx(odds.mean(), rel=0.02)
    assert scale.z(0.47) > 0 > scale.z(0.43)  # of links between 0.43 and 0.47 one is good and one is poor
    spread = np.sqrt((odds.var() * 2000 + 10 + 10 * odds.mean() ** 2) / 2010)  # with the ten around 0.5
    assert scale.z(0.47) == pytest.approx((np.log(0.47 / 0.53) - scale.mean) / spread, rel=0.05)
    assert scale.z(1.0) == scale.z(0.99)


def test_words_are_judged_by_where_they_led() -> None:
    words = WordShares()
    assert words.evidence({"gamma", "jobs"}, 0.5) == 0.0
    rows = []
    for _ in range(9):
        words.learn({"gamma", "page"}, is_relevant=True)
        rows = words.learn({"jobs", "page"}, is_relevant=False)
    assert sorted(rows) == [("jobs", 9, 0), ("page", 18, 9)]
    assert words.evidence({"gamma"}, 0.5) > 1.5 > 0 > -1.5 > words.evidence({"jobs"}, 0.5)
    assert words.evidence({"page"}, 0.5) == pytest.approx(0.0)
    assert words.evidence({"gamma", "unheard"}, 0.5) == words.evidence({"gamma"}, 0.5)
    assert words.evidence({"page"}, 0.1) > 0  # better than the rest of a crawl that finds little
    assert WordShares(rows).evidence({"jobs"}, 0.5) == words.evidence({"jobs"}, 0.5)


def test_expected_share_explores_the_unknown_and_learns() -> None:
    assert expected_share(0, 0, 0.5) == 0.5
    assert expected_share(0, 1, 0.5) < 0.5 < expected_share(1, 1, 0.5)
    assert expected_share(0, 50, 0.5) < 0.02
    assert expected_share(10, 10, 0.1) > 0.8


# --- what is read from a page -------------------------------------------------------------------------

PAGE = """<html><head><base href="/deep/"><base href="/other/"><link rel="canonical" href="page?x=1">
<meta http-equiv="refresh" content="5; URL='next'"><title>T</title></head><body><p>Some words of text.</p>
<a href="one">First <b>link</b></a> <a href="one"></a> <a href="two"><img src=i.png alt="picture of two"></a>
<a rel="nofollow" href="secret">s</a> <a href="mailto:x@y.z">m</a> <a href="#top">t</a> <a href="JAVASCRIPT:x()">j</a>
<a href="http://[oops/">bad</a> <a href="//b.org/three" title="by title"></a> <a href="http://a.org:99999/">port</a>
<a href="ä?q=ö">umlauts</a> <map><area href="four" alt="an area"></map><a href=" /five\n/x ">break</a></body></html>"""


def test_links_with_their_words() -> None:
    report = read_page(PAGE.encode("latin-1"), "http://a.org/x/y", charset="latin-1", classifier=None)
    assert {link.url: link.anchor for link in report.links} == {
        "http://a.org/deep/next": "",
        "http://a.org/deep/one": "First link",
        "http://a.org/deep/two": "picture of two",
        "http://b.org/three": "by title",
        "http://a.org/deep/%C3%A4?q=%C3%B6": "umlauts",
        "http://a.org/deep/four": "an area",
        "http://a.org/five/x": "break",
    }
    assert report.canonical == "http://a.org/deep/page?x=1"
    assert (report.nofollow, report.noindex, report.score) == (False, False, None)
    follow_all = read_page(
        PAGE.encode("latin-1"), "http://a.org/x/y", charset="latin-1", classifier=None, follow_all=True
    )
    assert {link.url for link in follow_all.links} - {link.url for link in report.links} == {"http://a.org/deep/secret"}
    assert from_json(json.loads(json.dumps(to_json(report)))) == report


@pytest.mark.parametrize("content", ["noindex, nofollow", "NONE"])
def test_a_page_that_asks_not_to_be_followed(content: str) -> None:
    html = f'<meta name="Robots" content="{content}"><a href="/x">x</a>'.encode()
    report = read_page(html, "http://a.org/", charset=None, classifier=None)
    assert (report.nofollow, report.noindex, report.links) == (True, True, [])
    assert len(read_page(html, "http://a.org/", charset=None, classifier=None, follow_all=True).links) == 1


@pytest.mark.parametrize("html", [b"", b"\x00\xff\xfe", b"<a href='\xff\xfe'>x", b"<" * 10_000, b"<a href>" * 100])
def test_hostile_bytes_give_a_report(html: bytes) -> None:
    report = read_page(html, "http://a.org/", charset="utf-8", classifier=None)
    assert from_json(json.loads(json.dumps(to_json(report)))) == report


def test_a_page_with_a_hundred_thousand_links_is_read_in_part() -> None:
    html = "".join(
        f'<a href="/page/{i}/about-something-{i * 7}">Number {i} and so on</a><br>\n' for i in range(100_000)
    )
    started = time.process_time()  # whatever else the machine does
    report = read_page(html.encode(), "http://a.org/", charset=None, classifier=None)
    assert len(report.links) == MAX_LINKS
    assert report.num_more_links == 100_000 - MAX_LINKS
    assert time.process_time() - started < 60


@pytest.mark.parametrize("seed", ["1", "2", "3", "4"])
def test_a_link_with_several_texts_has_the_same_in_every_process(seed: str) -> None:
    code = (
        "from mathwright.corpus.crawl.page import read_links\n"
        "html = b''.join(b'<a href=/x>%s</a>' % text for text in (b'proof', b'Proof', b'lemma', b'rings', b'x'))\n"
        "print(*(link.anchor for link in read_links(html, 'http://a.org/', charset=None).links))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": python_path()}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "Proof\n"


def test_link_words() -> None:
    assert link_words("Gamma function", "http://a.org/wiki/Bessel_function?id=12&sort=up") == (
        "Gamma function wiki Bessel function id sort up"
    )


def test_copies_are_known_by_text_and_links_as_written() -> None:
    def content(html: str, url: str) -> str:
        return read_page(html.encode(), url, charset=None, classifier=None).content

    html = '<p>Text of the page.</p><a href="deeper/">on</a>'
    assert content(html, "http://a.org/x/") == content(html, "http://a.org/x/deeper/")
    assert content(html, "http://a.org/x/") != content(html.replace("deeper", "other"), "http://a.org/x/")
    assert content("", "http://a.org/x/") == ""


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("Thu, 01 Jan 1970 00:03:20 GMT", 100.0),
        ("Thu, 01 Jan 1970 00:00:20 GMT", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("-5", 0.0),
        ("9" * 400, 0.0),
    ],
)
def test_retry_after(value: str, seconds: float) -> None:
    assert parse_retry_after(value, now=100.0) == seconds


# --- workers ------------------------------------------------------------------------------------------


def test_a_worker_that_hangs_or_dies_is_replaced(tmp_path: Path) -> None:
    async def use() -> None:
        readers = PageReaders(1, "", follow_all=False, timeout_s=30)
        try:
            first = await readers.read(b"<p>Hello <a href=/x>x</a>", "http://a.org/", None)
            assert first is not None and [link.url for link in first.links] == ["http://a.org/x"]
            (worker,) = readers._all
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
            assert await readers.read(b"<p>Hello", "http://a.org/", None) is not None
            (worker,) = readers._all
            os.kill(worker.pid, signal.SIGSTOP)
            readers._timeout_s = 0.3
            assert await readers.read(b"<p>Hello", "http://a.org/", None) is None
            readers._timeout_s = 30
            assert await readers.read(b"<p>Hello again", "http://a.org/", None) is not None
        finally:
            await readers.close()

    asyncio.run(use())
