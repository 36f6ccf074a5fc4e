"""The command line's verbs for the corpus (§2.1) that are no stage: fetch, crawl, contamination, and those behind
`mathwright corpus`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.table import Table

from mathwright.cli.corpora import Export, Import, Stats, export_corpus, import_corpus, split_names, stats
from mathwright.errors import MathwrightError
from mathwright.terminal import console, put

Positional = tyro.conf.Positional


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fetch:
    """§2.1 Look pages up in Common Crawl's index and fetch them into WARC files, for `corpus.web.archives`.

    `mathwright fetch --index https://index.commoncrawl.org/CC-MAIN-2024-10-index --url-prefix docs.sympy.org/latest/
    --out fetched`. What is fetched is kept: the same command resumes where it was stopped.
    """

    index: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
    """A CDX server, .cdxj files, .parquet files of the columnar index, or cc-index-table.paths.gz (repeatable)."""
    out: Path
    """Folder for the WARC files."""
    url_prefix: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Pages below this: docs.sympy.org/latest/ (repeatable)."""
    domain: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Pages of this domain and the hosts below it: sympy.org (repeatable)."""
    language: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Leave out pages in other languages than this, in three letters: eng (repeatable)."""
    limit: int | None = None
    """Fetch this many pages at most."""
    archives: str = "https://data.commoncrawl.org/"
    """Where the archives lie that the index names: https://, s3://commoncrawl/ or a folder."""
    threads: int = 4
    """Requests under way at a time."""
    requests_per_s: float = 10.0
    """Requests for records a second, at most."""
    index_requests_per_s: float = 1.0
    """Requests to a CDX server a second, at most."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crawl:
    """§2.1 Fetch pages into WARC files, those first that a classifier expects to be mathematics (docs/crawling.md).

    `mathwright crawl https://example.org/ --out pages --contact me@example.org --classifier RUN/corpus/iteration-2`
    Called again, a stopped crawl resumes.
    """

    start_urls: Positional[tuple[str, ...]] = ()
    """Where to start; without any, at the prefixes that --rules accept."""
    out: Path
    """Folder for the archives, grounds.jsonl and the frontier."""
    contact: str = ""
    """A web page or mail address of whoever answers for this crawl; sent with every request."""
    classifier: Path | None = None
    """Folder of a trained classifier; without one the order is breadth-first."""
    rules: Path | None = None
    """A rules.toml: what it rejects is not fetched; with --scope prefixes only what it accepts is."""
    scope: Literal["host", "domain", "prefixes", "any"] = "host"
    """Hosts of the start URLs, their registered domains, the prefixes accepted by --rules, or any host."""
    max_pages: int = 10_000
    max_pages_per_host: int = 10_000
    max_hosts: int = 0
    """0 is no limit, as for the next three."""
    max_depth: int = 0
    """Links from a start URL."""
    max_bytes: int = 0
    """HTML, decompressed."""
    max_minutes: float = 0.0
    """Earlier calls included."""
    delay_s: float = 1.0
    """Seconds between two requests to one host; robots.txt may ask for more."""
    patience: float = 0.5
    """Wait for a better host rather than fetch what has less than this share of its priority; 0: never."""
    nofollow: Literal["obey", "ignore"] = "obey"
    """Whether links marked nofollow are followed."""
    noindex: Literal["store", "skip"] = "store"
    """Whether pages are kept that ask search engines not to index them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Annotate:
    """§2.1 Decide on a local web page which domains and URL prefixes of a run are mathematics.

    Decisions are saved at once in RUN/rules.toml. The command that made the run, given again, continues with them.
    """

    run: Positional[Path]
    """Run directory with at least one finished iteration of its corpus stage."""
    by: str = ""
    """Who decides, as the rules will say; by default the user of this machine."""
    iteration: int | None = None
    """The last finished one by default."""
    auto: bool = False
    """Open no page: write the rules that would be proposed, by "automatic", and end."""
    port: int = 0
    """0 is any that is free."""
    browser: bool = True
    """Open the page in the browser."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recall:
    """§2.1 Precision and recall of what a run collected, from its labelling sheet once a person has labelled it.

    RUN/corpus/quality/sheet.jsonl has pages from around the cut; set `label` of some of each stratum to true or false.
    """

    sheet: Positional[Path]
    """The labelled sheet."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Where:
    """§2.1 Say from which page of which archive a token of the corpus comes.

    `mathwright corpus where RUN/corpus/shards:123456`, or `RUN/corpus/shards/shard-00002:123` within one shard.
    """

    place: Positional[str]
    """SHARD:POSITION: a folder of shards, or one of its shards, and the number of a token there, from 0."""
    page: bool = False
    """Read the page from its archive again and print its text."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contamination:
    """Find which problems of benchmarks stand in a corpus, for `mathwright eval --contamination`."""

    corpus: Positional[Path]
    """Parquet of documents, JSONL with a `text` field, or a folder of them."""
    tasks: str
    """Benchmarks, comma-separated."""
    out: Path
    """JSONL file to write: a line a finding."""
    data: str | None = None
    """Folder with the benchmarks' files; the Hugging Face hub by default."""
    min_share: float = 0.0
    """Report a problem only if this share of its question stands in a text; the paper's rule is one 10-gram."""


