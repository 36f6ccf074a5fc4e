"""What it takes to mine a crawl: core-hours, disk and memory of each part, from measured figures.

    python benchmarks/mining_cost.py --pages 2.64e9 --archive-tb 85 --kept 0.05 --cores 96 --price 0.0425

The figures of one core are those of `FIGURES`, measured by `corpus_throughput.py` and `mining_memory.py`; put in your
own with --figure NAME=VALUE. Not in it, since not measured: the network, object storage, and machines that fail.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

FIGURES = {
    "extract_pages_per_s": 90.0,  # a core: archives read, text extracted, scored by a classifier (page_classifier)
    "text_kb_per_page": 12.6,  # of the documents
    "documents_ratio": 0.35,  # bytes of documents.parquet by bytes of text
    "dedup_pages_per_s": 2400.0,  # a core: MinHash, bands, sort by URL
    "score_pages_per_s": 370.0,  # a core: normaliser and fastText of 256 dimensions, an iteration
    "decontaminate_mb_per_s": 25.0,  # a core (decontamination.py)
    "tokenise_mb_per_s": 1.2,  # a core
    "train_s": 6.0,  # an iteration; grows with the examples, not with the pages
    "bytes_in_memory_per_page": 2000.0,  # of the process that leads: addresses, scores, signatures under way
    "fixed_memory_gb": 1.2,
    "signature_bytes": 512.0,  # on disk while deduplicating: 128 hashes a page
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: str
    core_hours: float
    disk_tb: float = 0.0
    """Written by the part; what the next one reads."""
    memory_gb: float = 0.0
    """Of the one machine that leads; a worker takes what docs/common_crawl.md says."""


def parts(*, pages: float, kept: float, collected: float, iterations: int, figures: dict[str, float]) -> list[Part]:
    """pages: of the crawl; kept: share of them that become documents (page_classifier, min_words); collected: share of
    the documents within the last budget."""
    documents = pages * kept
    text_mb = documents * figures["text_kb_per_page"] / 1e3
    on_disk = text_mb * figures["documents_ratio"] / 1e6
    memory = figures["fixed_memory_gb"] + documents * figures["bytes_in_memory_per_page"] / 1e9

    def hours(amount: float, rate: str) -> float:
        return amount / figures[rate] / 3600

    return [
        Part(name="archives to documents", core_hours=hours(pages, "extract_pages_per_s"), disk_tb=on_disk),
        Part(
            name="deduplication",
            core_hours=hours(documents, "dedup_pages_per_s"),
            disk_tb=2 * on_disk + documents * figures["signature_bytes"] / 1e12,
            memory_gb=memory,
        ),
        Part(
            name=f"{iterations} iterations",
            core_hours=iterations * (hours(documents, "score_pages_per_s") + figures["train_s"] / 3600),
            memory_gb=memory,
        ),
        Part(
            name="decontamination",
            core_hours=hours(text_mb * collected, "decontaminate_mb_per_s"),
            disk_tb=on_disk * collected,
        ),
        Part(
            name="shards",
            core_hours=hours(text_mb * collected, "tokenise_mb_per_s"),
            disk_tb=text_mb * collected / 3 * 2 / 1e6,  # a token has about three bytes of text, and takes two
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=float, required=True, help="of the crawl")
    parser.add_argument("--archive-tb", type=float, required=True, help="its WARC files, compressed")
    parser.add_argument("--kept", type=float, default=1.0, help="share of the pages that become documents")
    parser.add_argument("--collected", type=float, default=0.2, help="share of the documents within the budget")
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--cores", type=int, default=96)
    parser.add_argument("--price", type=float, help="of a core and hour")
    parser.add_argument("--figure", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    figures = dict(FIGURES)
    for setting in arguments.figure:
        name, _, value = setting.partition("=")
        if name not in figures:
            parser.error(f"no figure {name}; there are {', '.join(figures)}")
        figures[name] = float(value)

    found = parts(
        pages=arguments.pages,
        kept=arguments.kept,
        collected=arguments.collected,
        iterations=arguments.iterations,
        figures=figures,
    )
    print(f"| part | core-hours | hours on {arguments.cores} cores | written, TB | memory of the lead, GB |")
    print("|---|---|---|---|---|")
    for part in found:
        memory = f"{part.memory_gb:,.0f}" if part.memory_gb else ""
        hours = part.core_hours / arguments.cores
        print(f"| {part.name} | {part.core_hours:,.0f} | {hours:,.1f} | {part.disk_tb:,.2f} | {memory} |")
    total = sum(part.core_hours for part in found)
    hours = total / arguments.cores
    print(f"| all | {total:,.0f} | {hours:,.1f} | {sum(part.disk_tb for part in found):,.2f} | |")
    rate = arguments.archive_tb * 1e6 / (found[0].core_hours / arguments.cores * 3600)
    print(f"\nReading {arguments.archive_tb:,.0f} TB in that time takes {rate:,.0f} MB/s.")
    if arguments.price is not None:
        print(f"At {arguments.price} a core and hour: {total * arguments.price:,.0f}.")


if __name__ == "__main__":
    main()
