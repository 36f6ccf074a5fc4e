"""Time of extraction with mathematics kept, beside others on the same pages of one run, and formulas found by site.

    python benchmarks/extraction.py pages-*.warc.gz --gold-formulas formulas.jsonl.gz \
        --side trafilatura=peers/bin/python --side openwebmath=owm/bin/python --out extraction.json

Each side runs in a process of its own (extraction_sides.py) and waits while another works: the sides take turns, round
by round, and times are medians of CPU seconds over the rounds. `ours` and `resiliparse` (plain text with its
rules for main content) decode the pages in the time measured; the others are handed the characters.
`--every 4` takes every fourth page. Quality is the matter of extraction_quality.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from extraction_scores import (
    Side,
    archive_pages,
    delimited_formulas,
    normalise,
    read_rows,
    source_formulas,
    write_pages,
)

from mathwright.corpus.extract import extract
from mathwright.records import Page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("archives", nargs="+", help="WARC files")
    parser.add_argument("--gold-formulas", help="JSONL with url, format and gold_source (the page's source)")
    parser.add_argument("--side", action="append", default=[], metavar="NAME=PYTHON", help="another extractor")
    parser.add_argument("--every", type=int, default=1, help="take every N-th page")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON file")
    arguments = parser.parse_args()
    pages = archive_pages(arguments.archives)
    pythons = {"ours": sys.executable, "resiliparse": sys.executable} | dict(s.split("=", 1) for s in arguments.side)
    times = measure_times(pages, pythons, arguments.rounds, arguments.every)
    print(time_table(times))
    recall = recall_by_site(pages, read_rows(arguments.gold_formulas)) if arguments.gold_formulas else {}
    if recall:
        print(recall_table(recall))
    if arguments.out:
        arguments.out.write_text(json.dumps({"times": times, "recall": recall}, indent=1))


def measure_times(pages: Mapping[str, Page], pythons: Mapping[str, str], rounds: int, every: int) -> dict[str, dict]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "pages.jsonl"
        write_pages(pages.values(), path)
        sides = [Side(name, python, path) for name, python in pythons.items()]
        for side in sides:
            side.ask(f"time {50 * every}")  # imports, compiled patterns, first touch of memory
        answers = {side.name: [] for side in sides}
        for _ in range(rounds):
            for side in sides:
                answers[side.name].append(side.ask(f"time {every}"))
        for side in sides:
            side.close()
    times = {}
    for name, own in answers.items():
        seconds = statistics.median(answer["seconds"] for answer in own)
        times[name] = {"seconds": seconds, "rounds": [answer["seconds"] for answer in own]}
        times[name] |= {"pages": own[0]["pages"], "bytes": own[0]["bytes"]}
    return times


def time_table(times: Mapping[str, Mapping]) -> str:
    lines = ["| side | pages | MB | CPU s | pages/s | MB/s | time / ours | ours / time |", "|---" * 8 + "|"]
    for name, own in times.items():
        seconds, ratio = own["seconds"], own["seconds"] / times["ours"]["seconds"]
        lines.append(
            f"| {name} | {own['pages']} | {own['bytes'] / 1e6:.0f} | {seconds:.2f} | {own['pages'] / seconds:.0f}"
            f" | {own['bytes'] / 1e6 / seconds:.1f} | {ratio:.2f} | {1 / ratio:.2f} |"
        )
    return "\n".join(lines)


def recall_by_site(pages: Mapping[str, Page], rows: list[dict]) -> dict[str, list[int]]:
    """Formulas of the authors' sources, and how many of them our text holds between dollars, by site."""
    sites: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        page = pages.get(row["url"])
        if page is None:
            continue
        text = extract(page.html, page.url, charset=page.charset).text
        shown, bare = set(delimited_formulas(text)), normalise(text)
        for tex in source_formulas(row["gold_source"], row["format"]):
            for tally in (sites[urlsplit(row["url"]).netloc], sites["all"]):
                tally[0] += 1
                tally[1] += tex in shown or f"${tex}$" in bare
    return dict(sorted(sites.items()))


def recall_table(recall: Mapping[str, list[int]]) -> str:
    rows = [f"| {site} | {wanted} | {found / max(1, wanted):.3f} |" for site, (wanted, found) in recall.items()]
    return "\n".join(["\n| formulas found by site | n | ours |", "|---" * 3 + "|", *rows])


if __name__ == "__main__":
    main()
