"""What the outcome reward model learns from: the responses to one prompt with their ranks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mathwright.lm.model import LanguageModel
from mathwright.lm.tokenise import encode, encode_prompt
from mathwright.records import JudgedGroup, Ranking
from mathwright.reward.recipe import RewardRecipe

T = TypeVar("T")

Group = JudgedGroup | Ranking
"""The responses to one prompt, judged or ranked."""
CORRECT, WRONG = 0, 1
"""Ranks of judged responses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """The responses to one prompt that can be learned from, each text once."""

    problem_id: str
    prompt: str
    responses: tuple[str, ...]
    ranks: tuple[int, ...]
    """0 the best; of judged responses 0 is right and 1 wrong."""
    truncated: tuple[bool, ...]
    judged: bool
    """Whether the ranks are verdicts; the best of a ranking by taste need not be right."""

    @property
    def num_pairs(self) -> int:
        """Pairs of different rank."""
        same = sum(count * (count - 1) // 2 for count in Counter(self.ranks).values())
        return len(self.ranks) * (len(self.ranks) - 1) // 2 - same

    @property
    def why_no_pairs(self) -> str:
        """Why there is nothing to compare, or ""."""
        if self.num_pairs:
            return ""
        if not self.ranks:
            return "no response could be judged"
        if not self.judged:
            return "one response" if len(self.ranks) == 1 else "equal ranks"
        return "all correct" if set(self.ranks) == {CORRECT} else "all wrong"

    def as_ranking(self) -> Ranking:
        """Without its verdicts."""
        return Ranking(problem_id=self.problem_id, prompt=self.prompt, responses=self.responses, ranks=self.ranks)


def examples_of(
    groups: Sequence[Group], lm: LanguageModel, *, leave_out_truncated: bool
) -> tuple[list[Example], Counter[str]]:
    """An example of each group, and how many responses were left out, by reason.

    Left out are responses without a verdict, copies of an earlier one (as equal tokens they have equal scores), those
    that do not fit the context of `lm` behind their prompt, and, where asked, those that were cut.
    """
    dropped: Counter[str] = Counter()
    return [_example(group, lm, leave_out_truncated, dropped) for group in groups], dropped


def _example(group: Group, lm: LanguageModel, leave_out_truncated: bool, dropped: Counter[str]) -> Example:
    judged = isinstance(group, JudgedGroup)
    truncated = group.truncated if judged else (False,) * len(group.responses)
    ranks = (
        [None if right is None else CORRECT if right else WRONG for right in group.correct] if judged else group.ranks
    )
    room = lm.max_length - len(encode_prompt(lm.tokenizer, group.prompt))
    kept: dict[tuple[str, bool], int] = {}
    for response, rank, cut in zip(group.responses, ranks, truncated, strict=True):
        if rank is None:
            dropped["not judged"] += 1
        elif (response, cut) in kept:
            dropped["repeated"] += 1
        elif cut and leave_out_truncated:
            dropped["cut: has a reward of its own"] += 1
        # text tokenised again may be longer than what was drawn
        elif len(encode(lm.tokenizer, response, parse_special=False)) + (not cut) > room:
            dropped["longer than context"] += 1
        else:
            kept[response, cut] = rank
    return Example(
        problem_id=group.problem_id,
        prompt=group.prompt,
        responses=tuple(response for response, _ in kept),
        ranks=tuple(kept.values()),
        truncated=tuple(cut for _, cut in kept),
        judged=judged,
    )


def trainable(recipe: RewardRecipe, examples: Sequence[Example]) -> list[Example]:
    """Those that the recipe's loss learns from: with a pair, and under a pointwise term all judged ones."""
    learns_alone = bool(recipe.pointwise_weight or recipe.token_weight)
    return [e for e in examples if e.num_pairs or (learns_alone and e.judged and e.ranks)]


def split_by_prompt(groups: Sequence[Group], heldout_share: float, seed: int) -> tuple[list[Group], list[Group]]:
    """Groups to train on and groups held out, in a seeded order: all of a prompt are on one side."""
    prompts = list(dict.fromkeys(group.prompt for group in groups))
    _, heldout = split(prompts, heldout_share, seed)
    away = set(heldout)
    return [g for g in groups if g.prompt not in away], [g for g in groups if g.prompt in away]


def split(items: Sequence[T], heldout_share: float, seed: int) -> tuple[list[T], list[T]]:
    """Items to train on and items held out, in a seeded order; at least one on each side where there are two."""
    order = [items[i] for i in np.random.default_rng(seed).permutation(len(items))]
    num_heldout = max(0, min(max(1, round(heldout_share * len(order))), len(order) - 1)) if heldout_share else 0
    return order[num_heldout:], order[:num_heldout]
