"""Multiple choice as a measure of small models: the log-probability of the right option, not the letter that is named.

A small model cannot yet name the letter of an option, so that its accuracy stays at chance; the probability it gives to
the right option's own text moves long before (Bhagia et al. 2025, arXiv 2504.11393).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mathwright.lm.model import LanguageModel
from mathwright.pretrain.bits import continuation_losses
from mathwright.problems.fields import LETTERS
from mathwright.problems.prompts import WORDING
from mathwright.records import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A question with options, of which one is right."""

    question: str
    options: tuple[str, ...]
    right: int
    """Index of the right option."""
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceScore:
    """How well a model chooses."""

    nats: float
    """-log p of the right option, given that it is one of the options."""
    num_options: int
    is_right: bool
    """Whether the right option has the highest log-probability a byte of text, as accuracy is usually taken."""

    @property
    def weight(self) -> float:
        """What it counts in a mean with others: questions count alike."""
        return 1.0


def choices_of(problems: Iterable[Problem], *, limit: int | None = None, seed: int = 0) -> list[Choice]:
    """The problems with options of which one is right; `limit` of them are drawn by the seed."""
    found = [
        Choice(
            question=problem.question,
            options=problem.choices,
            right=LETTERS.index(problem.answer.strip()),
            language=problem.language,
        )
        for problem in problems
        if problem.choices and len(problem.answer.strip()) == 1
    ]
    if limit is not None and limit < len(found):
        found = [found[i] for i in sorted(random.Random(seed).sample(range(len(found)), limit))]
    return found


def score_choices(lm: LanguageModel, choices: Sequence[Choice], *, context: int) -> list[ChoiceScore]:
    """P(right | question, one of the options) of each question: p(right) / sum over the options of p(option).

    The options are not listed: each is read as the answer to the question ("cloze" form, Gu et al. 2024,
    arXiv 2406.08446).
    """
    asked = [(_before(choice), _gap(choice) + option) for choice in choices for option in choice.options]
    losses = iter(continuation_losses(lm, asked, context=context))
    scores = []
    for choice in choices:
        nats = np.array([float(next(losses)[1].sum()) for _ in choice.options])
        sizes = np.array([max(1, len(option.encode("utf-8", "replace"))) for option in choice.options])
        scores.append(
            ChoiceScore(
                nats=float(nats[choice.right] + np.logaddexp.reduce(-nats)),
                num_options=len(choice.options),
                is_right=int(np.argmin(nats / sizes)) == choice.right,
            )
        )
    return scores


def bits_of_chance(scores: Sequence[ChoiceScore]) -> float:
    """Mean bits of a model that gives all options the same probability."""
    return sum(math.log2(score.num_options) for score in scores) / max(1, len(scores))


def _before(choice: Choice) -> str:
    words = WORDING["zh" if choice.language == "zh" else "en"]
    return f"{words.question}{choice.question}\n{words.answer}"


def _gap(choice: Choice) -> str:
    return WORDING["zh" if choice.language == "zh" else "en"].gap
