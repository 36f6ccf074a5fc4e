"""What in the input of the mining looks like a mistake: said before the work, or beside its result.

Nothing here changes what is collected. What cannot be worked with at all raises, here or where it is met.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mathwright.corpus.decontaminate.index import ContaminationIndex
from mathwright.corpus.mining import measures, ranking
from mathwright.corpus.recipe import CorpusRecipe
from mathwright.corpus.rules import domains
from mathwright.corpus.rules import rules as annotate
from mathwright.corpus.rules.index import PrefixIndex
from mathwright.corpus.rules.rules import Rule
from mathwright.errors import MathwrightError
from mathwright.run import Stage

FEW_PAGES = 20
"""Of fewer seed pages, rankings were seen to follow the look (three pages drew in any short index page)."""
FILLED = 0.9
"""A collection below this share of its budget, in a larger pool, was ended by one large page."""
MANY_HOSTS = 100_000
"""Among more hosts than this, none is looked for that a misspelt one may mean: it would take seconds a rule."""


def check_recipe(recipe: CorpusRecipe, run: Path) -> None:
    """Raise MathwrightError for what can be known to be wrong before a page is read: rules, labels, no seed at all."""
    rules = annotate.read_people(run, recipe.rules)
    if recipe.labels:
        measures.read_labels(Path(recipe.labels))
    if not recipe.seed_urls and not any(rule.decision == "accept" for rule in rules):
        raise MathwrightError(
            "the seed is empty: corpus.seed_urls has no globs, and no rule of people accepts any page",
            hint="name pages of the domain sought in corpus.seed_urls, such as *//mathoverflow.net/*",
        )


def check_benchmarks(index: ContaminationIndex, names: Iterable[str]) -> None:
    """Raise MathwrightError where one of the benchmarks that an index was made of has no text at all."""
    for name in names:
        num_empty = index.num_empty.get(name, 0)
        if not index.num_texts.get(name, 0) and index.num_too_short.get(name, 0) == num_empty:
            raise MathwrightError(
                f"the benchmark {name!r} has no text: "
                + (f"all {num_empty:,} of its questions and answers are empty" if num_empty else "it has no rows"),
                hint="check corpus.benchmarks; a question or answer that is null or no text counts as empty",
            )


def warn_of_benchmarks(index: ContaminationIndex, stage: Stage) -> None:
    """Name the benchmarks whose texts are all too short to be looked for."""
    for name, num_short in index.num_too_short.items():
        if not index.num_texts.get(name, 0):
            stage.warn(
                f"nothing of the benchmark {name!r} is kept out: {num_short:,} of its texts are too short to identify, "
                f"{index.num_empty.get(name, 0):,} of them empty",
            )


def warn_of_seed(urls: Sequence[str], seed: np.ndarray, globs: Mapping[str, int], stage: Stage) -> None:
    """Say where a glob of the seed matches no page, and where the seed [N] can only teach to know itself again."""
    for glob, num_pages in globs.items():
        if num_pages == 0:
            stage.warn(f"no page matches {glob} of corpus.seed_urls; globs are over whole URLs")
    rows = np.flatnonzero(seed)
    hosts = {domains.domain(urls[i]) for i in rows.tolist()}
    if len(rows) < FEW_PAGES or len(hosts) == 1:
        stage.warn(
            f"the seed is {_count(len(rows), 'page')} of {_count(len(hosts), 'host')}: the classifier may learn these "
            "pages rather than their subject; match more with corpus.seed_urls",
        )


def warn_of_rules(urls: Sequence[str], rules: Sequence[Rule], stage: Stage) -> None:
    """Name each rule of people that matches no page, and what it may mean."""
    if not rules:
        return
    index = PrefixIndex(urls, np.zeros(len(urls), dtype=bool))
    for rule in rules:
        if not len(index.rows[index.matching(rule.glob)]):
            stage.warn(f"no page matches the rule {rule.decision} {rule.glob} by {rule.by}{_nearest(index, rule)}")


def _nearest(index: PrefixIndex, rule: Rule) -> str:
    host = annotate.literal_host(rule.glob)
    if host is None:
        return ""
    start, stop = index.span(f"{host}/")
    if stop > start:
        return f"; {host} has {_count(stop - start, 'page')}, such as {index.addresses[start]}"
    places = index.children("").start[: MANY_HOSTS + 1].tolist()
    hosts = [index.addresses[place].as_py().partition("/")[0] for place in places]
    close = difflib.get_close_matches(host, hosts, n=1) if len(hosts) <= MANY_HOSTS else []
    return f"; there is no host {host}" + (f": is it {close[0]}?" if close else "")


def warn_of_cut(
    scores: np.ndarray, num_tokens: np.ndarray, urls: Sequence[str], collected: np.ndarray, budget: int, stage: Stage
) -> None:
    """Say where the cut [N] falls short of the budget, takes the whole pool, or falls among pages of equal score."""
    total = int(num_tokens[collected].sum())
    if collected.all():
        stage.warn(
            f"the budget of {budget:,} tokens exceeds the pool ({total:,}): every page is collected, the ranking "
            "decides nothing and the loop ends; lower corpus.budget_tokens",
        )
        return
    if total < FILLED * budget:
        ranked = ranking.rank(scores, urls)
        first = int(ranked[~collected[ranked]][0])
        stage.warn(
            f"only {total:,} of {budget:,} tokens are collected: the next page by rank, {urls[first]}, alone has "
            f"{num_tokens[first]:,} and ends the cut; leave such pages out with corpus.filters.max_words",
        )
    lowest = scores == scores[collected].min()
    left = int((lowest & ~collected).sum())
    if left and lowest.sum() > max(10, collected.sum() // 100):
        stage.warn(
            f"{lowest.sum():,} pages have the lowest score collected, {scores[lowest][0]:.6f}: {left:,} of them are "
            "left out by the order of their URLs",
        )


def check_samples(
    num_negatives: int, num_copies: int, recipe: CorpusRecipe, seed: np.ndarray, excluded: np.ndarray, stage: Stage
) -> None:
    """Say where few pages are left as negatives; raise MathwrightError where none is, or where the seed [N] is empty.

    excluded [N]: pages that are no negatives, beside the seed; num_copies: those left out as copies of positives.
    """
    if not seed.any():
        raise MathwrightError(
            "no page is left in the seed: rules reject all that were in it",
            hint="look at the rules that reject, with mathwright corpus annotate or in the rules file",
        )
    num_seed, num_excluded = int(seed.sum()), int((excluded & ~seed).sum())
    why = (
        f"of {len(seed):,} pages {num_seed:,} are the seed, {num_excluded:,} are below accepted rules or were "
        f"collected before, and {num_copies:,} nearly are a page of the seed"
    )
    hint = "add pages of other subjects, or lower corpus.budget_tokens"
    if recipe.classifier.exclude_collected:
        hint += "; corpus.classifier.exclude_collected=false takes collected pages as negatives"
    if num_negatives == 0 and recipe.classifier.num_negatives > 0:
        raise MathwrightError(f"no page is left as a negative: {why}", hint=hint)
    if 0 < num_negatives < min(FEW_PAGES, recipe.classifier.num_negatives):
        stage.warn(f"only {_count(num_negatives, 'page')} left as negatives: {why}; {hint}")


def rule_rows(
    urls: Sequence[str], rules: Sequence[Rule], collected: np.ndarray, joined: np.ndarray
) -> list[dict[str, Any]]:
    """Each rule with the pages it matches, those of them collected, and those that joined the seed since its beginning.

    collected, joined [N] bool.
    """
    if not rules:
        return []
    index = PrefixIndex(urls, collected)
    joined = joined[index.rows]
    rows: list[dict[str, Any]] = []
    for rule in rules:
        places = index.matching(rule.glob)
        fields = {name: getattr(rule, name) for name in ("glob", "decision", "by", "why", "when")}
        counts = {"pages": index.rows, "collected": index.collected, "joined_seed": joined}
        rows.append(fields | {name: _num(values[places]) for name, values in counts.items()})
    return rows


def _num(values: np.ndarray) -> int:
    return int(values.sum()) if values.dtype == bool else len(values)


def count_globs(urls: Sequence[str], globs: Sequence[str]) -> dict[str, int]:
    """How many URLs each glob matches."""
    found: dict[str, int] = {}
    for glob in globs:
        match = re.compile(fnmatch.translate(glob)).match
        found[glob] = sum(match(url) is not None for url in urls)
    return found


def _count(num: int, what: str) -> str:
    return f"{num:,} {what}" + ("" if num == 1 else "s")
