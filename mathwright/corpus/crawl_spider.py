"""The crawling process: `python -m mathwright.corpus.crawl_spider`, started by `crawl`.

Its first line on stdin is a JSON object; it writes WARC files, a JSON line of progress now and then, and at the end one
with the report. It ends when stdin does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import lxml.etree
import scrapy
import scrapy.resolver
from scrapy import signals
from scrapy.crawler import Crawler, CrawlerProcess
from scrapy.exceptions import (
    CannotResolveHostError,
    DontCloseSpider,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadTimeoutError,
    IgnoreRequest,
    StopDownload,
)
from scrapy.http import Request, Response
from twisted.internet import defer
from twisted.python.failure import Failure

import mathwright
from mathwright.corpus.crawl_frontier import Frontier, canonical_url
from mathwright.corpus.crawl_warc import ArchiveWriter, Place

HTML_TYPES = ("text/html", "application/xhtml+xml")
PROGRESS_SECONDS = 0.25
MAX_CRAWL_DELAY_S = 60.0
"""A site that asks for more than this between two requests is crawled at this pace."""

_REASONS: dict[type[Exception], str] = {
    IgnoreRequest: "robots",
    StopDownload: "content_type",
    DownloadCancelledError: "too_large",
    DownloadTimeoutError: "timeout",
    CannotResolveHostError: "no_such_host",
    DownloadConnectionRefusedError: "refused",
}


class LoopbackResolver(scrapy.resolver.CachingThreadedResolver):
    """Names ending in .localhost are the loopback (RFC 6761), also where the system's resolver does not know it."""

    def getHostByName(self, name: str, timeout: Any = ()) -> Any:  # noqa: N802 - Twisted's name
        if name == "localhost" or name.endswith(".localhost"):
            return defer.succeed("127.0.0.1")
        return super().getHostByName(name, timeout)


