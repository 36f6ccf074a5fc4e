"""§2.1 from end to end: pages, documents, deduplication, the mining loop, decontamination, token shards.

    corpus/
      crawl/                     WARC files of the crawl (not for kind "archives")
      archives/                  what is extracted of each archive so far; in the end only its counts
      pages/pages.parquet        every page with enough text
      filtered/pages.parquet     those that the recipe's filters keep (only where it has filters)
      pool/pool.parquet          without duplicates: what is mined
      iteration-K/               classifier, its samples, scores and collected pages, domains, rules.toml
      quality/                   what the last iteration is worth: a sheet to label, samples of two more classifiers
      documents/documents.parquet  collected and decontaminated
      shards/ heldout/           tokens

Each folder is a part that is done once; an interrupted one starts again, finished ones are kept. The extraction of
archives goes on where it stopped, and is shared by all processes that were started with the same command: the first of
them does the rest.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mathwright.corpus.archive.listing import find_archives
from mathwright.corpus.claims import Claim
from mathwright.corpus.crawl.run import crawl
from mathwright.corpus.decontaminate import ContaminationIndex
from mathwright.corpus.decontaminate.part import build_benchmark_index, report_index, write_decontaminated
from mathwright.corpus.documents.compute import DocumentWriter, read_column, read_columns, read_rows
from mathwright.corpus.documents.dedup import find_duplicates
from mathwright.corpus.documents.filters import reject
from mathwright.corpus.documents.sort import write_sorted
from mathwright.corpus.localweb import DocsWeb
from mathwright.corpus.mining.checks import check_recipe
from mathwright.corpus.mining.loop import mine
from mathwright.corpus.mining.pool import Pool
from mathwright.corpus.mining.quality import assess
from mathwright.corpus.mining.state import Mined
from mathwright.corpus.pages.run import discard_documents, extract_archives, join_archives
from mathwright.corpus.recipe import CorpusRecipe, FilterRecipe, WebRecipe
from mathwright.corpus.shards import choose_heldout, write_shards
from mathwright.errors import MathwrightError, SharedWorkDoneError
from mathwright.lm.load import load_tokenizer
from mathwright.records import Problem
from mathwright.run import Stage


def run(
    recipe: CorpusRecipe, stage: Stage, *, tokenizer_source: str, decontaminate: Sequence[Problem], seed: int
) -> None:
    """Run the corpus stage; its outputs are `documents` (Parquet), `shards`, `heldout`, `rules` and `classifier`.

    `decontaminate` are the run's own evaluation problems, kept out in addition to the benchmarks of the recipe. Raises
    MathwrightError for an empty seed, no pages, malformed benchmarks or rules, before the long work where possible.
    """
    lead = Claim.take(stage.path / "lead.lock")
    if lead is None:
        lead = _help(recipe, stage)
    with lead:
        _run(recipe, stage, tokenizer_source=tokenizer_source, decontaminate=decontaminate, seed=seed)


def _run(
    recipe: CorpusRecipe, stage: Stage, *, tokenizer_source: str, decontaminate: Sequence[Problem], seed: int
) -> None:
    # First what can be wrong without a page: it should not cost a crawl.
    check_recipe(recipe, stage.path.parent)
    index = build_benchmark_index(recipe, decontaminate)
    tokenizer = load_tokenizer(tokenizer_source)
    tokenizer.model_max_length = sys.maxsize  # documents of any length: it is the training that cuts them into rows
    report_index(index, stage)

    archives = _collect_archives(recipe.web, stage)
    pages = stage.path / "pages" / "pages.parquet"
    if not _pages_done(stage):
        _extract(archives, stage, recipe)
    stage.once("pages", lambda _: _join(archives, pages, stage, recipe.min_words))
    discard_documents(stage.path / "archives")
    pages = _filter(pages, recipe.filters, stage)
    pool_path = stage.path / "pool" / "pool.parquet"
    clusters = stage.once("pool", lambda _: _deduplicate(pages, pool_path, stage, recipe, seed))

    pool = Pool.open(pool_path)
    mined = mine(recipe, pool, stage, seed)
    quality = stage.once("quality", lambda folder: assess(recipe, pool, mined, stage, folder, seed))
    documents = stage.path / "documents" / "documents.parquet"
    contamination = stage.once("documents", lambda _: _decontaminate(pool, mined, documents, stage, index, recipe))
    sizes = stage.once("shards", lambda folder: _write_shards(documents, folder, stage, tokenizer, recipe, seed))

    last = stage.path / f"iteration-{len(mined.iterations)}"
    stage.finish(
        outputs={
            "documents": documents,
            "shards": stage.path / "shards" / "train",
            "heldout": stage.path / "shards" / "heldout",
            "rules": last / "rules.toml",
            "classifier": last,
        },
        summary={
            "iterations": mined.iterations,
            "top_domains": mined.top_domains,
            "rules": mined.rules,
            "top_pages": _top_pages(pool, mined),
            "quality": quality,
            "tokens": sizes,
            "near_duplicate_clusters": clusters,
            "contamination": contamination,
        },
    )


# --- pages ----------------------------------------------------------------------------------------


def _help(recipe: CorpusRecipe, stage: Stage) -> Claim:
    """Share the extraction with the process that came first; returns where that one has died, to do the rest.

    Raises SharedWorkDoneError where it lives and goes on.
    """
    stage.say("another process is at this stage: sharing the extraction with it")
    while not (_pages_done(stage) or (stage.path / "archives" / "plan.json").is_file()):
        lead = Claim.take(stage.path / "lead.lock")
        if lead is not None:
            return lead
        time.sleep(1)
    if not _pages_done(stage):
        _extract(_archives(recipe.web, stage), stage, recipe)
    lead = Claim.take(stage.path / "lead.lock")
    if lead is None:
        raise SharedWorkDoneError("the pages are extracted; the process that came first continues with them")
    return lead


def _pages_done(stage: Stage) -> bool:
    return (stage.path / "pages.done.json").is_file()


def _collect_archives(web: WebRecipe, stage: Stage) -> list[str]:
    """The archives to read; crawled first where the recipe says so."""
    if web.kind != "archives":
        stage.once("crawl", lambda folder: _crawl(web, folder, stage))
    return _archives(web, stage)


def _archives(web: WebRecipe, stage: Stage) -> list[str]:
    if web.kind == "archives":
        return find_archives(web.archives, prefix=web.archives_prefix)
    return [str(path) for path in sorted((stage.path / "crawl").glob("**/*.warc*"))]


def _crawl(web: WebRecipe, folder: Path, stage: Stage) -> dict[str, Any]:
    """Crawl into WARC files; returns pages by host."""
    with ExitStack() as stack:
        start_urls: Sequence[str] = web.start_urls
        if web.kind == "package_docs":
            # Served and crawled in one part: the addresses hold a port that is free for us now only.
            start_urls = stack.enter_context(DocsWeb(web.packages, port=web.port)).start_urls
        advance = stack.enter_context(stage.progress("crawl", web.max_pages))
        # A focused crawl that was interrupted goes on, so its folder is kept when the part starts again.
        out = stage.path / "crawl-focused" if web.order == "score" else folder
        report = crawl(start_urls, out, recipe=web, progress=advance)
        for archive in report.archives if out != folder else ():
            os.link(archive, folder / Path(archive).name)
    stage.funnel("crawl", unit="addresses", num_in=report.num_urls, num_out=report.num_pages, dropped=report.dropped)
    size = f"{report.size_bytes / 2**20:.0f} MiB of HTML from {len(report.pages_by_host)} hosts"
    stage.say(f"{size} in {report.seconds:.0f} s")
    return dict(report.pages_by_host)


def _extract(archives: Sequence[str], stage: Stage, recipe: CorpusRecipe) -> None:
    extract_archives(
        archives,
        stage.path / "archives",
        stage,
        min_words=recipe.min_words,
        classifier=recipe.page_classifier,
        min_score=recipe.page_min_score,
    )


def _join(archives: Sequence[str], output: Path, stage: Stage, min_words: int) -> int:
    _forget_rejected(stage, "damage", "extract", "partial")
    num_documents = join_archives(stage.path / "archives", output, stage)
    if num_documents == 0:
        raise MathwrightError(
            f"no page with at least {min_words} words in {len(archives)} archives",
            hint="see rejected/ for the reasons; check corpus.web and corpus.min_words",
        )
    return num_documents


def _filter(pages: Path, recipe: FilterRecipe | None, stage: Stage) -> Path:
    """The pages that the recipe's filters keep, in a file of their own; `pages` itself without filters."""
    if recipe is None:
        return pages
    output = stage.path / "filtered" / "pages.parquet"
    stage.once("filtered", lambda _: _write_filtered(pages, output, recipe, stage))
    return output


