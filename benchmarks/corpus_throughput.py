"""From WARC files to extracted, classified documents: ours beside datatrove, on the same files, model and cores.

    python benchmarks/corpus_throughput.py 'pages-*.warc.gz' --labels labels.jsonl.gz \\
        --datatrove-python env/bin/python --out throughput.json
    python benchmarks/corpus_throughput.py 'pages-*.warc.gz' --labels labels.jsonl.gz --profile   # where time goes

Ours is `mathwright.corpus.pages.run` with its `classifier`; theirs is WarcReader, Trafilatura (its time limit raised to
30 s, so that a busy machine drops no page), FastTextClassifierFilter and JsonlWriter. Both keep what a fastText model
scores at 0.5 or more; it is trained here from labels (JSON lines with `url` and `kind`: math, nonmath). A measurement
is a process of its own, from its start to its end; the sides take turns; ratios are of medians of one run. Processor
seconds are those of the whole tree of processes: on a busy machine they are the surer figure. Memory is the largest
sum over the tree of what each has for itself and its part of what is shared (PSS).

datatrove needs an environment of its own: `pip install "datatrove[io,processing]" lxml_html_clean` (without the
last, trafilatura 1.11 cannot be imported, and every page times out).
"""

from __future__ import annotations

import argparse
import cProfile
import datetime
import glob
import gzip
import json
import os
import platform
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mathwright.corpus import classifier as classify
from mathwright.corpus.archive import read_pages
from mathwright.corpus.extract import extract
from mathwright.corpus.pages.blocks import PageRules, do_slice
from mathwright.corpus.pages.run import extract_archives, join_archives
from mathwright.corpus.pages.slots import SLOT_CELLS, Slot
from mathwright.corpus.recipe import ClassifierRecipe
from mathwright.records import Page
from mathwright.run import Stage

MIN_SCORE = 0.5
NUM_EXAMPLES = 400
"""Pages of each kind the model learns from: what it knows does not matter here, only what it costs."""
SAMPLE_S = 0.1
MEASURES = ("seconds", "processor_s", "peak_mb")


def train_classifier(archives: Sequence[str], labels: Path, folder: Path) -> None:
    """Train on the labelled pages of the archives and save to `folder`."""
    with gzip.open(labels, "rt", encoding="utf-8") as file:
        kinds = {row["url"]: row["kind"] for row in map(json.loads, file)}
    texts: dict[str, list[str]] = {"math": [], "nonmath": []}
    for path in archives:
        for page in read_pages(path):
            if isinstance(page, Page) and len(own := texts.get(kinds.get(page.url, ""), [""] * NUM_EXAMPLES)) < (
                NUM_EXAMPLES
            ):
                own.append(extract(page.html, page.url, charset=page.charset).text)
    recipe = ClassifierRecipe(
        num_positives=2_000, num_negatives=2_000, dim=256, lr=0.1, word_ngrams=3, min_count=3, epochs=3, buckets=200_000
    )
    classify.train(texts["math"], texts["nonmath"], recipe, work_folder=folder, seed=0).save(folder)


def run_ours(job: dict[str, Any]) -> dict[str, int]:
    folder = Path(job["folder"])
    stage = Stage("corpus", folder, "benchmark")
    extract_archives(
        job["archives"], folder / "work", stage, min_words=1, classifier=job["classifier"], min_score=MIN_SCORE,
        num_workers=job["cores"],
    )  # fmt: skip
    num_documents = join_archives(folder / "work", folder / "documents.parquet", stage)
    return {"pages": stage._funnels[-1].num_in, "documents": num_documents}


