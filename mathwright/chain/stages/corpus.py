"""Stage `corpus` (§2.1): mathematical text mined from the web, as token shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mathwright.chain.context import Context
from mathwright.chain.plan import Plan
from mathwright.chain.spec import StageSpec
from mathwright.recipe import Recipe
from mathwright.run import Stage

ABOUT = """§2.1 Collect the corpus: crawl or read archives, extract, mine, decontaminate, tokenise.

`mathwright corpus annotate RUN` opens a page on which people decide which URL prefixes are mathematics;
`mathwright corpus recall SHEET` reads a labelled sheet; `mathwright corpus where SHARD:POSITION` finds the page that a
token comes from."""


def reads(recipe: Recipe) -> Sequence[str]:
    return "problems", "model"  # the test problems are kept out of it; the model has the tokenizer


def check(context: Context) -> None:
    from mathwright.corpus.archive.listing import find_archives
    from mathwright.corpus.classifier import Classifier
    from mathwright.corpus.decontaminate.texts import benchmark_texts
    from mathwright.corpus.mining.checks import check_recipe
    from mathwright.corpus.rules.rules import read_rules

    recipe = context.recipe.corpus
    assert recipe is not None
    check_recipe(recipe, context.directory.path)
    benchmark_texts(recipe.benchmarks, recipe.benchmark_data)
    if recipe.web.kind == "archives":
        find_archives(recipe.web.archives, prefix=recipe.web.archives_prefix)
    if recipe.web.rules:
        read_rules(Path(recipe.web.rules))
    for folder in filter(None, (recipe.page_classifier, recipe.web.classifier)):
        Classifier.load(Path(folder))


def plan(recipe: Recipe, num_gpus: int) -> Plan:
    part = recipe.corpus
    assert part is not None
    web = part.web
    kept = part.budget_tokens[-1] if part.budget_tokens else 0
    budgets = ", ".join(f"{b:,}" for b in part.budget_tokens) or f"{part.budget_share:.0%} of what there is"
    return Plan(
        reads={"package_docs": web.packages, "archives": web.archives, "crawl": web.start_urls}[web.kind],
        writes=(
            "corpus/documents",
            "corpus/shards/train" + (f" (about {kept * 4 / 1e9:,.3g} GB)" if kept else ""),
            "corpus/shards/heldout",
        ),
        num_steps=part.max_iterations,
        num_tokens=kept,
        memory_bytes=2 * part.classifier.buckets * part.classifier.dim * 4,
        notes=(
            f"up to {part.max_iterations} iterations, tokens kept {budgets}",
            "memory: fastText's input matrix while it trains and is quantised or saved",
        ),
    )


def run(context: Context, stage: Stage) -> None:
    from mathwright.corpus.stage import run

    assert context.recipe.corpus is not None
    run(
        context.recipe.corpus,
        stage,
        tokenizer_source=str(context.output("model", "model")),
        decontaminate=context.problems("test"),
        seed=context.recipe.seed,
    )


CORPUS = StageSpec(name="corpus", about=ABOUT, run=run, check=check, plan=plan, reads=reads)
