"""Looking pages up in Common Crawl's indexes: which archive holds a page, where, and how long its record is.

Three forms of the same index: the CDX server (https://index.commoncrawl.org/CC-MAIN-2024-10-index), for some
thousands of pages; CDXJ files on disk; and the columnar index (Parquet), for whole domains and more. Field names are
those of pywb's CDX server API and of Common Crawl's cc-index-table.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from mathwright.corpus.archive.listing import LIST_ENDINGS, find_archives
from mathwright.corpus.archive.pages import HTML_TYPES
from mathwright.corpus.archive.remote import is_url
from mathwright.corpus.common_crawl.client import PoliteClient
from mathwright.corpus.urls import bare_url
from mathwright.errors import MathwrightError

COMMON_CRAWL = "https://data.commoncrawl.org/"
"""What the file names of Common Crawl's indexes are relative to; s3://commoncrawl/ within AWS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Where an archive holds a page."""

    url: str
    archive: str
    """File name as the index gives it, relative to the place where the archives lie."""
    offset: int
    length: int
    """Bytes of the record (of its gzip member) in the archive."""
    status: int
    mime: str
    """Detected content type, or the declared one where the index knows no other."""
    digest: str
    date: str
    """ISO 8601, UTC."""
    languages: str = ""
    """ISO 639-3 codes with commas between, as detected; "" where the index does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which pages are looked up: those below a URL prefix, or of a domain and the hosts below it.

    Prefixes and URLs are compared without scheme and leading "www.".
    """

    prefixes: tuple[str, ...] = ()
    """Such as docs.sympy.org/latest/ (with or without https://)."""
    domains: tuple[str, ...] = ()
    """Such as sympy.org."""
    languages: tuple[str, ...] = ()
    """Where given, pages whose first language is another are left out, if the index says it."""

    def __post_init__(self) -> None:
        if not self.prefixes and not self.domains:
            raise MathwrightError("nothing to look up", hint="name a --url-prefix or a --domain")
        for name in (*self.prefixes, *self.domains):
            if not bare_url(name).split("/")[0]:
                raise MathwrightError(f"{name!r} has no host", hint="write it as docs.sympy.org/latest/")
        for name in self.domains:
            if "/" in bare_url(name).rstrip("/"):
                raise MathwrightError(f"{name!r} is no domain", hint="a domain has no path; use --url-prefix")

    @property
    def bare_prefixes(self) -> tuple[str, ...]:
        """A host alone means its pages, not those of hosts whose names begin so."""
        return tuple(p if "/" in p else p + "/" for p in map(bare_url, self.prefixes))

    @property
    def bare_domains(self) -> tuple[str, ...]:
        return tuple(bare_url(domain).rstrip("/") for domain in self.domains)

    def matches(self, url: str) -> bool:
        bare = bare_url(url)
        if bare.startswith(self.bare_prefixes):
            return True
        host = bare.split("/", 1)[0].split(":")[0]
        return any(host == domain or host.endswith("." + domain) for domain in self.bare_domains)

    def why_not(self, capture: Capture) -> str:
        """Why a capture is none of the pages wanted; "" where it is."""
        if not self.matches(capture.url):
            return "not below a prefix"
        if capture.status != 200:
            return f"status {capture.status}"
        if capture.mime not in HTML_TYPES:
            return f"type {capture.mime}"
        if self.languages and capture.languages and capture.languages.split(",")[0] not in self.languages:
            return f"language {capture.languages.split(',')[0]}"
        return ""


