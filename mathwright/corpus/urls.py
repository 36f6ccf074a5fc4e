"""What a URL says: how it is spelled when it is fetched, which page it names, whose host it is.

Four forms, each for one comparison:

    fetchable_url  what a crawler asks for, and by which it knows that it has asked
    page_key       what deduplication compares: pages of one key are one page
    address        host and path, which rules and domains go by
    bare_url       what an index of an archive is searched for
"""

from __future__ import annotations

import functools
import ipaddress
import re
import socket
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote_plus, urlsplit, urlunsplit

DEFAULT_PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# --- one spelling a page ------------------------------------------------------------------------------

_TRACKING = re.compile(
    r"utm_\w+|(?:g|fb|d|y)clid|msclkid|igshid|srsltid|mkt_tok|ref_src|mc_[ce]id|_ga|_gl|_hsenc|_hsmi|oly_(?:anon|enc)_id|"
    r"phpsessid|jsessionid|aspsessionid\w*|cfid|cftoken|oscsid|zenid",
    re.IGNORECASE,
)
"""Parameters that whoever links adds to tell visitors apart, and those in which a kind of server keeps its sessions."""
_PERHAPS_SESSION = re.compile(r"sid|session_?id", re.IGNORECASE)
"""Sessions on one site; a story, a talk or a student on another, where without it there is another page or none."""
_SESSION_TOKEN = re.compile(r"(?=.*\d)[0-9a-z_-]{16,}", re.IGNORECASE)
"""What a server draws for a session; nobody numbers stories so."""
_SESSION_IN_PATH = re.compile(r";(?:jsessionid|phpsessid|sid)=[^/;]*|/\([A-Z]\([0-9a-z]{16,}\)\)", re.IGNORECASE)
"""What Java servers write after a segment, and ASP.NET as one."""
_HOST = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)
_SIMPLE_URL = re.compile(
    r"https?://(?:[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?\.){1,4}[a-z]{2,20}/[A-Za-z0-9_~-]*+(?:[/.][A-Za-z0-9_~-]++)*+/?"
)
"""URLs that are spelled as `fetchable_url` spells them: most links of most pages."""


@functools.lru_cache(maxsize=200_000)  # pages of a site link to the same pages
def fetchable_url(url: str) -> str:
    """The URL as a crawler asks for it, one spelling a page: no fragment, user name or default port, neither session
    nor tracking parameters, the query sorted, percent-encoding in one form, the host in lower case and in ASCII.

    Only those parameters go without which the server gives the same page: what fetching may leave out is what
    `page_key` may leave out too, since deduplication drops a page by its key alone, unread. Both stay careful, for
    copies under other parameters are found by their text.

    Returns "" for what is no http(s) address.
    """
    return _one_spelling(url)


def page_key(url: str) -> str:
    """What names the page: URLs of the same key are the same page. `fetchable_url` without the scheme; a URL that
    cannot be fetched is its own key."""
    return _one_spelling(url).partition("://")[2] or url


def _one_spelling(url: str) -> str:
    if _SIMPLE_URL.fullmatch(url):
        return url
    from w3lib.url import canonicalize_url  # comes with Scrapy

    try:
        parts = urlsplit(url.encode("utf-8", "surrogatepass").decode("utf-8", "replace").strip())
        port = parts.port
        host = _ascii_host(parts.hostname or "")
    except ValueError:  # a bracket, a port or a name that is none
        return ""
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS or not host:
        return ""
    if port is not None and port != DEFAULT_PORTS[scheme]:
        host = f"{host}:{port}"
    path = _without_dots(_SESSION_IN_PATH.sub("", parts.path) or "/")
    return canonicalize_url(urlunsplit((scheme, host, path, _without_tracking(parts.query), "")))


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


def _without_tracking(query: str) -> str:
    """A query less its tracking and session parameters; the others stay as they are written, in whatever encoding."""
    kept = []
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        name = unquote_plus(name)
        is_session = _PERHAPS_SESSION.fullmatch(name) and _SESSION_TOKEN.fullmatch(value)
        if not is_session and not _TRACKING.fullmatch(name):
            kept.append(pair)
    return "&".join(kept)


def _ascii_host(name: str) -> str:
    """A host as the name service knows it; "" for what cannot be one. Raises UnicodeError where IDNA has none."""
    if ":" in name:
        return f"[{ipaddress.IPv6Address(name)}]"
    name = name.removesuffix(".")
    if not name.isascii():
        name = name.encode("idna").decode("ascii")
    return name if _HOST.fullmatch(name) and not name.startswith("xn--.") and name != "xn--" else ""


