"""Domains by the 10% rule, prefixes by their shares, and rules that a person can read and mend."""

import fnmatch
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mathwright.corpus.rules.domains import (
    Share,
    address,
    domain,
    domain_table,
    is_mathematical,
    registered_domain,
    wilson,
)
from mathwright.corpus.rules.rules import Rule, matching, propose_rules, read_rules, rejected, write_rules
from mathwright.errors import MathwrightError
from tests.properties import examples


@given(trials=st.integers(1, 500), data=st.data())
def test_wilson_ends_solve_the_score_equation(trials, data):
    """The ends are the shares p at which (p_hat - p)^2 = z^2 p (1 - p) / n."""
    successes = data.draw(st.integers(0, trials))
    z, p_hat = 1.959963984540054, successes / trials

    def distance(p):
        return (p_hat - p) ** 2 - z * z * p * (1 - p) / trials

    low, high = wilson(successes, trials)
    assert distance(low) == pytest.approx(0, abs=1e-12)
    assert distance(high) == pytest.approx(0, abs=1e-12)
    assert 0 <= low <= p_hat + 1e-12 and p_hat - 1e-12 <= high <= 1
    assert high - low > 1 / (trials + z * z)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://www.Example.org:8080/a/b?q=1#c", "example.org/a/b"),
        ("http://example.org", "example.org/"),
        ("http://[broken/", "/"),
    ],
)
def test_address(url, expected):
    assert address(url) == expected


def address_by_urlsplit(url):
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "/"
    return host.removeprefix("www.") + (parts.path or "/")


@examples(1000)
@given(
    st.sampled_from(["http://", "https://", "HTTP://", "ftp://", "//", ""]),
    st.lists(
        st.sampled_from(["www.", "a", "B", "org", ".", "-", ":80", ":x", "@", "[::1]", "[", "é", " "]), max_size=4
    ),
    st.lists(
        st.sampled_from(["/", "a", "?", "#", "%2f", ";p", ":", "\\", "[", " ", "\t", "\n", "數", "~", "\x7f"]),
        max_size=6,
    ),
)
def test_plain_urls_have_the_address_of_any_url(scheme, host, tail):
    url = scheme + "".join(host) + "".join(tail)
    assert address(url) == address_by_urlsplit(url)


@pytest.mark.parametrize(
    ("host", "expected", "why"),
    [
        ("en.wikipedia.org", "wikipedia.org", "one owner"),
        ("maths.ox.ac.uk", "ox.ac.uk", "a public suffix of two labels"),
        ("ada.github.io", "ada.github.io", "strangers have their sites there"),
        ("a.ada.github.io", "ada.github.io", "below such a site"),
        ("github.io", "github.io", "a public suffix itself"),
        ("127.0.0.1", "127.0.0.1", "an address"),
        ("localhost", "localhost", "no suffix"),
        ("数学.中国", "数学.中国", "not ASCII"),
        ("", "", "no host"),
    ],
)
def test_registered_domain(host, expected, why):
    assert registered_domain(host) == expected, why


def test_registered_domains_never_ask_the_network(monkeypatch):
    import socket

    from mathwright.corpus.rules import domains

    def no_network(*_):
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    domains._suffixes.cache_clear()
    registered_domain.cache_clear()
    assert registered_domain("a.b.co.jp") == "b.co.jp"


def test_hosts_of_one_owner_are_one_domain_by_option():
    urls = ["http://en.wiki.org/a", "http://de.wiki.org/a", "http://www.wiki.org:80/", "http://other.org/"]
    collected = np.array([True, True, False, False])
    rows = {row.name: (row.num_pages, row.num_collected) for row in domain_table(urls, collected, "registered")}
    assert rows == {"wiki.org": (3, 2), "other.org": (1, 0)}
    assert len(domain_table(urls, collected)) == 4
    assert domain(urls[0], "registered") == "wiki.org" and domain(urls[0]) == "en.wiki.org"