class ArchiveMiddleware:
    """Nearest to the network: writes what was sent and received, before decompression, redirects or retries."""

    def __init__(self, crawler: Crawler) -> None:
        order = crawler.settings["MATHWRIGHT_ORDER"]
        self.crawler = crawler
        self.order: dict[str, Any] = order
        self.writer = ArchiveWriter(
            Path(order["folder"]),
            name="crawl",
            info={
                "software": f"mathwright/{mathwright.__version__} scrapy/{scrapy.__version__}",
                "format": "WARC File Format 1.1",
                "conformsTo": "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
                "http-header-user-agent": order["user_agent"],
                "robots": "obey",
            },
            max_bytes=order["max_archive_bytes"],
            paths=[Path(path) for path in order.get("archives", [])],
        )
        crawler.signals.connect(self.writer.close, signals.engine_stopped)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> ArchiveMiddleware:
        middleware = cls(crawler)
        crawler.spider.archive = middleware.writer  # type: ignore[union-attr]
        return middleware

    def process_request(self, request: Request) -> None:
        request.meta["mathwright_sent"] = time.time()

    def process_response(self, request: Request, response: Response) -> Response:
        sent = request.meta["mathwright_sent"]
        place = self.writer.exchange(
            url=request.url,
            date=datetime.fromtimestamp(sent, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            method=request.method,
            request_headers=[("Host", urlsplit(request.url).netloc), *_header_list(request.headers)],
            status_line=f"{response.status} {_phrase(response.status)}",
            response_headers=_header_list(response.headers),
            body=response.body,
            metadata=self.metadata(request),
        )
        self.written(request, response, place)
        if request.url.endswith("/robots.txt") and response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            # RFC 9309 §2.3.1.4: rules that cannot be had forbid everything
            return response.replace(status=200, body=b"User-agent: *\nDisallow: /\n")
        return response

    def metadata(self, request: Request) -> dict[str, str]:
        """Fields of the metadata record."""
        return {
            "fetchTimeMs": str(round(1000 * (time.time() - request.meta["mathwright_sent"]))),
            "hopsFromSeed": str(request.meta.get("mathwright_depth", 0)),
        }

    def written(self, request: Request, response: Response, place: Place) -> None:
        """Called when an exchange has reached the file."""


class WebSpider(scrapy.Spider):
    """Follows the links of HTML pages within the hosts of the start URLs, as the frontier says."""

    name = "mathwright"
    archive: ArchiveWriter
    order: dict[str, Any]
    frontier: Frontier
    size_bytes: int
    spoken: float

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> WebSpider:
        spider = super().from_crawler(crawler, *args, **kwargs)
        order = crawler.settings["MATHWRIGHT_ORDER"]
        spider.order = order
        spider.frontier = Frontier(
            order["start_urls"], max_pages=order["max_pages"], max_pages_per_host=order["max_pages_per_host"]
        )
        spider.size_bytes = 0
        spider.spoken = 0.0
        crawler.signals.connect(spider.on_idle, signals.spider_idle)
        crawler.signals.connect(spider.on_headers, signals.headers_received)
        crawler.signals.connect(spider.on_robots, signals.robots_parsed)
        crawler.signals.connect(spider.on_closed, signals.spider_closed)
        return spider

    async def start(self) -> AsyncIterator[Request]:
        for request in self._requests():
            yield request

    def _requests(self) -> Iterator[Request]:
        for url, depth in self.frontier.take():
            yield Request(
                url,
                callback=self.on_response,
                errback=self.on_error,
                dont_filter=True,  # the frontier knows what was seen
                cb_kwargs={"asked": url},
                meta={"mathwright_depth": depth, "handle_httpstatus_all": True, "dont_redirect": True},
            )

    def on_response(self, response: Response, asked: str) -> Iterator[Request]:
        depth = response.meta["mathwright_depth"]
        if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
            location = (response.headers.get(b"Location") or b"").decode("latin-1")
            target = canonical_url(urljoin(asked, location))
            self.frontier.add(target, new_host=depth == 0)  # a start URL may lead to its site's proper name
            self.frontier.drop(asked, "redirect")
        elif response.status != HTTPStatus.OK:
            self.frontier.drop(asked, f"status_{response.status // 100}xx")
        elif not is_html(response.headers):
            self.frontier.drop(asked, "content_type")
        else:
            self.frontier.page(asked)
            self.size_bytes += len(response.body)
            for url in page_links(response):
                self.frontier.add(canonical_url(url))
        self._speak()
        return self._requests()

    def on_error(self, failure: Failure) -> Iterator[Request]:
        asked = failure.request.cb_kwargs["asked"]  # type: ignore[attr-defined]
        self.frontier.drop(asked, failure_reason(failure))
        self._speak()
        yield from self._requests()

    def on_idle(self) -> None:
        requests = list(self._requests())
        for request in requests:
            self.crawler.engine.crawl(request)  # type: ignore[union-attr]
        if requests:
            raise DontCloseSpider

    def on_headers(self, headers: Any, request: Request) -> None:
        """What is not HTML is not downloaded."""
        if "mathwright_depth" in request.meta and headers.get(b"Content-Type") and not is_html(headers):
            raise StopDownload(fail=True)

    def on_robots(self, robotparser: Any, request: Request) -> None:
        """A Crawl-delay longer than ours is kept, by the slot that is and those to come for this host."""
        delay = crawl_delay(robotparser, self.order["user_agent"])
        if delay > self.order["delay_s"]:
            slow_down(self.crawler, request, delay)

    def on_closed(self, reason: str) -> None:
        self.frontier.finish()
        self._speak(
            pages_by_host={host: state.num_pages for host, state in self.frontier.hosts.items()},
            num_urls=self.frontier.num_urls,
            dropped={name: count for name, count in sorted(self.frontier.dropped.items()) if count},
            size_bytes=self.size_bytes,
            archives=[str(path) for path in self.archive.paths],
        )

    def _speak(self, **report: Any) -> None:
        now = time.monotonic()
        if report or now - self.spoken > PROGRESS_SECONDS:
            self.spoken = now
            print(json.dumps({"num_pages": self.frontier.num_pages, **report}), flush=True)


def page_links(response: Response) -> Iterator[str]:
    """Absolute addresses of a page's links, in order; none where the page asks not to be followed."""
    parser = lxml.etree.HTMLParser(encoding=getattr(response, "encoding", None), recover=True, huge_tree=False)
    try:
        root = lxml.etree.fromstring(response.body, parser)
    except (lxml.etree.XMLSyntaxError, LookupError):  # an empty page; an encoding that libxml2 does not know
        return
    if root is None:
        return
    base = response.url
    for element in root.iter("base", "meta"):
        if element.tag == "base" and element.get("href"):
            base = urljoin(base, element.get("href"))
        elif (element.get("name") or "").lower() == "robots" and "nofollow" in (element.get("content") or "").lower():
            return
    for element in root.iter("a", "area"):
        href = element.get("href")
        if (
            href
            and not href.startswith(("#", "javascript:", "mailto:"))
            and "nofollow" not in (element.get("rel") or "")
        ):
            try:
                yield urljoin(base, href.strip())
            except ValueError:  # a bracket that opens no IPv6 address
                continue


def crawl_delay(robotparser: Any, user_agent: str) -> float:
    """Seconds between two requests that a robots.txt asks for; 0 where it does not."""
    return min(float(robotparser.rp.crawl_delay(user_agent) or 0), MAX_CRAWL_DELAY_S)


def slow_down(crawler: Crawler, request: Request, delay_s: float) -> None:
    """One request at a time and `delay_s` between them, for the host of a request, from now on."""
    downloader: Any = crawler.engine.downloader  # type: ignore[union-attr]
    key = downloader.get_slot_key(request)
    downloader.per_slot_settings[key] = {"concurrency": 1, "delay": delay_s, "jitter": 0.0}
    downloader.slots.pop(key, None)


def failure_reason(failure: Failure) -> str:
    """Why a request got no answer, in a word."""
    if failure.check(IgnoreRequest) and "DOWNLOAD_MAXSIZE" in str(failure.value):
        return "too_large"  # once decompressed
    for kind, reason in _REASONS.items():
        if failure.check(kind):
            return reason
    return "network"


def is_html(headers: Any) -> bool:
    """Whether the content type says HTML; a server that says nothing is taken to mean it."""
    content_type = (headers.get(b"Content-Type") or b"text/html").decode("latin-1").partition(";")[0]
    return content_type.strip().lower() in HTML_TYPES


def _header_list(headers: Any) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, values in headers.items() for value in values]