def _without_dots(path: str) -> str:
    """`/x/../y/./z` -> `/y/z`: links are resolved by their reader, but redirects and start URLs may hold dots."""
    if "/." not in path:
        return path
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == ".." and len(kept) > 1:
            kept.pop()
        elif segment not in (".", ".."):
            kept.append(segment)
    return "/".join([*kept, ""] if path.endswith(("/.", "/..")) else kept) or "/"


# --- as rules and indexes see a URL -------------------------------------------------------------------

_PLAIN_URL = re.compile(r"https?://(?:www\.)?+([a-z0-9.-]+)(?::[0-9]{1,5})?(/[!-\"$->@-~]*)?(?:[?#][!-~]*)?")
"""URLs without user names, capital letters in the host or characters beyond ASCII: nearly all."""


def address(url: str) -> str:
    """Host and path of a URL, as domains and rules see it: no scheme, `www.`, port, query or fragment.

    An unparsable URL has no host.
    """
    if plain := _PLAIN_URL.fullmatch(url):  # a third of the time of urlsplit, for every page several times
        return plain[1] + (plain[2] or "/")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:  # such as an unclosed [ of an IPv6 address
        return "/"
    return host.removeprefix("www.") + (parts.path or "/")


def bare_url(url: str) -> str:
    """A URL without scheme, "www." and fragment, its host in lower case: what captures in an index are compared by."""
    bare = url.split("#", 1)[0].split("://", 1)[-1]
    host, slash, rest = bare.partition("/")
    return host.lower().removeprefix("www.") + slash + rest


# --- hosts --------------------------------------------------------------------------------------------


def host_of_url(url: str) -> str:
    """Host with its port, as robots.txt and budgets go by."""
    return urlsplit(url).netloc


def portless(url: str) -> str:
    """Host, path and query: what an order among URLs may go by, for a local server gets another port each time."""
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}?{parts.query}"


@functools.lru_cache(maxsize=1 << 20)
def registered_domain(host: str) -> str:
    """The public suffix and one label before it: `example.co.uk` for `maths.example.co.uk`.

    By the algorithm of publicsuffix.org, private suffixes included: each site under a suffix where strangers have
    theirs (`github.io`, `blogspot.com`) is a domain, and an ending that the list does not know counts as a suffix
    (`site.localhost` for `docs.site.localhost`). An address, or a host that is itself a suffix, is its own domain.
    The list is the one that comes with tldextract: the same offline, and the same for everybody with that version.

    host: without its port.
    """
    found = _suffixes()(host)
    if found.suffix or parse_address(host) is not None:
        return found.top_domain_under_public_suffix or host
    return ".".join(host.split(".")[-2:])


@functools.cache
def _suffixes() -> Callable:
    import tldextract  # comes with Scrapy

    # No addresses to fetch from and no cache: otherwise it would ask the network for a newer list.
    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True).extract_str


# --- addresses of hosts -------------------------------------------------------------------------------

LOOPBACK = ("127.0.0.1", "::1")
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".intranet", ".corp", ".home.arpa")
_UNICAST = ipaddress.IPv6Network("2000::/3")
"""The only part of IPv6 that is given out; what is not in it, but for NAT64, is local, multicast or reserved."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: the IPv4 Internet as seen through a translator."""


def is_loopback(hostname: str) -> bool:
    """Whether a name or address is this machine's alone; names ending in .localhost are (RFC 6761)."""
    return hostname == "localhost" or hostname.endswith(".localhost") or hostname in LOOPBACK


def parse_address(host: str) -> Address | None:
    """The address that a host spells, in any way the system reads one (`127.1`, `0x7f.0.0.1`, `2130706433`), or None.

    An IPv4 address within IPv6 (`::ffff:127.0.0.1`) is that IPv4 address.
    """
    try:
        found: Address = ipaddress.ip_address(host.partition("%")[0])  # after the %: the interface
    except ValueError:
        try:
            found = ipaddress.IPv4Address(socket.inet_aton(host)) if host.isascii() and " " not in host else None  # type: ignore[assignment]
        except (OSError, ValueError):
            return None
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public Internet, as do the IPv4 addresses it stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and not address.is_reserved
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour is not None:
        return is_public(address.sixtofour)
    return address in _UNICAST and address.is_global and not address.is_multicast


def is_private(hostname: str) -> bool:
    """Whether a name or address, as it is spelled, belongs to this machine or a local network."""
    address = parse_address(hostname)
    if address is not None:
        return not is_public(address)
    name = hostname.lower().rstrip(".")
    return "." not in name or name.endswith(_LOCAL_NAMES)
