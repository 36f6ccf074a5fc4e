"""The crawling process: `python -m mathwright.corpus.crawl.breadth`, started by `crawl`.

Its first line on stdin is a JSON object; it writes WARC files, a JSON line of progress now and then, and at the end one
with the report. It ends when stdin does.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import scrapy
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
from twisted.python.failure import Failure

import mathwright
from mathwright.corpus.archive.writer import ArchiveWriter, Place
from mathwright.corpus.crawl.frontier import Frontier
from mathwright.corpus.crawl.network import (
    BoundedHandler,
    GuardedResolver,
    HeadersTooLargeError,
    TooManyCodingsError,
    check_codings,
)
from mathwright.corpus.crawl.reach import PrivateAddressError, Reach
from mathwright.corpus.crawl.readers import PageReaders
from mathwright.corpus.urls import fetchable_url

HTML_TYPES = ("text/html", "application/xhtml+xml")
PROGRESS_SECONDS = 0.25
MAX_CRAWL_DELAY_S = 60.0
"""A site that asks for more than this between two requests is crawled at this pace."""

_REASONS: dict[type[Exception], str] = {
    PrivateAddressError: "private_host",
    HeadersTooLargeError: "headers_too_large",
    TooManyCodingsError: "too_many_codings",
    IgnoreRequest: "robots",
    StopDownload: "content_type",
    DownloadCancelledError: "too_large",
    DownloadTimeoutError: "timeout",
    CannotResolveHostError: "no_such_host",
    DownloadConnectionRefusedError: "refused",
}


class ArchiveMiddleware:
    """Nearest to the network: writes what was sent and received, before decompression, redirects or retries."""

    def __init__(self, crawler: Crawler) -> None:
        order = crawler.settings["MATHWRIGHT_ORDER"]
        self.crawler = crawler
        self.order: dict[str, Any] = order
        self.reach = Reach.of(order["start_urls"], use_proxy=order["use_proxy"])
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
        if request.meta.get("proxy"):  # which connects in our place
            self.reach.check_url(request.url)
        request.meta["mathwright_sent"] = time.time()

    def process_response(self, request: Request, response: Response) -> Response:
        check_codings(response)
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
    readers: PageReaders
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
        spider.readers = PageReaders(order["num_workers"], "", follow_all=False)
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

    async def on_response(self, response: Response, asked: str) -> AsyncIterator[Request]:
        depth = response.meta["mathwright_depth"]
        if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
            location = (response.headers.get(b"Location") or b"").decode("latin-1")
            target = fetchable_url(urljoin(asked, location))
            self.frontier.add(target, new_host=depth == 0)  # a start URL may lead to its site's proper name
            self.frontier.drop(asked, "redirect")
        elif response.status != HTTPStatus.OK:
            self.frontier.drop(asked, f"status_{response.status // 100}xx")
        elif not is_html(response.headers):
            self.frontier.drop(asked, "content_type")
        else:
            await self._read(response, asked)
        self._speak()
        for request in self._requests():
            yield request

    async def _read(self, response: Response, asked: str) -> None:
        report = await self.readers.links(response.body, asked, charset_of(response.headers))
        if report is None:
            self.frontier.drop(asked, "unreadable")
            return
        for link in report.links:
            self.frontier.add(link.url)
        self.frontier.page(asked)  # behind its links: the last page of a level begins the next
        self.size_bytes += len(response.body)

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

    async def on_closed(self, reason: str) -> None:
        await self.readers.close()
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
    errors = list(_causes(failure.value))
    for kind, reason in _REASONS.items():
        if any(isinstance(error, kind) for error in errors):
            return reason
    return "network"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised for; Twisted keeps the reasons of a response that failed in a list."""
    while error is not None:
        yield error
        for reason in getattr(error, "reasons", ()):
            yield reason.value
        error = error.__cause__


def charset_of(headers: Any) -> str | None:
    """The charset that a Content-Type header names."""
    content_type = headers.get(b"Content-Type") or b""
    match = re.search(rb"charset\s*=\s*[\"']?([\w.:-]{2,40})", content_type, re.IGNORECASE)
    return match[1].decode("ascii") if match else None


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
        "TWISTED_DNS_RESOLVER": GuardedResolver,
        "DOWNLOAD_HANDLERS": {"http": BoundedHandler, "https": BoundedHandler},
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