def _write_filtered(pages: Path, output: Path, recipe: FilterRecipe, stage: Stage) -> None:
    _forget_rejected(stage, "filter")
    dropped: Counter[str] = Counter()
    num_pages = 0
    with DocumentWriter(output) as writer, stage.progress("filter", None) as advance:
        for row in read_rows(pages):
            advance(1)
            num_pages += 1
            if reason := reject(row["text"], recipe):
                dropped[reason] += 1
                stage.reject("filter", {name: row[name] for name in ("url", "archive", "offset", "num_words")}, reason)
            else:
                writer.write(row)
    num_kept = num_pages - dropped.total()
    stage.funnel("filter", unit="pages", num_in=num_pages, num_out=num_kept, dropped=dropped)
    if num_kept == 0:
        raise MathwrightError(
            f"the filters drop all {num_pages} pages", hint="see rejected/filter.jsonl; check corpus.filters"
        )


def _deduplicate(pages: Path, output: Path, stage: Stage, recipe: CorpusRecipe, seed: int) -> dict[str, int]:
    """Write the pages that stay; returns the number of near-duplicate clusters by size."""
    _forget_rejected(stage, "dedup")
    found = find_duplicates(
        pages,
        similarity=recipe.dedup_similarity,
        num_hashes=recipe.dedup_permutations,
        seed=seed + 1,
        bands=recipe.dedup_bands,
        representative=recipe.dedup_keeps,
    )
    urls = read_column(pages, "url")
    for i in np.flatnonzero(~found.keep).tolist():
        kept = urls[int(found.representative[i])].as_py()
        stage.reject("dedup", {"url": urls[i].as_py(), "kept": kept}, found.reason[i])
    # By URL: a crawler writes pages in the order of their arrival, and nothing after this may depend on it.
    write_sorted(pages, found.keep, output)
    dropped = Counter(reason for reason in found.reason if reason)
    stage.funnel("deduplicate", unit="pages", num_in=len(urls), num_out=int(found.keep.sum()), dropped=dropped)
    return {str(size): count for size, count in found.cluster_sizes.items()}


