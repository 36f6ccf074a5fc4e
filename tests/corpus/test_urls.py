"""URLs: one spelling a page, keys that say which pages are one, domains by the public suffix list."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mathwright.corpus import urls
from mathwright.corpus.urls import address, bare_url, fetchable_url, is_private, page_key, registered_domain
from tests.properties import examples

# --- one spelling a page ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://Example.ORG:80/a#part", "http://example.org/a"),
        ("https://example.org:443", "https://example.org/"),
        ("https://example.org:8443/x", "https://example.org:8443/x"),
        ("http://a.org/p?utm_source=x&b=2&a=1&gclid=9", "http://a.org/p?a=1&b=2"),
        ("http://[::1]:80/", "http://[::1]/"),
        ("mailto:me@example.org", ""),
        ("http://[broken/", ""),
        ("http://a.org:port/", ""),
        ("javascript:void(0)", ""),
        # session ids, in the query, after a semicolon, in ASP.NET's brackets
        ("http://a.org/p?PHPSESSID=0123456789abcdef&x=1", "http://a.org/p?x=1"),
        ("http://a.org/p;jsessionid=ABC123?x=1", "http://a.org/p?x=1"),
        ("http://a.org/(S(lit3py55t21z5v55vlm25s55))/p.aspx", "http://a.org/p.aspx"),
        ("http://a.org/p?CFID=12&CFTOKEN=34", "http://a.org/p"),
        # what some sites take for a session and others for a page: by its value
        ("http://a.org/viewtopic.php?t=5&sid=0123456789abcdef0123456789abcdef", "http://a.org/viewtopic.php?t=5"),
        ("http://a.org/article.php?sid=12", "http://a.org/article.php?sid=12"),
        ("http://a.org/programme?session_id=7", "http://a.org/programme?session_id=7"),
        ("http://a.org/p?SessionID=k3j5h2v9c0q8w7e6&x=1", "http://a.org/p?x=1"),
        # every list knew others of these
        ("http://a.org/p?ref_src=twsrc%5Etfw&zenid=1&mkt_tok=2&srsltid=3&mc_eid=4&oly_enc_id=5", "http://a.org/p"),
        # a query in another encoding stays what it is
        ("http://a.org/p?q=caf%e9&utm_source=x", "http://a.org/p?q=caf%E9"),
        ("http://a.org/p?%75tm_source=x&a", "http://a.org/p?a="),
        # names of hosts in other scripts
        ("http://Bücher.example/ä", "http://xn--bcher-kva.example/%C3%A4"),
        ("http://bücher.example./", "http://xn--bcher-kva.example/"),
        # dots and slashes
        ("http://a.org/x/../y/./z", "http://a.org/y/z"),
        ("http://a.org/../y", "http://a.org/y"),
        ("http://a.org/b%7Ec", "http://a.org/b~c"),
        # what is no address
        ("http://a..org/", ""),
        ("http://a b.org/", ""),
        ("http://\x00/", ""),
        ("http://user:secret@a.org/x", "http://a.org/x"),
        (f"http://{'a' * 70}.org/", ""),
        ("http://xn--/", ""),
        ("http://a.org/\udcff", "http://a.org/" + 3 * "%EF%BF%BD"),
    ],
)
def test_fetchable_url(url: str, expected: str) -> None:
    assert fetchable_url(url) == expected
    assert fetchable_url(expected) == expected


@example("http://a.org/", "x/..", ".")
@example("http://a-b.a.org/", "x", "/")
@examples(500)
@given(
    st.sampled_from(
        ["http://a.org/", "https://a-b.org/", "http://-a.org/", "http://a..org/", "http://A.org/", "http://a.b.c.org"]
    ),
    st.text("aB0~-._/", max_size=8),
    st.sampled_from(["", "/", ".", "//", "?", "%41", "é", " ", "\n"]),
)
def test_simple_urls_are_spelled_as_any_url(start: str, path: str, end: str) -> None:
    url = start + path + end
    with pytest.MonkeyPatch.context() as patch:
        found = urls._one_spelling(url)
        patch.setattr(urls, "_SIMPLE_URL", urls.re.compile(r"(?!)"))
        assert found == urls._one_spelling(url)


# --- which pages are one -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("http://A.org:80/x", "https://a.org/x"),
        ("http://a.org", "http://a.org/#top"),
        ("http://a.org/x?utm_source=feed&utm_medium=rss", "http://a.org/x"),
        ("http://a.org/x?b=2&a=1&fbclid=Z", "http://a.org/x?a=1&b=2"),
        ("http://a.org/%7Eme/%e4%b8%ad", "http://a.org/~me/中"),
        ("http://a.org/x;jsessionid=1F?p=1", "http://a.org/x?p=1"),
        ("http://a.org/x?zenid=1&mkt_tok=2&ref_src=3&srsltid=4", "http://a.org/x"),
        ("http://a.org/(S(lit3py55t21z5v55vlm25s55))/x", "http://a.org/y/../x"),
        ("http://Bücher.example/", "http://xn--bcher-kva.example/"),
    ],
)
def test_one_page_under_two_addresses(url: str, same: str) -> None:
    assert page_key(url) == page_key(same)


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("http://a.org/x", "http://a.org/X"),
        ("http://a.org/x", "http://a.org:8080/x"),
        ("http://a.org/x?id=1", "http://a.org/x?id=2"),
        ("http://a.org/a%2Fb", "http://a.org/a/b"),
        ("http://a.org/x?q=", "http://a.org/x"),
        ("http://a.org/article.php?sid=12", "http://a.org/article.php?sid=13"),  # a story each
        ("http://a.org/x?q=%E9", "http://a.org/x?q=%E8"),  # é and è in Latin-1
        ("ftp://a.org/x", "http://a.org/x"),
    ],
)
def test_two_pages(url: str, other: str) -> None:
    assert page_key(url) != page_key(other)


def test_an_unparsable_url_is_its_own_key() -> None:
    assert page_key("http://[x") == "http://[x"


# --- as rules and indexes see a URL --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://www.Example.org:8080/a/b?q=1#c", "example.org/a/b"),
        ("http://example.org", "example.org/"),
        ("http://[broken/", "/"),
    ],
)
def test_address(url: str, expected: str) -> None:
    assert address(url) == expected


def address_by_urlsplit(url: str) -> str:
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
def test_plain_urls_have_the_address_of_any_url(scheme: str, host: list[str], tail: list[str]) -> None:
    url = scheme + "".join(host) + "".join(tail)
    assert address(url) == address_by_urlsplit(url)


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://www.Math.org/A?b=C#d", "math.org/A?b=C"),
        ("http://math.org", "math.org"),
        ("wwwx.org/www.", "wwwx.org/www."),
    ],
)
def test_what_captures_are_compared_by(url: str, bare: str) -> None:
    assert bare_url(url) == bare


# --- hosts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "expected", "why"),
    [
        ("en.wikipedia.org", "wikipedia.org", "one owner"),
        ("maths.ox.ac.uk", "ox.ac.uk", "a public suffix of two labels"),
        ("ada.github.io", "ada.github.io", "strangers have their sites there"),
        ("a.ada.github.io", "ada.github.io", "below such a site"),
        ("github.io", "github.io", "a public suffix itself"),
        ("ada.blogspot.com", "ada.blogspot.com", "likewise"),
        ("127.0.0.1", "127.0.0.1", "an address"),
        ("::ffff:1.2.3.4", "::ffff:1.2.3.4", "an address with dots and colons"),
        ("docs.site.localhost", "site.localhost", "an ending that the list does not know is a suffix"),
        ("co.uk", "co.uk", "a public suffix of two labels itself"),
        ("localhost", "localhost", "no suffix"),
        ("数学.中国", "数学.中国", "not ASCII"),
        ("", "", "no host"),
    ],
)
def test_registered_domain(host: str, expected: str, why: str) -> None:
    assert registered_domain(host) == expected, why


def test_registered_domains_never_ask_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    urls._suffixes.cache_clear()
    registered_domain.cache_clear()
    assert registered_domain("a.b.co.jp") == "b.co.jp"


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "localhost", "intranet", "a.local"]
)
def test_private_hosts(name: str) -> None:
    assert is_private(name)


@pytest.mark.parametrize("name", ["example.org", "8.8.8.8", "2001:4860:4860::8888"])
def test_public_hosts(name: str) -> None:
    assert not is_private(name)