def find_captures(
    indexes: Sequence[str], wanted: Wanted, *, client: PoliteClient | None = None
) -> tuple[list[Capture], Counter[str], int]:
    """The latest capture of each page wanted, in the order of archives and offsets; why others were dropped; how many
    captures the indexes gave.

    indexes: addresses of CDX servers, CDXJ files (.cdxj, .cdx, also .gz), Parquet files (paths, globs, s3://,
    https://), or lists of Parquet files such as cc-index-table.paths.gz. Memory grows with the pages found (about
    half a kilobyte each). Raises MathwrightError for an index that cannot be read.
    """
    latest: dict[str, Capture] = {}
    dropped: Counter[str] = Counter()
    num_in = 0
    for index in indexes:
        for capture in _read_index(index, wanted, client):
            num_in += 1
            if reason := wanted.why_not(capture):
                dropped[reason] += 1
                continue
            key = bare_url(capture.url)
            known = latest.get(key)
            if known is not None:
                dropped["older capture of the same page"] += 1
            if known is None or (capture.date, capture.archive, capture.offset) > (
                known.date, known.archive, known.offset,
            ):  # fmt: skip
                latest[key] = capture
    return sorted(latest.values(), key=lambda c: (c.archive, c.offset)), dropped, num_in


def _read_index(index: str, wanted: Wanted, client: PoliteClient | None) -> Iterator[Capture]:
    name = urlsplit(index).path if is_url(index) else index
    if name.endswith((".cdxj", ".cdx", ".cdxj.gz", ".cdx.gz")):
        for path in find_archives([index]):
            yield from read_cdxj(path, wanted)
    elif name.endswith((".parquet", *LIST_ENDINGS)):
        paths = [path for path in find_archives([index]) if path.endswith(".parquet")]
        # Other subsets of the table are robots.txt files and what could not be fetched.
        yield from read_columnar([p for p in paths if "/subset=" not in p or "/subset=warc/" in p], wanted)
    elif index.startswith(("http://", "https://")):
        yield from query_cdx_server(index, wanted, client or PoliteClient(requests_per_s=1))
    else:
        raise MathwrightError(
            f"{index}: no index that is known",
            hint="name a CDX server, .cdxj files, .parquet files, or a .paths.gz list of them",
        )


# --- the CDX server -----------------------------------------------------------------------------------


def query_cdx_server(endpoint: str, wanted: Wanted, client: PoliteClient) -> Iterator[Capture]:
    """Captures that the server has for each prefix and domain, page by page of its answer."""
    queries = [(prefix, "prefix") for prefix in wanted.bare_prefixes]
    queries += [(domain, "domain") for domain in wanted.bare_domains]
    for url, match_type in queries:
        parameters = [
            ("url", url),
            ("matchType", match_type),
            ("output", "json"),
            ("filter", "=status:200"),
            ("filter", "~mime-detected:(text/html|application/xhtml\\+xml)"),
        ]
        for page in range(_count_pages(endpoint, parameters, client)):
            for line in _ask_index(endpoint, [*parameters, ("page", str(page))], client):
                yield _from_cdx(line, endpoint)


def _count_pages(endpoint: str, parameters: list[tuple[str, str]], client: PoliteClient) -> int:
    for answer in _ask_index(endpoint, [*parameters, ("showNumPages", "true")], client):
        if isinstance(answer.get("pages"), int):
            return answer["pages"]
        raise MathwrightError(f"{endpoint}: no number of pages in {answer}", hint="is this a CDX server?")
    return 0


def _ask_index(endpoint: str, parameters: list[tuple[str, str]], client: PoliteClient) -> Iterator[dict[str, Any]]:
    url = f"{endpoint}?{urlencode(parameters)}"
    answer = client.get(url)
    if answer.status == 404 and b"No Captures found" in answer.body:
        return
    if answer.status != 200:
        text = answer.body[:200].decode("utf-8", "replace").strip()
        hint = {
            403: "the server refuses you, usually for asking too fast: wait, and lower --index-requests-per-s",
            404: "check the name of the crawl; https://index.commoncrawl.org/collinfo.json lists all",
        }.get(answer.status, "see what the server says")
        raise MathwrightError(f"{url}: status {answer.status}: {text}", hint=hint)
    for line in answer.body.split(b"\n"):
        if line.strip():
            yield _parse(line, endpoint)


