"""The crawling process of a focused crawl: `python -m mathwright.corpus.crawl.focused`, started by `crawl`.

Like `crawl.breadth` it reads a job and tells its progress and a report. What is fetched next is `crawl.queue`'s
business, what a page holds `crawl.page`'s; here are the requests between the two.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import zlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import scrapy
from scrapy import signals
from scrapy.crawler import Crawler, CrawlerProcess
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import IgnoreRequest, StopDownload
from scrapy.http import Request, Response
from twisted.python.failure import Failure

from mathwright import records
from mathwright.children import end_with_parent, say_error
from mathwright.corpus.archive.pages import read_page_at
from mathwright.corpus.archive.writer import cut_back
from mathwright.corpus.crawl.hosts import Pace, parse_retry_after
from mathwright.corpus.crawl.job import CrawlJob, CrawlReport, Focus
from mathwright.corpus.crawl.network import check_codings
from mathwright.corpus.crawl.queue import Budget, Queue, Task
from mathwright.corpus.crawl.readers import PageReaders
from mathwright.corpus.crawl.reasons import ReasonsFile
from mathwright.corpus.crawl.scope import Scope
from mathwright.corpus.crawl.scrapy_parts import (
    ArchiveMiddleware,
    Teller,
    charset_of,
    crawl_delay,
    failure_reason,
    is_html,
    redirect_target,
    settings,
    slow_down,
)
from mathwright.corpus.rules.rules import read_rules
from mathwright.corpus.urls import host_of_url
from mathwright.errors import MathwrightError
from mathwright.records import Damage

NAME = "crawl"
TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that say "not now": the host rests and the URL is tried again."""
TRANSIENT_FAILURES = frozenset({"timeout", "network", "refused"})
IDLE_LOOK_S = 1.0
"""How often the queue is looked at when no answer comes."""

_MAGIC = (b"%PDF", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"PK\x03\x04", b"\x1f\x8b", b"RIFF", b"\x7fELF", b"MZ\x90")
_NOINDEX = re.compile(
    rb"<meta\s(?=[^>]{0,500}name\s*=\s*[\"']?robots)(?=[^>]{0,500}content\s*=\s*[\"']?[^\"'>]{0,200}(?:noindex|none))",
    re.IGNORECASE,
)


class StoringMiddleware(ArchiveMiddleware):
    """Nearest to the network: keeps what is HTML, with the reason to fetch each page, and notes where it lies."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._focus = focus_of(self.job)

    def process_response(self, request: Request, response: Response) -> Response:
        check_codings(response)
        reason = self._refusal(request, response)
        if reason:
            request.meta["mathwright_refused"] = reason
            return response
        return super().process_response(request, response)

    def _refusal(self, request: Request, response: Response) -> str:
        """Why a page is not kept, or "": not HTML whatever its header says, or not to be kept by its own word."""
        if "mathwright_task" not in request.meta or response.status != HTTPStatus.OK:
            return ""
        head = _decoded_head(response, 65_536)
        if head.startswith(_MAGIC) or (b"\x00" in head[:512] and not head.startswith((b"\xff\xfe", b"\xfe\xff"))):
            return "content_type"
        tag = b" ".join(response.headers.getlist("X-Robots-Tag")).lower()
        if self._focus.noindex == "skip" and (b"noindex" in tag or b"none" in tag or _NOINDEX.search(head)):
            return "noindex"
        return ""

    def metadata(self, request: Request) -> dict[str, str]:
        task: Task | None = request.meta.get("mathwright_task")
        return {**super().metadata(request), **(task.fetch_reason.warc_fields() if task else {})}

    def written(self, request: Request, response: Response, place: Any) -> None:
        task: Task | None = request.meta.get("mathwright_task")
        is_page = task is not None and response.status == HTTPStatus.OK
        queue: Queue = self.crawler.spider.queue  # type: ignore[union-attr]
        if is_page:
            assert task is not None
            queue.archived(place.archive, place.end, task.id, place.offset)
        else:
            queue.archived(place.archive, place.end)


class StrictRobots(RobotsTxtMiddleware):
    """robots.txt that cannot be reached forbids everything (RFC 9309 §2.3.1.4); Scrapy's own allows it then."""

    def _robots_error(self, exc: Exception, netloc: str) -> None:
        super()._robots_error(exc, netloc)
        if not isinstance(exc, IgnoreRequest):
            self.crawler.spider.unreachable.add(netloc)  # type: ignore[union-attr]

    async def _parse_robots(self, response: Response, netloc: str, request: Request) -> None:
        await super()._parse_robots(response, netloc, request)
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:  # no permission, whatever its class of status says
            self.crawler.spider.unreachable.add(netloc)  # type: ignore[union-attr]

    def process_request_2(self, rp: Any, request: Request) -> None:
        if urlsplit(request.url).netloc in self.crawler.spider.unreachable:  # type: ignore[union-attr]
            raise IgnoreRequest("Forbidden by robots.txt: it cannot be reached")
        super().process_request_2(rp, request)


