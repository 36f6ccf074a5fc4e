"""§2.1: the loop. Seed, classifier, ranking, mathematical domains, rules, a larger seed, until little changes."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mathwright.corpus.classifier import HeldOut
from mathwright.corpus.mining import ranking
from mathwright.corpus.mining.pool import Pool
from mathwright.corpus.mining.samples import Samples
from mathwright.corpus.mining.seed import grow_seed, match_seed
from mathwright.corpus.mining.state import Mined, State
from mathwright.corpus.mining.training import train_classifier
from mathwright.corpus.recipe import CorpusRecipe
from mathwright.corpus.rules import domains
from mathwright.corpus.rules.coverage import rule_rows, warnings_of_rules
from mathwright.corpus.rules.propose import propose_rules
from mathwright.corpus.rules.rules import (
    AUTOMATIC,
    Rule,
    decisions_digest,
    matching,
    merge_rules,
    now,
    read_people,
    rejected,
)
from mathwright.errors import Paused
from mathwright.run import Stage, read_manifest


def mine(recipe: CorpusRecipe, pool: Pool, stage: Stage, rng_seed: int) -> Mined:
    """Iterate until `stop_overlap` of the collected pages were collected before, or `max_iterations`.

    Each iteration is a part of the stage: `iteration-K/` holds its classifier (the last one's only), scores and
    collected pages, domains and rules. Where people have decided something since the last iteration was made, there is
    another one. Raises Paused where the recipe wants people to decide in between.
    """
    human_rules = read_people(stage.path.parent, recipe.rules)
    for warning in warnings_of_rules(pool.urls, human_rules):
        stage.warn(warning)
    loop = _Loop(recipe=recipe, pool=pool, stage=stage, human_rules=human_rules, rng_seed=rng_seed)
    promised = _promised_iteration(stage)
    rows: list[dict[str, Any]] = []
    state = before = None
    for iteration in itertools.count(1):
        is_made = (stage.path / f"iteration-{iteration}.done.json").is_file()
        if not is_made and loop.is_over(rows):
            break
        if not is_made:  # what was made from an earlier iteration is made again
            for name in ("quality", "documents", "shards"):
                stage.again(name)
        before = state and loop.decide_again(state)
        row = stage.once(
            f"iteration-{iteration}", lambda folder, k=iteration, earlier=before: loop.iterate(folder, k, earlier)
        )
        if iteration > 1 and iteration - 1 != promised:  # buckets * dim * 4 bytes, and nothing reads an earlier one
            (stage.path / f"iteration-{iteration - 1}" / "classifier.bin").unlink(missing_ok=True)
        rows.append(row)
        state = State.load(stage.path / f"iteration-{iteration}")
        if not is_made and recipe.annotation == "people" and not loop.is_over(rows):
            raise Paused(
                f"iteration {iteration} is ready to be annotated: mathwright corpus annotate {stage.path.parent}",
                hint="then give the same command again: it continues",
            )
    assert state is not None
    if len(rows) > 1 and rows[-1]["overlap"] >= recipe.stop_overlap:
        stage.say(f"stop: {rows[-1]['overlap']:.1%} of the pages had been collected in the iteration before")
    best = ranking.rank(state.scores, pool.urls)[:20]
    table = domains.domain_table(pool.urls, state.collected, recipe.domain_unit)
    first_seed_pages = State.load(stage.path / "iteration-1").seed_pages
    return Mined(
        state=state,
        iterations=rows,
        rules=rule_rows(pool.urls, state.rules, state.collected, state.seed_pages & ~first_seed_pages),
        top_domains=[_domain_row(row, recipe) for row in table[:30] if row.num_collected],
        top_pages=[(int(i), float(state.scores[i])) for i in best],
        first_seed_pages=first_seed_pages,
        last_excluded=not_negative(recipe, pool, before),
    )


def _promised_iteration(stage: Stage) -> int:
    """The iteration whose classifier the stage left for others when it finished before; 0 where it had not."""
    manifest = read_manifest(stage.path)
    return len(manifest["summary"]["iterations"]) if manifest is not None else 0


def not_negative(recipe: CorpusRecipe, pool: Pool, before: State | None) -> np.ndarray:
    """Pages [N] that are no negatives, in addition to the seed: those under accepted rules, and (by option) those
    collected."""
    if before is None:
        return np.zeros(len(pool.urls), dtype=bool)
    under_rules = matching(pool.urls, before.rules)
    if not recipe.classifier.exclude_collected:
        return under_rules
    return under_rules | (before.collected & ~rejected(pool.urls, before.rules))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """What is the same in all iterations."""

    recipe: CorpusRecipe
    pool: Pool
    stage: Stage
    human_rules: list[Rule]
    rng_seed: int

    def is_over(self, rows: Sequence[dict[str, Any]]) -> bool:
        """Whether the loop ends after the iterations made so far; decisions made since call for another one."""
        if not rows:
            return False
        if rows[-1]["collected_pages"] == len(self.pool.urls):
            return True
        converged = len(rows) > 1 and rows[-1]["overlap"] >= self.recipe.stop_overlap
        decided_since = rows[-1]["decisions"] != decisions_digest(self.human_rules)
        return not decided_since and (converged or len(rows) >= self.recipe.max_iterations)

    def decide_again(self, before: State) -> State:
        """An iteration's rules and next seed under the rules of people as they are now."""
        automatic = before.rules if self.recipe.annotation == "automatic" else []
        rules = merge_rules(self.human_rules, [rule for rule in automatic if rule.by == AUTOMATIC])
        next_seed_pages = grow_seed(self.pool.urls, before.seed_pages, before.collected, rules)
        return dataclasses.replace(before, rules=rules, next_seed_pages=next_seed_pages)

    def iterate(self, folder: Path, iteration: int, before: State | None) -> dict[str, Any]:
        """Make an iteration in `folder`; returns its row of figures."""
        recipe, pool = self.recipe, self.pool
        seed_pages = self._seed_pages(before)
        samples, held_out = self._train(folder, iteration, seed_pages, before)
        with self.stage.progress(f"iteration {iteration}: score pages", len(pool.urls)) as advance:
            scores = pool.score(folder, advance)

        budget = budget_of(recipe, iteration, int(pool.num_tokens.sum()))
        cut = ranking.cut(scores, pool.num_tokens, pool.urls, budget)
        self._warn(cut.warnings)
        table = domains.domain_table(pool.urls, cut.collected, recipe.domain_unit)
        mathematical = _mathematical(table, cut.collected, recipe)
        rules = self._merge_rules(cut.collected, mathematical, before, iteration)
        state = State(
            scores=scores,
            collected=cut.collected,
            seed_pages=seed_pages,
            next_seed_pages=grow_seed(pool.urls, seed_pages, cut.collected, rules),
            rules=rules,
        )
        state.save(folder, pool.urls)
        pq.write_table(pa.Table.from_pylist([_domain_row(row, recipe) for row in table]), folder / "domains.parquet")
        row = {
            "iteration": iteration,
            "seed_pages": int(seed_pages.sum()),
            "seed_version": _version(pool.urls[i] for i in np.flatnonzero(seed_pages)),
            "positives": len(samples.positives),
            "negatives": len(samples.negatives),
            "near_copies": samples.num_near_copies,
            "classifier": _file_hash(folder / "classifier.bin"),
            "budget_tokens": budget,
            **self._outcome_row(state, before, mathematical),
            **_heldout_row(held_out),
        }
        self._report(row)
        return row

    def _warn(self, warnings: Iterable[str]) -> None:
        for warning in warnings:
            self.stage.warn(warning)

    def _seed_pages(self, before: State | None) -> np.ndarray:
        if before is not None:
            return before.next_seed_pages
        seed = match_seed(self.pool.urls, self.recipe.seed_urls, self.human_rules)
        self._warn(seed.warnings)
        return seed.pages

    def _train(
        self, folder: Path, iteration: int, seed_pages: np.ndarray, before: State | None
    ) -> tuple[Samples, HeldOut | None]:
        """Train the classifier and save it in `folder`; its matrix is not kept, since whoever scores loads it."""
        redrawn = iteration if self.recipe.classifier.redraw_negatives else 1
        trained = train_classifier(
            self.recipe,
            self.pool,
            self.stage,
            folder,
            seed_pages,
            not_negative(self.recipe, self.pool, before),
            rng_seed=f"{self.rng_seed}:{iteration}",
            negatives_rng_seed=f"{self.rng_seed}:{redrawn}",
        )
        trained.classifier.save(folder)
        return trained.samples, trained.held_out

    def _merge_rules(
        self, collected: np.ndarray, mathematical: Sequence[domains.Share], before: State | None, iteration: int
    ) -> list[Rule]:
        """Rules of people, then automatic ones of earlier iterations, then new ones."""
        recipe = self.recipe
        if recipe.annotation == "people":
            return merge_rules(self.human_rules, ())
        proposed = propose_rules(
            self.pool.urls,
            collected,
            mathematical,
            min_share=recipe.prefix_share,
            min_pages=recipe.domain_min_pages,
            note=f"iteration {iteration}",
            unit=recipe.domain_unit,
            when=now(),
        )
        earlier = [rule for rule in (before.rules if before else []) if rule.by == AUTOMATIC]
        return merge_rules(self.human_rules, [*earlier, *proposed])

    def _outcome_row(self, state: State, before: State | None, mathematical: Sequence[domains.Share]) -> dict[str, Any]:
        """What was collected, what of it is new, and what joins the seed."""
        change = ranking.compare(state.collected, before.collected if before else None)
        names = {share.name for share in mathematical}
        return {
            "collected_pages": int(state.collected.sum()),
            "collected_tokens": int(self.pool.num_tokens[state.collected].sum()),
            "new": change.num_new,
            "lost": change.num_lost,
            "overlap": round(change.overlap, 4),
            "lowest_score": float(state.scores[state.collected].min()),
            "math_domains": len(mathematical),
            "new_domains": len(names - self._mathematical_before(before)),
            "rules": len(state.rules),
            "joining_seed": int((state.next_seed_pages & ~state.seed_pages).sum()),
            "decisions": decisions_digest(self.human_rules),
        }

    def _mathematical_before(self, before: State | None) -> set[str]:
        if before is None:
            return set()
        table = domains.domain_table(self.pool.urls, before.collected, self.recipe.domain_unit)
        return {share.name for share in _mathematical(table, before.collected, self.recipe)}

    def _report(self, row: dict[str, Any]) -> None:
        iteration = row["iteration"]
        self.stage.rewind_metrics(iteration, kind="iteration")
        self.stage.log(iteration, kind="iteration", **row)
        self.stage.say(
            f"iteration {iteration}: seed {row['seed_pages']:,} pages, collected {row['collected_pages']:,} "
            f"(about {row['collected_tokens']:,} tokens, {row['new']:,} new, {row['lost']:,} lost), "
            f"{row['math_domains']} mathematical domains, {row['joining_seed']:,} pages join the seed"
        )


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
    return [share for share in table if _is_mathematical(share, recipe)]


def _is_mathematical(share: domains.Share, recipe: CorpusRecipe) -> bool:
    return domains.is_mathematical(share, min_share=recipe.domain_share, min_pages=recipe.domain_min_pages)


def _domain_row(share: domains.Share, recipe: CorpusRecipe) -> dict[str, Any]:
    low, high = share.interval
    return {
        "domain": share.name,
        "pages": share.num_pages,
        "collected": share.num_collected,
        "share": round(share.share, 4),
        "share_low": round(low, 4),
        "share_high": round(high, 4),
        "mathematical": _is_mathematical(share, recipe),
    }


def _heldout_row(held_out: HeldOut | None) -> dict[str, Any]:
    if held_out is None:  # the seed is too small to hold anything out
        return {"heldout_pages": 0}
    values = dataclasses.asdict(held_out)
    return {
        "heldout_pages": held_out.num_positives + held_out.num_negatives,
        **{f"heldout_{name}": round(values[name], 4) for name in ("precision", "recall", "f1", "auc")},
    }


def budget_of(recipe: CorpusRecipe, iteration: int, pool_tokens: int) -> int:
    """Tokens kept after an iteration (from 1): as the recipe says, or its share of all there are."""
    if recipe.budget_tokens:
        return recipe.budget_tokens[min(iteration, len(recipe.budget_tokens)) - 1]
    return round(recipe.budget_share * pool_tokens)
