"""Which addresses a crawl may connect to: those of the public Internet, and those that its start URLs have.

Links, redirects and names of the web must not lead a crawler to this machine or the networks around it. What a host is
called says little (`0x7f.1`, `2130706433`, a name that resolves to 10.0.0.1, one that resolves differently the second
time), so the decision is taken on the address that a connection is about to be made to.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from mathwright.corpus.urls import DEFAULT_PORTS, LOOPBACK, Address, is_loopback, is_private, is_public, parse_address

_LOOKUPS = 32
_LOOKUP_S = 20.0


class PrivateAddressError(Exception):
    """A connection was about to be made to an address that is not the crawl's to reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where connections may go: public addresses and these endpoints."""

    endpoints: frozenset[tuple[str, int]] = frozenset()
    """Private addresses with the ports at which they may be reached."""
    hosts: frozenset[str] = frozenset()
    """Names of start URLs at such addresses."""
    proxies: frozenset[tuple[str, int]] = frozenset()
    """Hosts and ports of the proxies that the environment names."""

    @classmethod
    def of(cls, start_urls: Sequence[str], *, use_proxy: bool = False) -> Reach:
        """The reach of a crawl from some start URLs, whose names are looked up now.

        A start URL all of whose addresses are private opens these addresses, at its own port and those of http and
        https, to the whole crawl. A name that has another address later opens nothing.
        """
        proxies = _proxies() if use_proxy else frozenset()
        parts = [urlsplit(url) for url in start_urls]
        names = sorted({part.hostname for part in parts if part.hostname})
        addresses = dict(zip(names, _look_up([] if proxies else names), strict=False))
        endpoints: set[tuple[str, int]] = set()
        hosts: set[str] = set()
        for part in parts:
            found = addresses.get(part.hostname or "", _spelled(part.hostname or ""))
            if found and not any(is_public(address) for address in found):
                hosts.add(part.hostname or "")
                ports = {part.port or DEFAULT_PORTS.get(part.scheme, 80), *DEFAULT_PORTS.values()}
                endpoints |= {(str(address), port) for address in found for port in ports}
        return cls(endpoints=frozenset(endpoints), hosts=frozenset(hosts), proxies=proxies)

    def check(self, host: str, port: int) -> None:
        """Raises PrivateAddressError where a connection to this address is not to be made."""
        address = parse_address(host)
        if (host, port) in self.proxies:
            return
        if address is None:
            raise PrivateAddressError(f"{host} is a name: where it leads cannot be told")
        if not is_public(address) and (str(address), port) not in self.endpoints:
            raise PrivateAddressError(f"{host}:{port} is on a private network, and no start URL is there")

    def check_url(self, url: str) -> None:
        """As `check` for what a URL spells, where a proxy makes the connection and alone knows the address."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parse_address(host) is not None:
            self.check(host, parts.port or DEFAULT_PORTS.get(parts.scheme, 80))
        elif is_private(host) and host not in self.hosts:
            raise PrivateAddressError(f"{host} is a name of a private network, and no start URL is there")


def _spelled(host: str) -> list[Address]:
    """The addresses that a host has without being looked up."""
    address = parse_address(host)
    if address is None and is_loopback(host):
        return [ipaddress.ip_address(each) for each in LOOPBACK]
    return [] if address is None else [address]


def _look_up(names: Sequence[str]) -> list[list[Address]]:
    """The addresses of each name; none for one that is not known, or not in time."""
    if not names:
        return []
    pool = ThreadPoolExecutor(min(_LOOKUPS, len(names)))
    found = [pool.submit(_addresses, name) for name in names]
    pool.shutdown(wait=False)
    return [_result(future) for future in found]


def _result(future: Any) -> list[Address]:
    try:
        return future.result(timeout=_LOOKUP_S)
    except TimeoutError:
        return []


def _addresses(name: str) -> list[Address]:
    if spelled := _spelled(name):
        return spelled
    try:
        infos = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [address for info in infos if (address := parse_address(str(info[4][0]))) is not None]


def _proxies() -> frozenset[tuple[str, int]]:
    found = set()
    for scheme, proxy in getproxies().items():
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        if scheme in DEFAULT_PORTS and parts.hostname:
            port = parts.port or DEFAULT_PORTS.get(parts.scheme, 80)
            found |= {(parts.hostname, port), *((str(address), port) for address in _addresses(parts.hostname))}
    return frozenset(found)
