"""§2.1: the loop. Seed, classifier, ranking, mathematical domains, rules, a larger seed, until little changes."""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mathwright.corpus import classifier as classify
from mathwright.corpus.mining import ranking, samples, warnings
from mathwright.corpus.mining.pool import Pool
from mathwright.corpus.recipe import CorpusRecipe
from mathwright.corpus.rules import domains
from mathwright.corpus.rules import rules as annotate
from mathwright.corpus.rules.propose import propose_rules
from mathwright.corpus.rules.rules import Rule
from mathwright.errors import MathwrightError, Paused
from mathwright.run import Stage, read_manifest

_PAGES_ROWS = 1 << 16
_PAGES = pa.schema(
    [("url", pa.string()), ("score", pa.float64()), ("collected", pa.bool_()), ("seed", pa.bool_()),
     ("next_seed", pa.bool_())]
)  # fmt: skip


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
        with pq.ParquetWriter(folder / "pages.parquet", _PAGES, compression="zstd") as writer:
            for start in range(0, len(urls), _PAGES_ROWS):
                rows = slice(start, start + _PAGES_ROWS)
                columns = {"url": urls[rows], "score": self.scores[rows]} | {k: v[rows] for k, v in flags.items()}
                writer.write_table(pa.table(columns, schema=_PAGES))
        annotate.write_rules(folder / "rules.toml", self.rules)

    @classmethod
    def load(cls, folder: Path) -> State:
        names = ["score", "collected", "seed", "next_seed"]
        table = pq.read_table(folder / "pages.parquet", columns=names)
        arrays = {name: table[name].to_numpy() for name in names}
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
    first_seed: np.ndarray
    """[N] bool: the seed the loop began with."""
    last_excluded: np.ndarray
    """[N] bool: pages that could not be negatives in the last iteration."""


def mine(recipe: CorpusRecipe, pool: Pool, stage: Stage, seed: int) -> Mined:
    """Iterate until `stop_overlap` of the collected pages were collected before, or `max_iterations`.

    Each iteration is a part of the stage: `iteration-K/` holds its classifier (the last one's only), scores and
    collected pages, domains and rules. Where people have decided something since the last iteration was made, there is
    another one. Raises Paused where the recipe wants people to decide in between.
    """
    human_rules = annotate.read_people(stage.path.parent, recipe.rules)
    warnings.warn_of_rules(pool.urls, human_rules, stage)
    decisions = annotate.decisions_digest(human_rules)
    promised = _promised_iteration(stage)
    rows: list[dict[str, Any]] = []
    state = before = None
    for number in itertools.count(1):
        is_made = (stage.path / f"iteration-{number}.done.json").is_file()
        if not is_made and _is_over(recipe, rows, decisions, len(pool.urls)):
            break
        if not is_made:  # what was made from an earlier iteration is made again
            for name in ("quality", "documents", "shards"):
                stage.again(name)
        before = state and _decide_again(state, pool, recipe, human_rules)
        row = stage.once(
            f"iteration-{number}",
            lambda folder, k=number, b=before: _iterate(recipe, pool, stage, folder, k, b, human_rules, seed),
        )
        if number > 1 and number - 1 != promised:  # buckets * dim * 4 bytes, and nothing reads an earlier one
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
    order = ranking.rank(state.scores, pool.urls)[:20]
    table = domains.domain_table(pool.urls, state.collected, recipe.domain_unit)
    return Mined(
        state=state,
        iterations=rows,
        top_domains=[_domain_row(row, recipe) for row in table[:30] if row.num_collected],
        top_pages=[(int(i), float(state.scores[i])) for i in order],
        first_seed=State.load(stage.path / "iteration-1").seed,
        last_excluded=not_negative(recipe, pool, before),
    )


def _promised_iteration(stage: Stage) -> int:
    """The iteration whose classifier the stage left for others when it finished before; 0 where it had not."""
    manifest = read_manifest(stage.path)
    return len(manifest["summary"]["iterations"]) if manifest is not None else 0


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
    matched = np.array([match(url) is not None for url in urls], dtype=bool) | annotate.matching(urls, rules)
    seed = matched & ~annotate.rejected(urls, rules)
    if matched.any() and not seed.any():
        raise MathwrightError(
            f"rules reject all {matched.sum()} pages that match the seed ({', '.join(globs) or 'no globs'})",
            hint="look at the rules that reject, with mathwright corpus annotate or in the rules file",
        )
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
        warnings.warn_of_seed(pool.urls, seed_pages, warnings.count_globs(pool.urls, recipe.seed_urls), stage)
    drawn, classifier, held_out = train_classifier(
        recipe,
        pool,
        stage,
        folder,
        seed_pages,
        not_negative(recipe, pool, before),
        seed=f"{seed}:{number}",
        negatives_seed=f"{seed}:{number if recipe.classifier.redraw_negatives else 1}",
    )
    classifier.save(folder)
    del classifier  # its matrix: whoever scores loads it again
    with stage.progress(f"iteration {number}: score pages", len(pool.urls)) as advance:
        scores = pool.score(folder, advance)

    budget = recipe.budget_tokens[min(number, len(recipe.budget_tokens)) - 1]
    collected = ranking.cut(scores, pool.num_tokens, pool.urls, budget)
    change = ranking.compare(collected, before.collected if before else None)
    warnings.warn_of_cut(scores, pool.num_tokens, pool.urls, collected, budget, stage)
    table = domains.domain_table(pool.urls, collected, recipe.domain_unit)
    mathematical = _mathematical(table, collected, recipe)
    rules = _merge_rules(recipe, pool, collected, mathematical, before, human_rules, number)
    next_seed = _next_seed(pool.urls, seed_pages, collected, rules)
    state = State(scores=scores, collected=collected, seed=seed_pages, next_seed=next_seed, rules=rules)
    state.save(folder, pool.urls)
    pq.write_table(pa.Table.from_pylist([_domain_row(row, recipe) for row in table]), folder / "domains.parquet")
    known = (
        set()
        if before is None
        else {
            row.name
            for row in _mathematical(
                domains.domain_table(pool.urls, before.collected, recipe.domain_unit), before.collected, recipe
            )
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


def train_classifier(
    recipe: CorpusRecipe,
    pool: Pool,
    stage: Stage,
    folder: Path,
    seed_pages: np.ndarray,
    excluded: np.ndarray,
    *,
    seed: str,
    negatives_seed: str,
) -> tuple[samples.Samples, classify.Classifier, classify.HeldOut | None]:
    """Train on seed pages against random others; a share of either is held out to measure the classifier.

    seed_pages, excluded [N] bool. `folder/samples.parquet` keeps which page was on which side.
    """
    drawn = samples.draw(
        seed_pages, excluded, pool.archives, recipe.classifier, seed=seed, negatives_seed=negatives_seed
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
    warnings.check_samples(len(drawn.negatives), drawn.num_near_copies, recipe, seed_pages, excluded, stage)
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


def not_negative(recipe: CorpusRecipe, pool: Pool, before: State | None) -> np.ndarray:
    """Pages [N] that are no negatives, beside the seed: those under accepted rules, and (by option) those collected."""
    if before is None:
        return np.zeros(len(pool.urls), dtype=bool)
    under_rules = annotate.matching(pool.urls, before.rules)
    if not recipe.classifier.exclude_collected:
        return under_rules
    return under_rules | (before.collected & ~annotate.rejected(pool.urls, before.rules))


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
    """Rules of people, then automatic ones of earlier iterations, then new ones."""
    if recipe.annotation == "people":
        return annotate.merge_rules(human_rules, ())
    proposed = propose_rules(
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