CORPUS_VERBS: dict[str, type] = {
    "annotate": Annotate,
    "export": Export,
    "import": Import,
    "recall": Recall,
    "stats": Stats,
    "where": Where,
}
"""Verbs behind `mathwright corpus`, which otherwise takes a recipe."""


def perform(command: Any) -> None:
    """Do what one of the verbs asks for."""
    actions: dict[type, Callable[[Any], None]] = {
        Fetch: fetch,
        Crawl: crawl,
        Contamination: contamination,
        Annotate: annotate,
        Recall: recall,
        Where: where,
        Import: import_corpus,
        Stats: stats,
        Export: export_corpus,
    }
    actions[type(command)](command)


def fetch(arguments: Fetch) -> None:
    """Fetch chosen pages of Common Crawl and say where they are."""
    from mathwright.corpus.common_crawl.client import PoliteClient
    from mathwright.corpus.common_crawl.fetch import fetch as run
    from mathwright.corpus.common_crawl.index import Wanted

    run(
        arguments.index,
        Wanted(prefixes=arguments.url_prefix, domains=arguments.domain, languages=arguments.language),
        arguments.out,
        archives=arguments.archives,
        limit=arguments.limit,
        index_client=PoliteClient(requests_per_s=arguments.index_requests_per_s),
        data_client=PoliteClient(requests_per_s=arguments.requests_per_s),
        num_threads=arguments.threads,
    )
    put(str(arguments.out / "fetched-*.warc.gz"))


def crawl(arguments: Crawl) -> None:
    """Crawl, and say what was fetched and what was not."""
    import mathwright
    from mathwright.corpus.crawl.run import crawl as run
    from mathwright.corpus.recipe import WebRecipe
    from mathwright.run.progress import counting
    from mathwright.run.status import Work

    recipe = WebRecipe(
        kind="crawl",
        archives=(),
        packages=(),
        start_urls=arguments.start_urls,
        max_pages=arguments.max_pages,
        max_pages_per_host=arguments.max_pages_per_host,
        delay_s=arguments.delay_s,
        requests_per_host=1 if arguments.delay_s else 4,
        user_agent=f"mathwright/{mathwright.__version__}" + (f" (+{arguments.contact})" if arguments.contact else ""),
        order="score",
        scope=arguments.scope,
        rules=str(arguments.rules or ""),
        classifier=str(arguments.classifier or ""),
        max_depth=arguments.max_depth,
        max_hosts=arguments.max_hosts,
        max_bytes=arguments.max_bytes,
        max_seconds=60 * arguments.max_minutes,
        patience=arguments.patience,
        nofollow=arguments.nofollow,
        noindex=arguments.noindex,
    )
    if not arguments.start_urls and arguments.rules is None:
        raise MathwrightError("no URL to start from", hint="mathwright crawl https://example.org/ --out D, or --rules")
    with counting(Work(description="crawl", total=arguments.max_pages)) as advance:
        report = run(arguments.start_urls, arguments.out, recipe=recipe, progress=advance)
    found = "" if report.num_relevant is None else f", {report.num_relevant:,} of them mathematics to the classifier"
    console.print(f"{report.num_pages:,} pages of {len(report.pages_by_host):,} hosts{found}")
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.dropped.items())
    console.print(f"{report.num_urls:,} addresses seen; not fetched or no page: {reasons or 'none'}", soft_wrap=True)
    for path in (*report.archives, arguments.out / "grounds.jsonl"):
        put(str(path))


