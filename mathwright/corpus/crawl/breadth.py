"""The process of a breadth-first crawl: `python -m mathwright.corpus.crawl.breadth`, started by `crawl`.

Its first line on stdin is a `CrawlJob`; it writes WARC files, tells its progress now and then, and at the end its
report. It ends when stdin does.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any

import scrapy
from scrapy import signals
from scrapy.crawler import Crawler, CrawlerProcess
from scrapy.exceptions import DontCloseSpider, StopDownload
from scrapy.http import Request, Response
from twisted.python.failure import Failure

from mathwright.children import end_with_parent
from mathwright.corpus.archive.writer import ArchiveWriter
from mathwright.corpus.crawl.frontier import Frontier
from mathwright.corpus.crawl.job import CrawlJob, CrawlReport
from mathwright.corpus.crawl.readers import PageReaders
from mathwright.corpus.crawl.scrapy_parts import (
    Teller,
    charset_of,
    crawl_delay,
    failure_reason,
    is_html,
    redirect_target,
    settings,
    slow_down,
)
from mathwright.records import from_json


class WebSpider(scrapy.Spider):
    """Follows the links of HTML pages within the hosts of the start URLs, as the frontier says."""

    name = "mathwright"
    archive: ArchiveWriter
    job: CrawlJob
    frontier: Frontier
    readers: PageReaders
    size_bytes: int
    teller: Teller
    started: float

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> WebSpider:
        spider = super().from_crawler(crawler, *args, **kwargs)
        spider.job = job = crawler.settings["MATHWRIGHT_JOB"]
        spider.frontier = Frontier(
            list(job.start_urls), max_pages=job.max_pages, max_pages_per_host=job.max_pages_per_host
        )
        spider.readers = PageReaders(job.num_workers, "", follow_all=False)
        spider.size_bytes = 0
        spider.teller = Teller()
        spider.started = time.monotonic()
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
            target = redirect_target(asked, response.headers)
            self.frontier.add(target, new_host=depth == 0)  # a start URL may lead to its site's proper name
            self.frontier.drop(asked, "redirect")
        elif response.status != HTTPStatus.OK:
            self.frontier.drop(asked, f"status_{response.status // 100}xx")
        elif not is_html(response.headers):
            self.frontier.drop(asked, "content_type")
        else:
            await self._read(response, asked)
        self.teller.progress(self.frontier.num_pages)
        for request in self._requests():
            yield request

    async def _read(self, response: Response, asked: str) -> None:
        report = await self.readers.links(response.body, asked, charset_of(response.headers))
        if report is None:
            self.frontier.drop(asked, "unreadable")
            return
        for link in report.links:
            self.frontier.add(link.url)
        self.frontier.page(asked)  # after its links: the last page of a level begins the next
        self.size_bytes += len(response.body)

    def on_error(self, failure: Failure) -> Iterator[Request]:
        asked = failure.request.cb_kwargs["asked"]  # type: ignore[attr-defined]
        self.frontier.drop(asked, failure_reason(failure))
        self.teller.progress(self.frontier.num_pages)
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
        delay = crawl_delay(robotparser, self.job.user_agent)
        if delay > self.job.delay_s:
            slow_down(self.crawler, request, delay)

    async def on_closed(self, reason: str) -> None:
        await self.readers.close()
        self.frontier.finish()
        self.teller.report(
            CrawlReport(
                num_urls=self.frontier.num_urls,
                pages_by_host={host: state.num_pages for host, state in self.frontier.hosts.items()},
                dropped={name: count for name, count in sorted(self.frontier.dropped.items()) if count},
                size_bytes=self.size_bytes,
                seconds=time.monotonic() - self.started,
                archives=tuple(str(path) for path in self.archive.paths),
            )
        )


def main() -> None:
    job = from_json(CrawlJob, json.loads(sys.stdin.readline()))
    end_with_parent()
    process = CrawlerProcess(settings(job))
    process.crawl(WebSpider)
    process.start()


if __name__ == "__main__":
    main()
