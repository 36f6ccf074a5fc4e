"""§2.1: the loop. Seed, classifier, ranking, mathematical domains, rules, a larger seed, until little changes."""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mathwright.corpus import annotate, classify, domains, recall
from mathwright.corpus.annotate import Rule
from mathwright.corpus.documents import BATCH_ROWS, read_columns, read_rows
from mathwright.corpus.recipe import CorpusRecipe
from mathwright.errors import MathwrightError, Paused
from mathwright.run import Stage

HELDOUT_SHARE = 0.1
"""Share of the seed kept from the classifier to measure it, at most MAX_HELDOUT pages, and as many random pages."""
MAX_HELDOUT = 500
FEW_SEED_PAGES = 20
"""Below this, rankings were seen to follow the look of the seed pages (three pages drew in any short index page)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The pages to mine from: a documents file and what of it is held in memory."""

    documents: Path
    urls: list[str]
    num_tokens: np.ndarray
    """[N] estimated."""

    @classmethod
    def open(cls, documents: Path) -> Pool:
        columns = read_columns(documents, ["url", "num_bytes"])
        return cls(
            documents=documents,
            urls=columns["url"],
            num_tokens=recall.estimate_tokens(np.array(columns["num_bytes"], dtype=np.int64)),
        )

    def texts(self, rows: Iterable[int]) -> dict[int, str]:
        """The texts of some rows, by row; one pass over the file."""
        wanted = set(rows)
        return {i: row["text"] for i, row in enumerate(read_rows(self.documents, ["text"])) if i in wanted}


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What an iteration leaves behind for the next."""

    scores: np.ndarray
    """[N] probability of the positive class."""
    collected: np.ndarray
    """[N] bool."""
    seed: np.ndarray
    """[N] bool: the seed of this iteration."""
    next_seed: np.ndarray
    """[N] bool: the seed of the next iteration."""
    rules: list[Rule]

    def save(self, folder: Path, urls: Sequence[str]) -> None:
        flags = {"collected": self.collected, "seed": self.seed, "next_seed": self.next_seed}
        columns = {"url": urls, "score": self.scores, **flags}
        pq.write_table(pa.table(columns), folder / "pages.parquet", compression="zstd")
        annotate.write_rules(folder / "rules.toml", self.rules)

    @classmethod
    def load(cls, folder: Path) -> State:
        table = pq.read_table(folder / "pages.parquet")
        arrays = {name: table[name].to_numpy() for name in ("score", "collected", "seed", "next_seed")}
        return cls(
            scores=arrays["score"],
            collected=arrays["collected"],
            seed=arrays["seed"],
            next_seed=arrays["next_seed"],
            rules=annotate.read_rules(folder / "rules.toml"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """The result of the loop."""

    state: State
    iterations: list[dict[str, Any]]
    """A row an iteration: sizes, change, domains, held-out figures of the classifier."""
    top_domains: list[dict[str, Any]]
    top_pages: list[tuple[int, float]]
    """(row, score) of the best-ranked pages."""


def mine(recipe: CorpusRecipe, pool: Pool, stage: Stage, seed: int) -> Mined:
    """Iterate until `stop_overlap` of the collected pages were collected before, or `max_iterations`.

    Each iteration is a part of the stage: `iteration-K/` holds its classifier (the last one's only), scores and
    collected pages, domains and rules. Where people have decided something since the last iteration was made, there is
    another one. Raises Paused where the recipe wants people to decide in between.
    """
    human_rules = annotate.read_people(stage.path.parent, recipe.rules)
    decisions = annotate.decisions_digest(human_rules)
    rows: list[dict[str, Any]] = []
    state: State | None = None
    for number in itertools.count(1):
        is_made = (stage.path / f"iteration-{number}.done.json").is_file()
        if not is_made and _is_over(recipe, rows, decisions, len(pool.urls)):
            break
        if not is_made:  # what was made from an earlier iteration is made again
            for name in ("documents", "shards"):
                (stage.path / f"{name}.done.json").unlink(missing_ok=True)
        before = state and _decide_again(state, pool, recipe, human_rules)
        row = stage.once(
            f"iteration-{number}",
            lambda folder, k=number, b=before: _iterate(recipe, pool, stage, folder, k, b, human_rules, seed),
        )
        if number > 1:  # a model is buckets * dim * 4 bytes, and nothing reads an earlier one
            (stage.path / f"iteration-{number - 1}" / "classifier.bin").unlink(missing_ok=True)
        rows.append(row)
        state = State.load(stage.path / f"iteration-{number}")
        if not is_made and recipe.annotation == "people" and not _is_over(recipe, rows, decisions, len(pool.urls)):
            raise Paused(
                f"iteration {number} is ready to be annotated: mathwright corpus annotate {stage.path.parent}",
                hint="then the same command goes on",
            )
    assert state is not None
    if len(rows) > 1 and rows[-1]["overlap"] >= recipe.stop_overlap:
        stage.say(f"stop: {rows[-1]['overlap']:.1%} of the pages had been collected in the iteration before")
    order = recall.rank(state.scores, pool.urls)[:20]
    table = domains.domain_table(pool.urls, state.collected, recipe.domain_unit)
    return Mined(
        state=state,
        iterations=rows,
        top_domains=[_domain_row(row, recipe) for row in table[:30] if row.num_collected],
        top_pages=[(int(i), float(state.scores[i])) for i in order],
    )


def _is_over(recipe: CorpusRecipe, rows: Sequence[dict[str, Any]], decisions: str, num_pages: int) -> bool:
    """Whether the loop ends behind the iterations made so far; decisions made since call for another one."""
    if not rows:
        return False
    if rows[-1]["collected_pages"] == num_pages:
        return True
    converged = len(rows) > 1 and rows[-1]["overlap"] >= recipe.stop_overlap
    return rows[-1]["decisions"] == decisions and (converged or len(rows) >= recipe.max_iterations)


def _decide_again(before: State, pool: Pool, recipe: CorpusRecipe, human_rules: Sequence[Rule]) -> State:
    """An iteration's rules and next seed under the rules of people as they are now."""
    automatic = before.rules if recipe.annotation == "automatic" else []
    rules = annotate.merge_rules(human_rules, [rule for rule in automatic if rule.by == annotate.AUTOMATIC])
    next_seed = _next_seed(pool.urls, before.seed, before.collected, rules)
    return dataclasses.replace(before, rules=rules, next_seed=next_seed)


def _next_seed(urls: Sequence[str], seed: np.ndarray, collected: np.ndarray, rules: Sequence[Rule]) -> np.ndarray:
    """The seed [N] grown by uncollected pages that the rules accept, without what they reject."""
    return (seed | (annotate.matching(urls, rules) & ~collected)) & ~annotate.rejected(urls, rules)


def match_seed(urls: Sequence[str], globs: Sequence[str], rules: Sequence[Rule]) -> np.ndarray:
    """The first seed [N]: pages whose URL matches a glob of the recipe, or that rules made by people accept, without
    those they reject.

    Raises MathwrightError where there is none, or nothing else.
    """
    match = re.compile("|".join(fnmatch.translate(glob) for glob in globs) if globs else r"(?!)").match
    seed = np.array([match(url) is not None for url in urls], dtype=bool) | annotate.matching(urls, rules)
    seed &= ~annotate.rejected(urls, rules)
    if not seed.any():
        raise MathwrightError(
            f"no page of {len(urls)} matches the seed ({', '.join(globs) or 'no globs'})",
            hint="corpus.seed_urls are globs over whole URLs, such as *//mathoverflow.net/*"
            + (f"; one page is {urls[0]}" if urls else "; there are no pages at all"),
        )
    if seed.all():
        raise MathwrightError(
            f"the seed matches all {len(urls)} pages: none are left as negatives",
            hint="narrow corpus.seed_urls, or add pages that are not mathematics",
        )
    return seed


def _iterate(
    recipe: CorpusRecipe,
    pool: Pool,
    stage: Stage,
    folder: Path,
    number: int,
    before: State | None,
    human_rules: list[Rule],
    seed: int,
) -> dict[str, Any]:
    seed_pages = before.next_seed if before else match_seed(pool.urls, recipe.seed_urls, human_rules)
    if before is None:
        _warn_of_narrow_seed([pool.urls[i] for i in np.flatnonzero(seed_pages)], stage)
    rng = random.Random(f"{seed}:{number}")
    classifier, held_out = _train(recipe, pool, folder, seed_pages, before, rng)
    scores = _score_all(classifier, pool, stage, number)
    classifier.save(folder)
    del classifier  # its matrix, before the counting starts

    budget = recipe.budget_tokens[min(number, len(recipe.budget_tokens)) - 1]
    collected = recall.cut(scores, pool.num_tokens, pool.urls, budget)
    change = recall.compare(collected, before.collected if before else None)
    if collected.all():
        stage.say(
            f"[yellow]warning[/] the budget of {budget:,} tokens exceeds the pool ({pool.num_tokens.sum():,}): "
            "every page is collected, the ranking decides nothing and the loop ends; lower corpus.budget_tokens"
        )
    table = domains.domain_table(pool.urls, collected, recipe.domain_unit)
    mathematical = [
        row
        for row in ([] if collected.all() else table)  # a share of 1 everywhere says nothing about a domain
        if domains.is_mathematical(row, min_share=recipe.domain_share, min_pages=recipe.domain_min_pages)
    ]
    rules = _merge_rules(recipe, pool, collected, mathematical, before, human_rules, number)
    next_seed = _next_seed(pool.urls, seed_pages, collected, rules)
    state = State(scores=scores, collected=collected, seed=seed_pages, next_seed=next_seed, rules=rules)
    state.save(folder, pool.urls)
    pq.write_table(pa.Table.from_pylist([_domain_row(row, recipe) for row in table]), folder / "domains.parquet")
    row = {
        "iteration": number,
        "seed_pages": int(seed_pages.sum()),
        "budget_tokens": budget,
        "collected_pages": int(collected.sum()),
        "collected_tokens": int(pool.num_tokens[collected].sum()),
        "new": change.num_new,
        "lost": change.num_lost,
        "overlap": round(change.overlap, 4),
        "lowest_score": float(scores[collected].min()),
        "math_domains": len(mathematical),
        "rules": len(rules),
        "joining_seed": int((next_seed & ~seed_pages).sum()),
        "decisions": annotate.decisions_digest(human_rules),
        **_heldout_row(held_out),
    }
    stage.rewind_metrics(number, kind="iteration")
    stage.log(number, kind="iteration", **row)
    stage.say(
        f"iteration {number}: seed {row['seed_pages']:,} pages, collected {row['collected_pages']:,} "
        f"({row['collected_tokens']:,} tokens, {row['new']:,} new, {row['lost']:,} lost), "
        f"{row['math_domains']} mathematical domains, {row['joining_seed']:,} pages join the seed"
    )
    return row


def _warn_of_narrow_seed(urls: Sequence[str], stage: Stage) -> None:
    """Say so where the classifier can only learn to know its seed again."""
    hosts = {domains.domain(url) for url in urls}
    if len(urls) < FEW_SEED_PAGES or len(hosts) == 1:
        stage.say(
            f"[yellow]warning[/] the seed is {len(urls)} pages of {len(hosts)} hosts: the classifier may learn these "
            "pages rather than their subject; match more with corpus.seed_urls"
        )


def _train(
    recipe: CorpusRecipe,
    pool: Pool,
    folder: Path,
    seed_pages: np.ndarray,
    before: State | None,
    rng: random.Random,
) -> tuple[classify.Classifier, classify.HeldOut | None]:
    """Train on seed pages against random others; a share of either is held out to measure the classifier.

    Negatives are neither in the seed, nor under accepted rules, nor (by option) collected before.
    """
    excluded = seed_pages.copy()
    if before is not None:
        excluded |= annotate.matching(pool.urls, before.rules)
        if recipe.classifier.exclude_collected:
            excluded |= before.collected & ~annotate.rejected(pool.urls, before.rules)
    positives, negatives = np.flatnonzero(seed_pages).tolist(), np.flatnonzero(~excluded).tolist()
    rng.shuffle(positives)
    rng.shuffle(negatives)
    num_heldout = min(MAX_HELDOUT, int(HELDOUT_SHARE * len(positives)), int(HELDOUT_SHARE * len(negatives)))
    sides = {
        "positives": positives[num_heldout:][: recipe.classifier.num_positives],
        "negatives": negatives[num_heldout:][: recipe.classifier.num_negatives],
        "held-out positives": positives[:num_heldout],
        "held-out negatives": negatives[:num_heldout],
    }
    texts = pool.texts(i for rows in sides.values() for i in rows)
    by_side = {side: [texts[i] for i in rows] for side, rows in sides.items()}
    classifier = classify.train(
        by_side["positives"],
        by_side["negatives"],
        recipe.classifier,
        work_folder=folder,
        seed=rng.getrandbits(31),
    )
    return classifier, classify.evaluate(classifier, by_side["held-out positives"], by_side["held-out negatives"])


def _score_all(classifier: classify.Classifier, pool: Pool, stage: Stage, number: int) -> np.ndarray:
    scores: list[np.ndarray] = []
    with stage.progress(f"iteration {number}: score pages", len(pool.urls)) as advance:
        for batch in _batches(row["text"] for row in read_rows(pool.documents, ["text"])):
            scores.append(classifier.score(batch))
            advance(len(batch))
    return np.concatenate(scores)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _merge_rules(
    recipe: CorpusRecipe,
    pool: Pool,
    collected: np.ndarray,
    mathematical: Sequence[domains.Share],
    before: State | None,
    human_rules: Sequence[Rule],
    number: int,
) -> list[Rule]:
    """Rules of people, then automatic ones of earlier iterations, then new ones."""
    if recipe.annotation == "people":
        return annotate.merge_rules(human_rules, ())
    proposed = annotate.propose_rules(
        pool.urls,
        collected,
        mathematical,
        min_share=recipe.prefix_share,
        min_pages=recipe.domain_min_pages,
        note=f"iteration {number}",
        unit=recipe.domain_unit,
        when=annotate.now(),
    )
    earlier = [rule for rule in (before.rules if before else []) if rule.by == annotate.AUTOMATIC]
    return annotate.merge_rules(human_rules, [*earlier, *proposed])


def _domain_row(row: domains.Share, recipe: CorpusRecipe) -> dict[str, Any]:
    low, high = row.interval
    return {
        "domain": row.name,
        "pages": row.num_pages,
        "collected": row.num_collected,
        "share": round(row.share, 4),
        "share_low": round(low, 4),
        "share_high": round(high, 4),
        "mathematical": domains.is_mathematical(row, min_share=recipe.domain_share, min_pages=recipe.domain_min_pages),
    }


def _heldout_row(held_out: classify.HeldOut | None) -> dict[str, Any]:
    if held_out is None:  # the seed is too small to hold anything out
        return {"heldout_pages": 0}
    values = dataclasses.asdict(held_out)
    return {
        "heldout_pages": held_out.num_positives + held_out.num_negatives,
        **{f"heldout_{name}": round(values[name], 4) for name in ("precision", "recall", "f1", "auc")},
    }
