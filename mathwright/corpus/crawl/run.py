"""§2.1: a polite crawl over HTTP into WARC files."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from mathwright import records
from mathwright.children import LineWorker, run_module
from mathwright.corpus.crawl.job import CrawlJob, CrawlReport, Focus
from mathwright.corpus.crawl.scope import start_urls_of
from mathwright.corpus.recipe import WebRecipe
from mathwright.corpus.rules.rules import Rule, read_rules
from mathwright.corpus.urls import is_loopback
from mathwright.errors import MathwrightError
from mathwright.run import fingerprint

MAX_PAGE_BYTES = 8 * 2**20
MAX_ARCHIVE_BYTES = 2**30
"""A new WARC file is begun after this size, Common Crawl's habit."""
CONCURRENCY = 32
"""Requests under way over all hosts."""
TIMEOUT_S = 30.0
"""For one answer."""
BACKOFF_S = 5.0
"""First pause of a host that answers 429, 503 or not at all (order score)."""

_CONTACT = re.compile(r"https?://\S+\.\S|[^\s@<(]+@[^\s@]+\.\w")


def crawl(
    start_urls: Sequence[str],
    out_folder: Path,
    *,
    recipe: WebRecipe,
    progress: Callable[[int], None] | None = None,
    max_archive_bytes: int = MAX_ARCHIVE_BYTES,
) -> CrawlReport:
    """Fetch HTML pages into `out_folder/crawl-*.warc.gz`, robots.txt and its Crawl-delay kept.

    Order "breadth": from the hosts of the start URLs level by level, the budgets shared evenly among the hosts; which
    pages are fetched does not depend on timing (their order in the archive does). Order "score": the best first, by a
    classifier (docs/crawling.md); `out_folder` then also holds `grounds.jsonl` and the frontier, and a crawl that was
    killed, or whose budget was raised, resumes when it is called again. Without start URLs it starts at the prefixes
    that the rules accept.

    `progress` is called with the pages fetched since the last call. Scrapy runs in a process of its own, which ends
    with this call however the call ends; WARC files written so far stay readable. Its errors go to
    `out_folder/crawl.log`.

    Raises MathwrightError where a start URL is no http(s) address, the User-Agent names no contact though a host is
    not of this machine, Scrapy is missing, or no page could be fetched; in order "score" also where the folder holds
    another crawl, or rules or classifier cannot be read.
    """
    if recipe.order == "score" and not start_urls:
        start_urls = start_urls_of(_rules(recipe))
    job = _job(start_urls, out_folder, recipe, max_archive_bytes)
    out_folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    module = "mathwright.corpus.crawl." + ("focused" if job.focus else "breadth")
    worker = LineWorker("the crawling process", run_module(module))
    try:
        report = _await_report(worker, job, progress)
    finally:
        worker.kill()
    report = dataclasses.replace(report, seconds=time.monotonic() - started)  # its start-up counts
    if report.num_pages == 0:
        reasons = ", ".join(f"{reason} {count}" for reason, count in report.dropped.items())
        raise MathwrightError(
            f"the crawl fetched no page from {len(start_urls)} start URLs ({reasons})",
            hint="check that the start URLs open in a browser and that their robots.txt allows crawling",
        )
    return report


def _job(start_urls: Sequence[str], out_folder: Path, recipe: WebRecipe, max_archive_bytes: int) -> CrawlJob:
    """The job, when all that can be wrong with it has been tried."""
    if importlib.util.find_spec("scrapy") is None or importlib.util.find_spec("warcio") is None:
        raise MathwrightError("Scrapy and warcio are needed for crawling", hint="pip install 'mathwright[corpus]'")
    if not start_urls:
        raise MathwrightError("no start URLs to crawl", hint="name some in corpus.web.start_urls")
    for url in start_urls:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise MathwrightError(f"{url!r} is not an http(s) URL", hint="write https://example.org/path")
    is_local = all(is_loopback(urlsplit(url).hostname or "") for url in start_urls)
    if not is_local and not _CONTACT.search(recipe.user_agent):
        raise MathwrightError(
            f"the User-Agent {recipe.user_agent!r} does not say whom to write to about this crawl",
            hint="add a page or an address (corpus.web.user_agent, or --contact), such as "
            "'mybot/1.0 (+https://example.org/bot; me@example.org)'",
        )
    return CrawlJob(
        start_urls=tuple(start_urls),
        folder=str(out_folder),
        max_pages=recipe.max_pages,
        max_pages_per_host=recipe.max_pages_per_host,
        delay_s=recipe.delay_s,
        requests_per_host=recipe.requests_per_host,
        user_agent=recipe.user_agent,
        concurrency=CONCURRENCY,
        timeout_s=TIMEOUT_S,
        max_page_bytes=MAX_PAGE_BYTES,
        max_archive_bytes=max_archive_bytes,
        use_proxy=not is_local,
        num_workers=max(1, min(8, (os.cpu_count() or 2) - 1)),
        focus=_focus(start_urls, recipe) if recipe.order == "score" else None,
    )


def _focus(start_urls: Sequence[str], recipe: WebRecipe) -> Focus:
    """What order "score" needs in addition. Rules and classifier are tried here, where errors have a hint."""
    rules = _rules(recipe)
    if recipe.scope == "prefixes" and not any(rule.decision == "accept" for rule in rules):
        raise MathwrightError(
            "scope prefixes without a rule that accepts any", hint="name a rules.toml in corpus.web.rules"
        )
    classifier = Path(recipe.classifier, "classifier.bin")
    if recipe.classifier:
        from mathwright.corpus.classifier import Classifier

        Classifier.load(Path(recipe.classifier))
    return Focus(
        scope=recipe.scope,
        rules=recipe.rules,
        classifier=recipe.classifier,
        max_depth=recipe.max_depth,
        max_hosts=recipe.max_hosts,
        max_bytes=recipe.max_bytes,
        max_seconds=recipe.max_seconds,
        patience=recipe.patience,
        nofollow=recipe.nofollow,
        noindex=recipe.noindex,
        backoff_s=BACKOFF_S,
        identity=fingerprint(
            sorted(start_urls),
            recipe.scope,
            [[rule.glob, rule.decision] for rule in rules],
            hashlib.sha256(classifier.read_bytes()).hexdigest() if recipe.classifier else "",
        ),
    )


def _rules(recipe: WebRecipe) -> list[Rule]:
    return read_rules(Path(recipe.rules)) if recipe.rules else []


def _await_report(worker: LineWorker, job: CrawlJob, progress: Callable[[int], None] | None) -> CrawlReport:
    """Hand the job to the crawling process, and pass its progress on until its report comes."""
    worker.tell(records.to_json(job))
    num_pages = 0
    while "report" not in (message := worker.hear()):
        if progress is not None and message["num_pages"] > num_pages:
            progress(message["num_pages"] - num_pages)
        num_pages = message["num_pages"]
    report = records.from_json(CrawlReport, message["report"])
    if progress is not None and report.num_pages > num_pages:
        progress(report.num_pages - num_pages)
    worker.wait()
    return report
