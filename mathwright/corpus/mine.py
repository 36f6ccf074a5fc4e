"""§2.1: the loop. Seed, classifier, ranking, mathematical domains, rules, a larger seed, until little changes."""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mathwright.corpus import annotate, classify, domains, recall, samples
from mathwright.corpus.annotate import Rule
from mathwright.corpus.pool import Pool
from mathwright.corpus.recipe import CorpusRecipe
from mathwright.errors import MathwrightError
from mathwright.run import Stage

FEW_SEED_PAGES = 20
"""Below this, rankings were seen to follow the look of the seed pages (three pages drew in any short index page)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What an iteration leaves behind for the next."""

    scores: np.ndarray
    """[N] probability of the positive class."""
    collected: np.ndarray
    """[N] bool."""
    next_seed: np.ndarray
    """[N] bool: the seed of the next iteration."""
    rules: list[Rule]

    def save(self, folder: Path, urls: Sequence[str]) -> None:
        columns = {"url": urls, "score": self.scores, "collected": self.collected, "next_seed": self.next_seed}
        pq.write_table(pa.table(columns), folder / "pages.parquet", compression="zstd")
        annotate.write_rules(folder / "rules.toml", self.rules)

    @classmethod
    def load(cls, folder: Path) -> State:
        table = pq.read_table(folder / "pages.parquet")
        arrays = {name: table[name].to_numpy() for name in ("score", "collected", "next_seed")}
        return cls(
            scores=arrays["score"],
            collected=arrays["collected"],
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
    first_seed: np.ndarray
    """[N] bool: the seed the loop began with."""
    last_seed: np.ndarray
    """[N] bool: the seed of the last iteration."""
    last_excluded: np.ndarray
    """[N] bool: pages that could not be negatives in the last iteration."""


def mine(recipe: CorpusRecipe, pool: Pool, stage: Stage, seed: int) -> Mined:
    """Iterate until `stop_overlap` of the collected pages were collected before, or `max_iterations`.

    Each iteration is a part of the stage: `iteration-K/` holds its classifier (the last one's only), scores and
    collected pages, domains and rules.
    """
    human_rules = annotate.read_rules(Path(recipe.rules)) if recipe.rules else []
    first_seed = match_seed(pool.urls, recipe.seed_urls, human_rules)
    rows: list[dict[str, Any]] = []
    state = before = None
    for number in range(1, recipe.max_iterations + 1):
        before = state
        row = stage.once(
            f"iteration-{number}",
            lambda folder, k=number, b=before: _iterate(
                recipe, pool, stage, folder, k, b, first_seed, human_rules, seed
            ),
        )
        if number > 1:  # a model is buckets * dim * 4 bytes, and nothing reads an earlier one
            (stage.path / f"iteration-{number - 1}" / "classifier.bin").unlink(missing_ok=True)
        rows.append(row)
        state = State.load(stage.path / f"iteration-{number}")
        if number > 1 and row["overlap"] >= recipe.stop_overlap:
            stage.say(f"stop: {row['overlap']:.1%} of the pages had been collected in the iteration before")
            break
        if row["collected_pages"] == len(pool.urls):
            break
    assert state is not None
    order = recall.rank(state.scores, pool.urls)[:20]
    table = domains.domain_table(pool.urls, state.collected)
    return Mined(
        state=state,
        iterations=rows,
        top_domains=[_domain_row(row, recipe) for row in table[:30] if row.num_collected],
        top_pages=[(int(i), float(state.scores[i])) for i in order],
        first_seed=first_seed,
        last_seed=before.next_seed if before else first_seed,
        last_excluded=_not_negative(recipe, pool, before),
    )


def match_seed(urls: Sequence[str], globs: Sequence[str], rules: Sequence[Rule]) -> np.ndarray:
    """The first seed [N]: pages whose URL matches a glob of the recipe, or that rules made by people accept.

    Raises MathwrightError where there is none, or nothing else.
    """
    match = re.compile("|".join(fnmatch.translate(glob) for glob in globs) if globs else r"(?!)").match
    seed = np.array([match(url) is not None for url in urls], dtype=bool) | annotate.matching(urls, rules)
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
    first_seed: np.ndarray,
    human_rules: list[Rule],
    seed: int,
) -> dict[str, Any]:
    seed_pages = before.next_seed if before else first_seed
    if before is None:
        _warn_of_narrow_seed([pool.urls[i] for i in np.flatnonzero(seed_pages)], stage)
    drawn, classifier, held_out = train_classifier(
        recipe,
        pool,
        folder,
        seed_pages,
        _not_negative(recipe, pool, before),
        seed=f"{seed}:{number}",
        negatives_seed=f"{seed}:{number if recipe.classifier.redraw_negatives else 1}",
    )
    classifier.save(folder)
    del classifier  # its matrix: whoever scores loads it again
    with stage.progress(f"iteration {number}: score pages", len(pool.urls)) as advance:
        scores = pool.score(folder, advance)

    budget = recipe.budget_tokens[min(number, len(recipe.budget_tokens)) - 1]
    collected = recall.cut(scores, pool.num_tokens, pool.urls, budget)
    change = recall.compare(collected, before.collected if before else None)
    if collected.all():
        stage.say(
            f"[yellow]warning[/] the budget of {budget:,} tokens exceeds the pool ({pool.num_tokens.sum():,}): "
            "every page is collected, the ranking decides nothing and the loop ends; lower corpus.budget_tokens"
        )
    table = domains.domain_table(pool.urls, collected)
    mathematical = _mathematical(table, collected, recipe)
    rules = _merge_rules(recipe, pool, collected, mathematical, before, human_rules, number)
    next_seed = seed_pages | (annotate.matching(pool.urls, rules) & ~collected)
    State(scores=scores, collected=collected, next_seed=next_seed, rules=rules).save(folder, pool.urls)
    pq.write_table(pa.Table.from_pylist([_domain_row(row, recipe) for row in table]), folder / "domains.parquet")
    known = (
        set()
        if before is None
        else {
            row.name
            for row in _mathematical(domains.domain_table(pool.urls, before.collected), before.collected, recipe)
        }
    )
    row = {
        "iteration": number,
        "seed_pages": int(seed_pages.sum()),
        "seed_version": _version(pool.urls[i] for i in np.flatnonzero(seed_pages)),
        "positives": len(drawn.positives),
        "negatives": len(drawn.negatives),
        "near_copies": drawn.num_near_copies,
        "classifier": _file_hash(folder / "classifier.bin"),
        "budget_tokens": budget,
        "collected_pages": int(collected.sum()),
        "collected_tokens": int(pool.num_tokens[collected].sum()),
        "new": change.num_new,
        "lost": change.num_lost,
        "overlap": round(change.overlap, 4),
        "lowest_score": float(scores[collected].min()),
        "math_domains": len(mathematical),
        "new_domains": len({domain.name for domain in mathematical} - known),
        "rules": len(rules),
        "joining_seed": int((next_seed & ~seed_pages).sum()),
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


def train_classifier(
    recipe: CorpusRecipe,
    pool: Pool,
    folder: Path,
    seed_pages: np.ndarray,
    not_negative: np.ndarray,
    *,
    seed: str,
    negatives_seed: str,
) -> tuple[samples.Samples, classify.Classifier, classify.HeldOut | None]:
    """Train on seed pages against random others; a share of either is held out to measure the classifier.

    seed_pages, not_negative [N] bool. `folder/samples.parquet` keeps which page was on which side.
    """
    drawn = samples.draw(
        seed_pages, not_negative, pool.archives, recipe.classifier, seed=seed, negatives_seed=negatives_seed
    )
    texts = pool.texts(drawn.rows)
    number = int(_version([seed]), 16) & 0x7FFFFFFF
    drawn = samples.without_near_copies(
        drawn,
        texts,
        similarity=recipe.classifier.near_copy_similarity,
        num_hashes=recipe.dedup_permutations,
        seed=number,
    )
    _save_samples(folder / "samples.parquet", drawn, pool.urls)
    classifier = classify.train(
        [texts[i] for i in drawn.positives],
        [texts[i] for i in drawn.negatives],
        recipe.classifier,
        work_folder=folder,
        seed=number,
    )
    held_out = classify.evaluate(
        classifier, [texts[i] for i in drawn.heldout_positives], [texts[i] for i in drawn.heldout_negatives]
    )
    return drawn, classifier, held_out


def _not_negative(recipe: CorpusRecipe, pool: Pool, before: State | None) -> np.ndarray:
    """Pages [N] that are no negatives, beside the seed: those under accepted rules, and (by option) those collected."""
    if before is None:
        return np.zeros(len(pool.urls), dtype=bool)
    under_rules = annotate.matching(pool.urls, before.rules)
    return under_rules | before.collected if recipe.classifier.exclude_collected else under_rules


def _save_samples(path: Path, drawn: samples.Samples, urls: Sequence[str]) -> None:
    sides = ("positives", "negatives", "heldout_positives", "heldout_negatives")
    rows = [{"url": urls[i], "side": side} for side in sides for i in getattr(drawn, side)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema([("url", pa.string()), ("side", pa.string())])), path)


def _version(names: Iterable[str]) -> str:
    """Names a set of URLs: two seeds of the same version are the same."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()[:16]


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _mathematical(table: Sequence[domains.Share], collected: np.ndarray, recipe: CorpusRecipe) -> list[domains.Share]:
    if collected.all():  # a share of 1 everywhere says nothing about a domain
        return []
    return [
        row
        for row in table
        if domains.is_mathematical(row, min_share=recipe.domain_share, min_pages=recipe.domain_min_pages)
    ]


def _merge_rules(
    recipe: CorpusRecipe,
    pool: Pool,
    collected: np.ndarray,
    mathematical: Sequence[domains.Share],
    before: State | None,
    human_rules: Sequence[Rule],
    number: int,
) -> list[Rule]:
    """Rules of people, then automatic ones of earlier iterations, then new ones; one rule a glob, the first counts."""
    proposed = annotate.propose_rules(
        pool.urls,
        collected,
        mathematical,
        min_share=recipe.prefix_share,
        min_pages=recipe.domain_min_pages,
        note=f"iteration {number}",
    )
    merged: dict[str, Rule] = {}
    for rule in [*human_rules, *(before.rules if before else []), *proposed]:
        merged.setdefault(rule.glob, rule)
    return list(merged.values())


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