def annotate(arguments: Annotate) -> None:
    """Open the page on which people decide, until it is closed."""
    from mathwright.corpus.annotate.server import annotate as run

    run(
        arguments.run,
        by=arguments.by,
        iteration=arguments.iteration,
        auto=arguments.auto,
        port=arguments.port,
        browser=arguments.browser,
    )


def recall(arguments: Recall) -> None:
    """Print precision and recall with their intervals, and a row for each stratum."""
    from mathwright.corpus.mining.measures import recall_from_sheet

    found = recall_from_sheet(arguments.sheet)
    for name in ("precision", "recall"):
        put(f"{name} {found[name]:.3f} (95% interval {found[f'{name}_low']:.3f} to {found[f'{name}_high']:.3f})")
    table = Table("stratum", "pages", "labelled", "share", "95% interval")
    for row in found["strata"]:
        interval = f"{row['share_low']:.3f} to {row['share_high']:.3f}"
        table.add_row(row["stratum"], f"{row['pages']:,}", f"{row['labelled']:,}", f"{row['share']:.3f}", interval)
    console.print(table)


def where(arguments: Where) -> None:
    """Print a token's document, a field a line, and its text by option."""
    document, token, shards = _find_token(arguments.place)
    put(f"url\t{document.url}\narchive\t{document.archive}\noffset\t{document.offset}")
    put(f"token\t{token:,} of {document.num_tokens:,} of the document")
    if arguments.page:
        put(_page_text(shards, document.archive, document.offset, document.url))


def _find_token(place: str) -> tuple[Any, int, Path]:
    """The document of a token given as SHARD:POSITION, the token's number in it, and the folder of the shards."""
    from mathwright.lm.shards import TokenShards

    name, _, number = place.rpartition(":")
    position = int(number) if number.isascii() and number.isdigit() else -1
    if not name or position < 0:
        raise MathwrightError(
            f"{place!r} is not SHARD:POSITION", hint="such as RUN/corpus/shards:123456, counted from 0"
        )
    path = Path(name)
    if not path.is_dir() and not any(path.parent.glob("shard-*.json")):
        raise MathwrightError(f"{path}: no token shards", hint="run the corpus stage, or check the path")
    shards = TokenShards(path if path.is_dir() else path.parent)
    start, size = (0, shards.num_tokens) if path.is_dir() else shards.shard_range(path.with_suffix("").name)
    if position >= size:
        raise MathwrightError(f"{name} has {size:,} tokens, no token {position:,}", hint="they are counted from 0")
    document = shards.document_at(start + position)
    return document, start + position - document.start, shards.folder


def _page_text(shards: Path, archive: str, offset: int, url: str) -> str:
    from mathwright.corpus.importing.run import is_import, read_again

    if is_import(shards.parent):
        return read_again(shards.parent, archive, offset)
    from mathwright.corpus.archive.pages import is_wet, read_documents, read_pages
    from mathwright.corpus.extract.page import extract
    from mathwright.records import Damage, Document

    for page in (read_documents if is_wet(archive) else read_pages)(archive, start=offset):
        if isinstance(page, Damage) or page.offset != offset:
            break
        if page.url == url:  # records of one gzip member share its offset
            return page.text if isinstance(page, Document) else extract(page.html, url, charset=page.charset).text
    raise MathwrightError(f"{url} is not at byte {offset} of {archive}", hint="has the archive changed since?")


def contamination(arguments: Contamination) -> None:
    """Find benchmark problems in a corpus and say how many of each task."""
    from mathwright.corpus.decontaminate.contamination import QuestionIndex
    from mathwright.corpus.decontaminate.contamination import contamination as find
    from mathwright.problems.benchmarks import load_benchmark

    if not arguments.corpus.exists():
        raise MathwrightError(
            f"{arguments.corpus}: no such file or folder", hint="name a corpus: Parquet, JSONL, a folder"
        )
    problems = [p for name in split_names(arguments.tasks) for p in load_benchmark(name, arguments.data).problems]
    if too_short := len(QuestionIndex(problems).too_short):
        console.print(f"{too_short:,} of {len(problems):,} questions are too short to be searched for")
    with console.status("reading the corpus"):
        counts = find(arguments.corpus, problems, arguments.out, min_share=arguments.min_share)
    for task, count in counts.items():
        put(f"{task}\t{count}")