def _parse(line: bytes | str, source: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise MathwrightError(f"{source}: not JSON: {line[:100]!r}", hint="the answer or file is damaged") from error
    if not isinstance(value, dict):
        raise MathwrightError(f"{source}: no JSON object: {line[:100]!r}", hint="the answer or file is damaged")
    return value


def _from_cdx(row: dict[str, Any], source: str) -> Capture:
    """A capture from the fields of a CDX line; numbers are strings there."""
    try:
        stamp = row["timestamp"]
        return Capture(
            url=row["url"],
            archive=row["filename"],
            offset=int(row["offset"]),
            length=int(row["length"]),
            status=int(row["status"]) if str(row.get("status", "")).isdigit() else 0,
            mime=row.get("mime-detected") or row.get("mime", ""),
            digest=row.get("digest", ""),
            date=f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[8:10]}:{stamp[10:12]}:{stamp[12:14]}Z",
            languages=row.get("languages", ""),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise MathwrightError(
            f"{source}: {type(error).__name__} {error} in {str(row)[:200]}",
            hint="a line needs url, timestamp, filename, offset and length",
        ) from error


# --- CDXJ files ---------------------------------------------------------------------------------------


def read_cdxj(path: str | Path, wanted: Wanted) -> Iterator[Capture]:
    """Captures in a CDXJ file (`surt timestamp {json}` lines, plain or gzip) that may be wanted."""
    keys = tuple(f"{_surt_host(name)}" for name in (*wanted.bare_prefixes, *wanted.bare_domains))
    opener = gzip.open if str(path).endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.startswith(keys):
                    continue
                _, stamp, rest = line.split(" ", 2) if line.count(" ") > 1 else ("", "", line)
                yield _from_cdx({"timestamp": stamp, **_parse(rest, f"{path}:{number}")}, f"{path}:{number}")
    except (OSError, EOFError) as error:
        raise MathwrightError(
            f"{path}: cannot be read: {error}", hint="check the path, or download the file again"
        ) from error


def _surt_host(bare: str) -> str:
    """The host of a bare URL as SURT keys begin with it: docs.sympy.org gives org,sympy,docs."""
    return ",".join(reversed(bare.split("/", 1)[0].split(":")[0].split(".")))


# --- the columnar index -------------------------------------------------------------------------------

_COLUMNS = (
    "url", "warc_filename", "warc_record_offset", "warc_record_length", "fetch_status", "fetch_time",
    "content_mime_detected", "content_mime_type", "content_digest", "content_languages",
)  # fmt: skip


def read_columnar(paths: Sequence[str], wanted: Wanted) -> Iterator[Capture]:
    """Captures in Parquet files of the columnar index that may be wanted.

    The files are sorted by SURT key, so that of most only the footer is read; status and host are compared before
    the other columns are fetched.
    """
    import daft
    from daft import col, lit
    from daft.exceptions import DaftCoreException

    if not paths:
        raise MathwrightError("the list names no Parquet file of pages", hint="use cc-index-table.paths.gz of a crawl")
    condition = lit(False)
    for name in (*wanted.bare_prefixes, *wanted.bare_domains):
        key = _surt_host(name)
        # ";" sorts after all that follows the host in a key: "," before a subdomain, ")" at the end, ":" before a port.
        condition = condition | ((col("url_surtkey") >= lit(key)) & (col("url_surtkey") < lit(key + ";")))
    try:
        frame = daft.read_parquet(list(paths))
        columns = [name for name in _COLUMNS if name in frame.column_names]
        rows = frame.where(condition & (col("fetch_status") == lit(200))).select(*columns)
        for batch in rows.to_arrow_iter():
            for row in batch.to_pylist():
                yield _from_row(row)
    except (DaftCoreException, OSError, ValueError) as error:
        raise MathwrightError(
            f"{paths[0]}{' and others' if len(paths) > 1 else ''}: {str(error)[:300]}",
            hint="is this Common Crawl's columnar index? s3:// needs AWS credentials, https:// none",
        ) from error


def _from_row(row: dict[str, Any]) -> Capture:
    time = row["fetch_time"]
    return Capture(
        url=row["url"],
        archive=row["warc_filename"],
        offset=int(row["warc_record_offset"]),
        length=int(row["warc_record_length"]),
        status=int(row["fetch_status"]),
        mime=row.get("content_mime_detected") or row.get("content_mime_type") or "",
        digest=row.get("content_digest") or "",
        date=time if isinstance(time, str) else time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        languages=row.get("content_languages") or "",
    )