def test_the_ten_percent_rule_is_strict_and_needs_pages():
    def row(pages, collected):
        return Share(name="a.org", num_pages=pages, num_collected=collected)

    assert not is_mathematical(row(100, 10), min_share=0.1, min_pages=5)
    assert is_mathematical(row(100, 11), min_share=0.1, min_pages=5)
    assert not is_mathematical(row(4, 4), min_share=0.1, min_pages=5)


def site(host, path, num, collected):
    """`num` pages of which the first `collected` were collected."""
    return [(f"http://{host}/{path}{i}", i < collected) for i in range(num)]


PAGES = (
    site("qa.org", "questions/", 40, 38)
    + site("qa.org", "users/", 60, 0)
    + site("book.org", "", 30, 29)
    + site("shop.org", "items/", 100, 5)
)
URLS = [url for url, _ in PAGES]
COLLECTED = np.array([collected for _, collected in PAGES])


def propose(urls=URLS, collected=COLLECTED):
    table = domain_table(urls, collected)
    rows = [row for row in table if is_mathematical(row, min_share=0.1, min_pages=5)]
    return propose_rules(urls, collected, rows, min_share=0.5, min_pages=5, note="iteration 1")


def test_domain_table_counts_and_sorts():
    table = domain_table(URLS, COLLECTED)
    assert [(row.name, row.num_pages, row.num_collected) for row in table] == [
        ("qa.org", 100, 38),
        ("book.org", 30, 29),
        ("shop.org", 100, 5),
    ]


def test_the_shortest_mathematical_prefix_is_proposed():
    rules = propose()
    assert {rule.glob for rule in rules} == {"qa.org/questions/*", "book.org/*"}
    assert all(rule.by == "automatic" and "pages collected" in rule.why for rule in rules)
    accepted = matching(URLS, rules)
    assert accepted.sum() == 70  # collected or not: the uncollected ones join the seed
    assert not any("users" in url for url, is_accepted in zip(URLS, accepted, strict=True) if is_accepted)


def test_globs_do_not_read_a_path_as_a_pattern():
    pages = site("a.org", "x[1]/", 10, 10) + site("a.org", "x1/", 30, 0)
    urls, collected = [u for u, _ in pages], np.array([c for _, c in pages])
    rules = propose(urls, collected)
    assert matching(urls, rules).tolist() == collected.tolist()


def test_a_reject_overrules_an_accept():
    rules = [
        Rule(glob="qa.org/*", decision="accept", by="automatic", why=""),
        Rule(glob="qa.org/users/*", decision="reject", by="Ada", why="profiles"),
    ]
    assert matching(URLS, rules).sum() == 40
    assert not matching(URLS, []).any()


def test_hosts_may_be_patterns_too():
    rules = [
        Rule(glob="*.org/items/1*", decision="accept", by="Ada", why=""),
        Rule(glob="shop.org/items/12", decision="reject", by="Ada", why=""),
        Rule(glob="book.org/*", decision="accept", by="Ada", why=""),
    ]
    accepted = [url for url, is_accepted in zip(URLS, matching(URLS, rules), strict=True) if is_accepted]
    shop = [f"http://shop.org/items/{i}" for i in (1, 10, 11, *range(13, 20))]
    assert accepted == [f"http://book.org/{i}" for i in range(30)] + shop


PIECES = st.sampled_from(["a.org", "b.org", "/", "/x/", "x", "*", "?", "[x]", "[[]", "["])