def measure(command: Sequence[str]) -> dict[str, Any]:
    """Run a command that prints a JSON object; with its seconds and the peak memory of its tree of processes."""
    started = time.monotonic()
    ours = command[0] == sys.executable
    environment = {name: value for name, value in os.environ.items() if ours or name != "PYTHONPATH"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = 0
    ticks: dict[int, int] = {}  # datatrove's server of processes does not wait for them: they are watched instead
    while process.poll() is None:
        tree = process_tree(process.pid)
        ticks.update(tree)
        peak = max(peak, sum(_pss(pid) for pid in tree))
        time.sleep(SAMPLE_S)
    out, err = process.communicate()
    seconds = time.monotonic() - started
    processor = sum(ticks.values()) / os.sysconf("SC_CLK_TCK")
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{err[-4000:]}")
    return {"seconds": seconds, "processor_s": processor, "peak_mb": peak / 2**20, **json.loads(out.splitlines()[-1])}


def process_tree(root: int) -> dict[int, int]:
    """Clock ticks used by a process and by all below it, by their ids."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        parents[pid], ticks[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
    found = {}
    for pid in parents:
        above = pid
        while above not in (root, 0, 1) and above in parents:
            above = parents[above]
        if above == root:
            found[pid] = ticks[pid]
    return found


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def compare(options: argparse.Namespace, archives: list[str]) -> None:
    num_bytes = sum(Path(path).stat().st_size for path in archives)
    here = Path(__file__).absolute()
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "datatrove": []}
    with tempfile.TemporaryDirectory() as folder:
        classifier = Path(folder) / "classifier"
        train_classifier(archives, options.labels, classifier)
        for number in range(options.rounds):
            for side, command in (
                ("ours", [sys.executable, str(here), "--job"]),
                ("datatrove", [options.datatrove_python, str(here.with_name("corpus_throughput_datatrove.py"))]),
            ):
                own = Path(folder) / f"{side}-{number}"
                own.mkdir()
                job = {"archives": archives, "classifier": str(classifier), "folder": str(own), "cores": options.cores}
                (own / "job.json").write_text(json.dumps(job), encoding="utf-8")
                result = measure([*command, str(own / "job.json")])
                runs[side].append(result)
                print(json.dumps({"side": side, **result}), file=sys.stderr, flush=True)
    num_pages = runs["ours"][0]["pages"]
    if min(run["extracted"] for run in runs["datatrove"]) < 0.9 * num_pages:
        raise SystemExit(f"datatrove did not extract the same pages: {runs['datatrove']}, ours {num_pages}")
    head = {
        "date": str(datetime.date.today()),
        "machine": f"{platform.machine()}, {options.cores} cores used, load {os.getloadavg()[0]:.1f}",
        "archives": len(archives),
        "MB": round(num_bytes / 1e6, 1),
        "pages": num_pages,
    }
    medians = {
        side: {key: statistics.median(run[key] for run in own) for key in (*MEASURES, "documents")}
        for side, own in runs.items()
    }
    print(", ".join(f"{key} {value}" for key, value in head.items()))
    print(
        "\n| side | s | pages/s | MB/s | processor s | peak memory MB | documents kept |\n|---|---|---|---|---|---|---|"
    )
    for side, own in medians.items():
        seconds = own["seconds"]
        print(
            f"| {side} | {seconds:.1f} | {num_pages / seconds:.0f} | {num_bytes / 1e6 / seconds:.2f} "
            f"| {own['processor_s']:.1f} | {own['peak_mb']:.0f} | {own['documents']:.0f} |"
        )
    ratios = {key: medians["datatrove"][key] / medians["ours"][key] for key in MEASURES}
    print(
        f"| datatrove / ours | **{ratios['seconds']:.1f}** | | | **{ratios['processor_s']:.1f}** "
        f"| **{ratios['peak_mb']:.1f}** | |"
    )
    if options.out:
        text = json.dumps({**head, "medians": medians, "ratios": ratios, "runs": runs}, indent=2)
        options.out.write_text(text + "\n", encoding="utf-8")


def profile(options: argparse.Namespace, archives: list[str]) -> None:
    """Where one worker spends its time."""
    with tempfile.TemporaryDirectory() as folder:
        classifier = Path(folder) / "classifier"
        train_classifier(archives, options.labels, classifier)
        loaded = classify.Classifier.load(classifier)
        rules = PageRules(
            min_words=1, extract=extract, score=lambda text: float(loaded.score([text])[0]), min_score=MIN_SCORE
        )
        profiler = cProfile.Profile()
        profiler.enable()
        for number, path in enumerate(archives):
            slot = Slot([0] * SLOT_CELLS, 0)
            do_slice(path, Path(folder) / str(number), slot, rules, archive_number=number, slice_index=0, num_slices=1)
        profiler.disable()
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)


def main() -> None:
    if sys.argv[1:2] == ["--job"]:
        print(json.dumps(run_ours(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", help="path or glob of WARC files")
    parser.add_argument("--labels", type=Path, required=True, help="JSON lines (gzip) with url and kind")
    parser.add_argument("--datatrove-python", help="python of the environment that has datatrove")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="only say where ours spends its time")
    parser.add_argument("--out", type=Path, help="a JSON file of everything measured")
    options = parser.parse_args()
    archives = [str(Path(path).absolute()) for path in sorted(glob.glob(options.archives))]  # noqa: PTH207
    if not archives:
        parser.error(f"no archive at {options.archives}")
    if options.profile:
        profile(options, archives)
    elif not options.datatrove_python:
        parser.error("--datatrove-python is needed, or --profile")
    else:
        compare(options, archives)


if __name__ == "__main__":
    main()