def _forget_rejected(stage: Stage, *steps: str) -> None:
    """Remove the rows an interrupted attempt at a part set aside; it is done again from its start."""
    for step in steps:
        (stage.path / "rejected" / f"{step}.jsonl").unlink(missing_ok=True)


# --- decontamination ------------------------------------------------------------------------------


def _decontaminate(
    pool: Pool, mined: Mined, output: Path, stage: Stage, index: ContaminationIndex, recipe: CorpusRecipe
) -> dict[str, Any]:
    _forget_rejected(stage, "decontaminate")
    num_collected = int(mined.state.collected.sum())
    stage.funnel(
        "recall", unit="pages", num_in=len(pool.urls), num_out=num_collected,
        dropped={"ranked below the budget": len(pool.urls) - num_collected},
    )  # fmt: skip
    return write_decontaminated(pool.documents, mined.state.collected, output, stage, index, recipe)


# --- shards ---------------------------------------------------------------------------------------


def _write_shards(
    documents: Path, folder: Path, stage: Stage, tokenizer: Any, recipe: CorpusRecipe, seed: int
) -> dict[str, Any]:
    urls = read_columns(documents, ["url"])["url"]
    heldout = choose_heldout(urls, recipe.heldout_share, seed)
    folders = {False: folder / "train", True: folder / "heldout"}
    with stage.progress("tokenise", len(urls)) as advance:
        counts = write_shards(_counted(read_rows(documents), advance), tokenizer, folders, heldout)
    stage.funnel(
        "hold out", unit="pages", num_in=len(urls), num_out=counts[False].num_documents,
        dropped={"held out": counts[True].num_documents},
    )  # fmt: skip
    stage.say(f"{counts[False].num_tokens:,} tokens to train on, {counts[True].num_tokens:,} held out")
    return {"train": asdict(counts[False]), "heldout": asdict(counts[True])}


def _counted(rows: Iterator[dict[str, Any]], advance: Any) -> Iterator[dict[str, Any]]:
    for row in rows:
        advance(1)
        yield row


def _top_pages(pool: Pool, mined: Mined) -> list[Mapping[str, Any]]:
    rows = {i for i, _ in mined.top_pages}
    titles = {i: row["title"] for i, row in enumerate(read_rows(pool.documents, ["title"])) if i in rows}
    return [{"score": round(score, 6), "title": titles[i], "url": pool.urls[i]} for i, score in mined.top_pages]
