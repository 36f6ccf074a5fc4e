"""What both crawls have of Scrapy: its settings, what is written to the archives, and how answers are understood."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import scrapy
from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadTimeoutError,
    IgnoreRequest,
    StopDownload,
)
from scrapy.http import Request, Response
from twisted.python.failure import Failure

import mathwright
from mathwright.children import say
from mathwright.corpus.archive.writer import ArchiveWriter, Place
from mathwright.corpus.crawl.job import CrawlJob, CrawlReport
from mathwright.corpus.crawl.network import (
    BoundedHandler,
    GuardedResolver,
    HeadersTooLargeError,
    TooManyCodingsError,
    check_codings,
)
from mathwright.corpus.crawl.reach import PrivateAddressError, Reach
from mathwright.corpus.urls import fetchable_url
from mathwright.records import to_json

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
        job: CrawlJob = crawler.settings["MATHWRIGHT_JOB"]
        self.crawler = crawler
        self.job = job
        self.reach = Reach.of(job.start_urls, use_proxy=job.use_proxy)
        self.writer = ArchiveWriter(
            Path(job.folder),
            name="crawl",
            info={
                "software": f"mathwright/{mathwright.__version__} scrapy/{scrapy.__version__}",
                "format": "WARC File Format 1.1",
                "conformsTo": "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
                "http-header-user-agent": job.user_agent,
                "robots": "obey",
            },
            max_bytes=job.max_archive_bytes,
            paths=crawler.settings["MATHWRIGHT_ARCHIVES"],
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


class Teller:
    """Tells the parent how far the crawl is, now and then, and its report at the end."""

    def __init__(self) -> None:
        self._told = 0.0

    def progress(self, num_pages: int) -> None:
        now = time.monotonic()
        if now - self._told > PROGRESS_SECONDS:
            self._told = now
            say(num_pages=num_pages)

    def report(self, report: CrawlReport) -> None:
        say(report=to_json(report))


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


def redirect_target(url: str, headers: Any) -> str:
    """Where the answer to `url` leads by its Location, as a crawler asks for it; "" for nowhere."""
    location = (headers.get(b"Location") or b"").decode("latin-1")
    try:
        return fetchable_url(urljoin(url, location)) if location else ""
    except ValueError:  # a bracket that opens no IPv6 address
        return ""


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


def settings(job: CrawlJob, *, archives: Sequence[Path] = ()) -> dict[str, Any]:
    """Scrapy's settings: polite as the recipe says, without what a crawl into WARC files does not need.

    archives: those that are there already, which new ones follow.
    """
    return {
        "MATHWRIGHT_JOB": job,
        "MATHWRIGHT_ARCHIVES": list(archives),
        "USER_AGENT": job.user_agent,
        "ROBOTSTXT_OBEY": True,
        "DOWNLOAD_DELAY": job.delay_s,
        "DOWNLOAD_DELAY_JITTER": 0.0,  # the delay is a promise
        "CONCURRENT_REQUESTS": job.concurrency,
        "CONCURRENT_REQUESTS_PER_DOMAIN": job.requests_per_host,
        "DOWNLOAD_TIMEOUT": job.timeout_s,
        "DOWNLOAD_MAXSIZE": job.max_page_bytes,
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
        "HTTPPROXY_ENABLED": job.use_proxy,
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "ERROR",
        "LOG_FILE": str(Path(job.folder, "crawl.log")),
        "STATS_DUMP": False,
    }