class FocusedSpider(scrapy.Spider):
    """Fetches what the queue says until it has nothing more, or the budget is used."""

    name = "mathwright-focus"
    queue: Queue
    focus: Focus
    reasons: ReasonsFile
    readers: PageReaders
    job: CrawlJob
    unreachable: set[str]
    archive: Any
    teller: Teller
    started: float

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> FocusedSpider:
        """`queue`: the open frontier."""
        spider = super().from_crawler(crawler, *args, **kwargs)
        spider.job = job = crawler.settings["MATHWRIGHT_JOB"]
        spider.focus = focus = focus_of(job)
        spider.queue = kwargs["queue"]
        spider.reasons = ReasonsFile(Path(job.folder, "grounds.jsonl"), spider.queue.store)
        spider.readers = PageReaders(job.num_workers, focus.classifier, follow_all=focus.nofollow == "ignore")
        spider.unreachable = set()
        spider.teller = Teller()
        spider.started = time.monotonic()
        crawler.signals.connect(spider.on_headers, signals.headers_received)
        crawler.signals.connect(spider.on_robots, signals.robots_parsed)
        crawler.signals.connect(spider.on_closed, signals.spider_closed)
        return spider

    async def start(self) -> AsyncIterator[Request]:
        self._wake = asyncio.Event()
        await self._read_stored()
        while not self.queue.finished:
            self._wake.clear()
            task = None
            if self.queue.num_under_way < self.job.concurrency:
                task = self.queue.take(time.time())
            if task is not None:
                yield self._request(task)
            else:
                await self._wait()

    async def _wait(self) -> None:
        """Until an answer comes or the next host may be visited."""
        now = time.time()
        due = self.queue.hosts.next_due(now)
        seconds = min(due - now, IDLE_LOOK_S) if due is not None else IDLE_LOOK_S
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            self.teller.progress(self.queue.num_pages)

    def _request(self, task: Task) -> Request:
        return Request(
            task.url,
            callback=self.on_response,
            errback=self.on_error,
            dont_filter=True,  # the queue knows what was seen
            cb_kwargs={"task": task},
            meta={
                "mathwright_task": task,
                "mathwright_depth": task.depth,
                "handle_httpstatus_all": True,
                "dont_redirect": True,
            },
        )

    async def on_response(self, response: Response, task: Task) -> None:
        refused = response.meta.get("mathwright_refused", "")
        if response.status == HTTPStatus.OK and not refused and is_html(response.headers):
            await self._read(task, response.body, charset_of(response.headers))
        else:
            self._note(task, response, refused)
        self._wake.set()

    def on_error(self, failure: Failure) -> None:
        task: Task = failure.request.cb_kwargs["task"]  # type: ignore[attr-defined]
        reason = failure_reason(failure)
        response = getattr(failure.value, "response", None)
        if response is not None and response.status != HTTPStatus.OK:  # an error page that is not HTML
            self._note(task, response, "")
        elif reason in TRANSIENT_FAILURES:
            self._retry(task, reason, None, 0.0)
        else:
            self.reasons.write(self.queue.drop(task, reason))
        self._wake.set()

    def _note(self, task: Task, response: Response, refused: str) -> None:
        """An answer that is no page."""
        status = response.status
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            target = redirect_target(task.url, response.headers)
            self.reasons.write(self.queue.redirect(task, target, status))
        elif status in TRANSIENT:
            header = (response.headers.get(b"Retry-After") or b"").decode("latin-1")
            self._retry(task, f"status_{status // 100}xx", status, parse_retry_after(header, time.time()))
        elif status != HTTPStatus.OK:
            self.reasons.write(self.queue.drop(task, f"status_{status // 100}xx", status))
        else:
            self.reasons.write(self.queue.drop(task, refused or "content_type", status))

    def _retry(self, task: Task, reason: str, status: int | None, retry_after_s: float) -> None:
        line = self.queue.retry(task, time.time(), reason=reason, status=status, retry_after_s=retry_after_s)
        if line is not None:
            self.reasons.write(line)

    async def _read(self, task: Task, html: bytes, charset: str | None) -> None:
        report = await self.readers.read(html, task.url, charset)
        if report is None:
            self.reasons.write(self.queue.drop(task, "unreadable", HTTPStatus.OK))
        else:
            self.reasons.write(self.queue.page(task, report, len(html)))
        self.teller.progress(self.queue.num_pages)

    async def _read_stored(self) -> None:
        """Pages that an earlier run wrote and did not read before it was killed."""
        sizes = self.queue.store.archives()
        for task, archive, offset in list(self.queue.stored()):
            page = read_page_at(Path(self.job.folder, archive), offset, sizes[archive] - offset)
            if isinstance(page, Damage):  # lost with the power, say
                self._retry(task, "lost", None, 0.0)
            else:
                await self._read(task, page.html, page.charset)

    def on_headers(self, headers: Any, request: Request) -> None:
        """What is not HTML is not downloaded."""
        if "mathwright_task" in request.meta and headers.get(b"Content-Type") and not is_html(headers):
            raise StopDownload(fail=True)

    def on_robots(self, robotparser: Any, request: Request) -> None:
        """A Crawl-delay longer than ours is kept."""
        asked = crawl_delay(robotparser, self.job.user_agent)
        self.queue.robots_known(host_of_url(request.url), asked, time.time())
        if asked > self.job.delay_s:
            slow_down(self.crawler, request, asked)

    async def on_closed(self) -> None:
        await self.readers.close()
        self.teller.report(
            CrawlReport(
                **self.queue.counts(),
                size_bytes=self.queue.size_bytes,
                seconds=time.monotonic() - self.started,
                num_relevant=self.queue.num_relevant if self.focus.classifier else None,
                archives=tuple(str(path) for path in self.archive.paths),
            )
        )
        self.reasons.close()
        self.queue.close()


