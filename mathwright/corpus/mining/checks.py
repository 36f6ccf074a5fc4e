"""What can be known to be wrong with the mining before a page is read: it should not cost a crawl."""

from __future__ import annotations

from pathlib import Path

from mathwright.corpus.mining.measures import read_labels
from mathwright.corpus.recipe import CorpusRecipe
from mathwright.corpus.rules.rules import read_people
from mathwright.errors import MathwrightError


def check_recipe(recipe: CorpusRecipe, run: Path) -> None:
    """Raise MathwrightError for wrong rules, wrong labels, and where there can be no seed at all."""
    if any(budget <= 0 for budget in recipe.budget_tokens):
        raise MathwrightError(
            f"corpus.budget_tokens is {recipe.budget_tokens}", hint="each is a number of tokens above 0; none: a share"
        )
    if not 0 < recipe.budget_share <= 1:
        raise MathwrightError(
            f"corpus.budget_share is {recipe.budget_share}", hint="it is a share of all tokens: above 0, at most 1"
        )
    rules = read_people(run, recipe.rules)
    if recipe.labels:
        read_labels(Path(recipe.labels))
    if not recipe.seed_urls and not any(rule.decision == "accept" for rule in rules):
        raise MathwrightError(
            "the seed is empty: corpus.seed_urls has no globs, and no rule of people accepts any page",
            hint="name pages of the domain sought in corpus.seed_urls, such as *//mathoverflow.net/*",
        )
