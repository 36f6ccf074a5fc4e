"""Speed and memory of decontamination, beside datatrove's filter where its interpreter is given.

    python benchmarks/decontamination.py corpus.parquet --data benchmarks/data --datatrove env/bin/python

The corpus is anything `mathwright contamination` reads (Parquet, JSON lines, text). Times are CPU times of one process
on the same texts, taken in turns, the best of `--rounds`; MB are 10^6 bytes of UTF-8.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

from mathwright.corpus.decontaminate import ContaminationIndex, build_index, find_contamination, find_contamination_in
from mathwright.corpus.decontaminate.grams import tokenise
from mathwright.corpus.decontaminate.match import PIECE_CHARS
from mathwright.corpus.decontaminate.texts import benchmark_texts
from mathwright.corpus.documents.foreign import read_corpus
from mathwright.errors import MathwrightError
from mathwright.problems.benchmarks import BENCHMARKS

PAPER = ("gsm8k", "math", "cmath", "agieval")
LARGE_BYTES = 50_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--data", required=True, help="folder with the benchmarks' files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--datatrove", help="Python interpreter of an environment with datatrove and nltk")
    parser.add_argument("--max-mb", type=float, default=20.0, help="text of each language that is timed")
    arguments = parser.parse_args()

    index = report_indexes(arguments.data)
    texts = [text for _, text in read_corpus(arguments.corpus)]
    sides = {
        "English": take([text for text in texts if not is_chinese(text)], arguments.max_mb),
        "Chinese": take([text for text in texts if is_chinese(text)], arguments.max_mb),
    }
    report_large_page(sides["English"], index)
    for name, side in sides.items():
        if side:
            report_speed(name, side, index, arguments)


def is_chinese(text: str) -> bool:
    return sum("\u4e00" <= char <= "\u9fff" for char in text) > 0.2 * len(text)


def take(texts: Sequence[str], max_mb: float) -> list[str]:
    """Every k-th text, so that about `max_mb` are left."""
    step = max(1, round(sum(map(size, texts)) / (max_mb * 1e6)))
    return list(texts[::step])


def size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def report_indexes(data: str) -> ContaminationIndex:
    """Print time and memory of the index of the paper's benchmarks and of all that lie in `data`; return the first."""
    found = []
    for name in BENCHMARKS:
        try:
            benchmark_texts([name], data)
        except MathwrightError:
            continue
        found.append(name)
    indexes = []
    for names in (PAPER, found):
        start = time.process_time()
        index = build_index(benchmark_texts(names, data))
        seconds = time.process_time() - start
        num_texts, num_short = sum(index.num_texts.values()), sum(index.num_too_short.values())
        print(
            f"index of {len(names)} benchmarks: {num_texts:,} texts ({num_short:,} too short), {len(index.tokens):,} "
            f"grams, {index.size_bytes / 1e6:.0f} MB, built in {seconds:.1f} s"
        )
        indexes.append(index)
    return indexes[0]


def report_speed(name: str, texts: Sequence[str], index: ContaminationIndex, arguments: argparse.Namespace) -> None:
    num_bytes = sum(map(size, texts))
    found = sum(map(bool, find_contamination_in(texts, index)))
    print(f"{name}: {len(texts):,} texts, {num_bytes / 1e6:.1f} MB, contaminated {found}")
    jobs: dict[str, Callable[[], object]] = {
        "texts in batches": lambda: list(find_contamination_in(texts, index)),
        "one text at a time": lambda: [find_contamination(text, index) for text in texts],
        "the gram stream alone": lambda: [tokenise(piece) for text in texts for piece in pieces(text)],
    }
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(arguments.rounds):
        for job, run in jobs.items():
            start = time.process_time()
            run()
            best[job] = min(best[job], time.process_time() - start)
    for job, seconds in best.items():
        print(f"  {job:24} {num_bytes / 1e6 / seconds:6.1f} MB/s")
    if arguments.datatrove:
        peer = run_datatrove(arguments.datatrove, texts, arguments.data)
        speed = num_bytes / 1e6 / peer["seconds"]
        ratio = peer["seconds"] / best["texts in batches"]
        print(f"  {'datatrove':24} {speed:6.2f} MB/s, found {peer['found']}; ours is {ratio:.0f} times as fast")


def pieces(text: str) -> list[str]:
    return [text[i : i + PIECE_CHARS] for i in range(0, len(text), PIECE_CHARS)]


def run_datatrove(interpreter: str, texts: Sequence[str], data: str) -> dict[str, float]:
    """Seconds and finds of NgramsDecontFilter on the same texts with the same benchmark texts."""
    with tempfile.TemporaryDirectory() as folder:
        benchmark = [item.text for found in benchmark_texts(PAPER, data).values() for item in found]
        paths = [Path(folder) / name for name in ("texts.jsonl", "benchmark.jsonl")]
        for path, rows in zip(paths, (texts, benchmark), strict=True):
            path.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows), encoding="utf-8")
        script = Path(__file__).with_name("decontamination_datatrove.py")
        done = subprocess.run([interpreter, script, *paths], capture_output=True, text=True, check=False)
    if done.returncode:
        raise MathwrightError(
            f"datatrove failed: {done.stderr.strip().splitlines()[-1:]}", hint="it needs spacy, nltk and xxhash"
        )
    return json.loads(done.stdout.splitlines()[-1])


def report_large_page(texts: Sequence[str], index: ContaminationIndex) -> None:
    """One page of 50 MB: its time, and the memory of the arrays beside the text itself."""
    page = "\n\n".join(texts)
    page = (page * (LARGE_BYTES // len(page) + 1))[:LARGE_BYTES]
    start = time.process_time()
    spans = find_contamination(page, index)
    seconds = time.process_time() - start
    tracemalloc.start()
    find_contamination(page, index)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(
        f"a page of {len(page) / 1e6:.0f} million characters: {seconds:.1f} s, {size(page) / 1e6 / seconds:.1f} MB/s, "
        f"{peak / 1e6:.0f} MB of memory beside it, {len(spans)} spans"
    )


if __name__ == "__main__":
    main()