@given(
    st.lists(st.lists(st.sampled_from(["a.org/", "b.org/", "x/", "x", "[", "y"]), min_size=1, max_size=5), max_size=8),
    st.lists(st.tuples(st.lists(PIECES, min_size=1, max_size=5), st.sampled_from(["accept", "reject"])), max_size=6),
)
@example([["a.org/", "y"], ["a.org/", "x"]], [(["a.org", "/", "[x]"], "accept")])
@example([["a.org/", "x/", "y"], ["a.org/", "x"]], [(["a.org", "/x/", "*"], "accept"), (["a.org", "/", "*"], "reject")])
def test_rules_match_as_fnmatch_does_however_they_are_looked_up(pages, globs):
    urls = ["http://" + "".join(page) for page in pages]
    rules = [Rule(glob="".join(glob), decision=decision, by="", why="") for glob, decision in globs]

    def matched(url, decision):
        page = address(url)
        return any(rule.decision == decision and fnmatch.fnmatchcase(page, rule.glob) for rule in rules)

    expected = [matched(url, "accept") and not matched(url, "reject") for url in urls]
    assert matching(urls, rules).tolist() == expected
    assert rejected(urls, rules).tolist() == [matched(url, "reject") for url in urls]


def test_rules_for_the_hosts_of_a_registered_domain():
    pages = site("a.wiki.org", "maths/", 30, 30) + site("b.wiki.org", "", 30, 30) + site("c.wiki.org", "", 30, 0)
    urls, collected = [u for u, _ in pages], np.array([c for _, c in pages])
    rows = domain_table(urls, collected, "registered")
    rules = propose_rules(urls, collected, rows, min_share=0.5, min_pages=5, note="", unit="registered")
    assert [rule.glob for rule in rules] == ["a.wiki.org/*", "b.wiki.org/*"]


def test_rules_file_round_trip(tmp_path):
    path = tmp_path / "rules.toml"
    rules = [
        *propose(),
        Rule(glob="a.org/x[[]1]/*", decision="reject", by='O"Hara\\', why="a\nb\tü", when="2024-02-29"),
    ]
    write_rules(path, rules)
    assert read_rules(path) == rules
    assert 'glob = "qa.org/questions/*"\ndecision = "accept"\nby = "automatic"' in path.read_text()


def test_a_rule_says_when_as_text_or_as_a_date_of_toml(tmp_path):
    path = tmp_path / "rules.toml"
    rule = '[[rule]]\nglob = "a.org/*"\ndecision = "accept"\nby = "Ada"\nwhy = ""\n'
    dates = ('"2024-02-29T13:05:00Z"', "2024-02-29T13:05:00Z", "2024-02-29", '""')
    path.write_text(rule + "".join(f"{rule}when = {date}\n" for date in dates))
    times = [rule.when for rule in read_rules(path)]
    assert times == ["", "2024-02-29T13:05:00Z", "2024-02-29T13:05:00Z", "2024-02-29", ""]
    write_rules(path, read_rules(path))
    assert [rule.when for rule in read_rules(path)] == times


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]\n", "not TOML.*line 1"),
        ('[[rules]]\nglob = "a.org/*"\n', "unexpected rules"),
        ('[[rule]]\nglob = "a.org/*"\n', "rule 1: missing or unknown: by, decision, why"),
        ('[[rule]]\nglob = "a.org/*"\ndecision = "maybe"\nby = ""\nwhy = ""\n', "rule 1: a value is wrong"),
        ('[[rule]]\nglob = "https://a.org/*"\ndecision = "accept"\nby = ""\nwhy = ""\n', "has a scheme"),
        ('[[rule]]\nglob = "a.org"\ndecision = "accept"\nby = ""\nwhy = ""\n', "no host and path"),
        ('[[rule]]\nglob = "a.org/[x*"\ndecision = "accept"\nby = ""\nwhy = ""\n', "unclosed"),
        ('[[rule]]\nglob = "a.org/*"\ndecision = "accept"\nby = ""\nwhy = ""\nwhen = "soon"\n', "rule 1: when 'soon'"),
        ('[[rule]]\nglob = "a.org/*"\ndecision = "accept"\nby = ""\nwhy = ""\nwhen = 7\n', "rule 1: when 7"),
        ('[[rule]]\nglob = " "\ndecision = "accept"\nby = ""\nwhy = ""\n', "empty"),
    ],
)
def test_a_wrong_rules_file_is_named(tmp_path, text, message):
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(MathwrightError, match=message) as caught:
        read_rules(path)
    assert "rules.toml" in caught.value.message
    assert caught.value.hint
