"""The network side of the crawling processes: names, connections and how much of an answer's header is read."""

from __future__ import annotations

from typing import Any

import scrapy.resolver
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.crawler import Crawler
from scrapy.http import Response
from twisted.internet import defer
from twisted.python.failure import Failure
from twisted.web import _newclient

from mathwright.corpus.archive.http_body import MAX_CODINGS, codings_of
from mathwright.corpus.crawl.job import CrawlJob
from mathwright.corpus.crawl.reach import Reach
from mathwright.corpus.urls import LOOPBACK, is_loopback

MAX_HEADER_BYTES = 256 << 10
"""Status line and headers of an answer, all together; browsers read no more."""
_IN_HEADER = (_newclient.STATUS, _newclient.HEADER)


class HeadersTooLargeError(Exception):
    """A server sends headers without end."""


class TooManyCodingsError(Exception):
    """A body is said to be coded more often than anyone codes one."""


class GuardedResolver(scrapy.resolver.CachingThreadedResolver):
    """Names ending in .localhost are the loopback (RFC 6761), also where the system's resolver does not know it.

    With it comes the guard of `crawl.reach` over every connection that this process makes, whoever asks for it: pages,
    robots.txt, redirects of either, through TLS or not.
    """

    reach: Reach

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: Any) -> GuardedResolver:
        resolver = super().from_crawler(crawler, reactor)
        job: CrawlJob = crawler.settings["MATHWRIGHT_JOB"]
        resolver.reach = Reach.of(job.start_urls, use_proxy=job.use_proxy)
        return resolver

    def install_on_reactor(self) -> None:
        super().install_on_reactor()
        guard(self.reactor, self.reach)

    def getHostByName(self, name: str, timeout: Any = ()) -> Any:  # noqa: N802 - Twisted's name
        if is_loopback(name):
            return defer.succeed(LOOPBACK[0])
        return super().getHostByName(name, timeout)


def guard(reactor: Any, reach: Reach) -> None:
    """Let the reactor connect only where `reach` allows it; other attempts raise PrivateAddressError.

    Twisted looks names up before, and asks the reactor for an address: what is checked is what is connected to.
    """
    connect = reactor.connectTCP

    def connect_tcp(host: str, port: int, *arguments: Any, **options: Any) -> Any:
        reach.check(host, port)
        return connect(host, port, *arguments, **options)

    reactor.connectTCP = connect_tcp


class BoundedHandler(HTTP11DownloadHandler):
    """Scrapy's own, but an answer whose header has no end is given up."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._pool._factory = _bounded(self._pool._factory)


def _bounded(factory: type) -> type:
    class BoundedFactory(factory):
        def buildProtocol(self, addr: Any) -> Any:  # noqa: N802 - Twisted's name
            protocol = super().buildProtocol(addr)
            _bound_header(protocol)
            return protocol

    return BoundedFactory


def _bound_header(protocol: Any) -> None:
    """Make a protocol give up where more than MAX_HEADER_BYTES have come and the header still goes on."""
    take = protocol.dataReceived
    size = 0

    def take_bounded(data: bytes) -> None:
        nonlocal size
        parser = protocol._parser
        take(data)
        if parser is None or protocol._parser is not parser or parser.state not in _IN_HEADER:
            size = 0
            return
        size += len(data)
        if size > MAX_HEADER_BYTES:
            protocol._giveUp(Failure(HeadersTooLargeError(f"more than {MAX_HEADER_BYTES} bytes of headers")))

    protocol.dataReceived = take_bounded


def check_codings(response: Response) -> None:
    """Raises TooManyCodingsError before anything is decoded."""
    codings = codings_of(b",".join(response.headers.getlist("Content-Encoding")).decode("latin-1"))
    if len(codings) > MAX_CODINGS:
        raise TooManyCodingsError(f"{len(codings)} content codings, at most {MAX_CODINGS} are undone")