def _decoded_head(response: Response, size: int) -> bytes:
    """The first bytes of a body, out of gzip or deflate; of other codings, nothing is known here."""
    coding = (response.headers.get(b"Content-Encoding") or b"").strip().lower()
    if not coding or coding == b"identity":
        return response.body[:size]
    if coding not in (b"gzip", b"x-gzip", b"deflate"):
        return b""
    try:
        return zlib.decompressobj(wbits=47).decompress(response.body, size)
    except zlib.error:
        return b""


def focus_of(job: CrawlJob) -> Focus:
    """The part of a job that makes it one for this process."""
    if job.focus is None:
        raise ValueError("the job is one for crawl.breadth: it has no focus")
    return job.focus


def open_queue(job: CrawlJob) -> Queue:
    """The frontier of a job. Raises MathwrightError as Queue does, and for rules that cannot be read."""
    focus = focus_of(job)
    rules = read_rules(Path(focus.rules)) if focus.rules else []
    return Queue(
        Path(job.folder, "frontier.sqlite"),
        scope=Scope(focus.scope, job.start_urls, rules),
        pace=Pace(
            delay_s=job.delay_s,
            requests_per_host=job.requests_per_host,
            max_pages_per_host=job.max_pages_per_host,
            max_hosts=focus.max_hosts,
            backoff_s=focus.backoff_s,
            patience=focus.patience if focus.classifier else 0.0,
        ),
        budget=Budget(
            max_pages=job.max_pages,
            max_bytes=focus.max_bytes,
            max_seconds=focus.max_seconds,
            max_depth=focus.max_depth,
        ),
        identity=focus.identity,
        scored=bool(focus.classifier),
    )


def main() -> None:
    job = records.from_json(CrawlJob, json.loads(sys.stdin.readline()))
    end_with_parent()
    try:
        queue = open_queue(job)
    except MathwrightError as error:
        say_error(error)
        return
    archives = cut_back(Path(job.folder), name=NAME, sizes=queue.store.archives())
    queue.add_starts(job.start_urls)
    common = settings(job, archives=archives)
    process = CrawlerProcess(
        {
            **common,
            "RETRY_ENABLED": False,  # the queue does it, and lets the host rest before
            "DOWNLOADER_MIDDLEWARES": {
                **common["DOWNLOADER_MIDDLEWARES"],
                ArchiveMiddleware: None,
                StoringMiddleware: 1000,
                "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
                StrictRobots: 100,
            },
        }
    )
    process.crawl(FocusedSpider, queue=queue)
    process.start()


if __name__ == "__main__":
    main()