def _phrase(status: int) -> str:
    """The standard phrase: Scrapy does not hand on the server's own."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def settings(order: dict[str, Any]) -> dict[str, Any]:
    """Scrapy's settings: polite as the recipe says, without what a crawl into WARC files does not need."""
    return {
        "MATHWRIGHT_ORDER": order,
        "USER_AGENT": order["user_agent"],
        "ROBOTSTXT_OBEY": True,
        "DOWNLOAD_DELAY": order["delay_s"],
        "DOWNLOAD_DELAY_JITTER": 0.0,  # the delay is a promise
        "CONCURRENT_REQUESTS": order["concurrency"],
        "CONCURRENT_REQUESTS_PER_DOMAIN": order["requests_per_host"],
        "DOWNLOAD_TIMEOUT": 30,
        "DOWNLOAD_MAXSIZE": order["max_page_bytes"],
        "DOWNLOAD_WARNSIZE": 0,
        "RETRY_TIMES": 2,
        "RETRY_GIVE_UP_LOG_LEVEL": "DEBUG",  # counted in the report
        "TWISTED_DNS_RESOLVER": f"{__name__}.LoopbackResolver",
        "DOWNLOADER_MIDDLEWARES": {
            ArchiveMiddleware: 1000,
            "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,  # the frontier's work
            "scrapy.downloadermiddlewares.redirect.MetaRefreshMiddleware": None,
            "scrapy.downloadermiddlewares.httpauth.HttpAuthMiddleware": None,
        },
        "SPIDER_MIDDLEWARES_BASE": {},
        "EXTENSIONS_BASE": {},
        "DOWNLOADER_STATS": False,
        "COOKIES_ENABLED": False,
        "HTTPPROXY_ENABLED": order["use_proxy"],
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "ERROR",
        "LOG_FILE": str(Path(order["folder"], "crawl.log")),
        "STATS_DUMP": False,
    }


def main() -> None:
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_parent, daemon=True).start()
    process = CrawlerProcess(settings(order))
    process.crawl(WebSpider)
    process.start()


def end_with_parent() -> None:
    """The parent keeps stdin open while it wants us; it is gone, however it ended, when stdin ends."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
