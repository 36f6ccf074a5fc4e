"""Judges that know nothing of mathematics: what a reward model must beat to have learnt more than they know.

length    the shorter response, or the longer one: whichever was right more often on the training data
logprob   the response of which the model that wrote it was surer: mean log-probability of its tokens
answer    a response that gives an answer over one that gives none
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mathwright import answers
from mathwright.lm.logprobs import response_logprobs
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import TokenGroup, pack_groups
from mathwright.lm.tokenise import encode, encode_prompt
from mathwright.reward.examples import Example, Group
from mathwright.reward.scoring import truncated

Scores = list[list[float | None]]
"""A number for each response of each group; None where a response has none."""


def final_answers(group: Group) -> list[str | None]:
    """The answer that each response gives; None where it gives none."""
    opened = answers.opened_thought(group.prompt)
    found = [answers.extract_answer(opened + response) for response in group.responses]
    return [answer if answer and answer.strip() else None for answer in found]


def by_answer(groups: Sequence[Group]) -> Scores:
    """1 for a response that gives an answer, 0 for one that gives none."""
    return [[float(answer is not None) for answer in final_answers(group)] for group in groups]


def by_length(groups: Sequence[Group], sign: float) -> Scores:
    """Characters of each response, times -1 where the shorter is preferred (`length_sign`)."""
    return [[sign * len(response) for response in group.responses] for group in groups]


def length_sign(training: Sequence[Example]) -> float:
    """1 where the longer response of a training pair is the better one more often than not, else -1."""
    longer = shorter = 0
    for example in training:
        sized = [(len(response), rank) for response, rank in zip(example.responses, example.ranks, strict=True)]
        longer += sum(a > b and i < j for a, i in sized for b, j in sized)
        shorter += sum(a < b and i < j for a, i in sized for b, j in sized)
    return 1.0 if longer > shorter else -1.0


@torch.no_grad()
def mean_logprobs(lm: LanguageModel, groups: Sequence[Group], *, end: int, micro_batch_tokens: int) -> Scores:
    """Mean log-probability of the tokens of each response under `lm`, the end token included where one was written.

    None where a response does not fit the context, and for an empty one that was cut.
    """
    scores: Scores = [[None] * len(group.responses) for group in groups]
    packed: list[TokenGroup] = []
    places: list[list[tuple[int, int]]] = []
    for g, group in enumerate(groups):
        prompt = encode_prompt(lm.tokenizer, group.prompt)
        written = zip(group.responses, truncated(group), strict=True)
        tokens = [[*encode(lm.tokenizer, text, parse_special=False), *([] if cut else [end])] for text, cut in written]
        fits = [k for k, response in enumerate(tokens) if 0 < len(response) <= lm.max_length - len(prompt)]
        packed.append(TokenGroup(prompt, [tokens[k] for k in fits]))
        places.append([(g, k) for k in fits])
    lm.model.eval()
    for batch in pack_groups(packed, micro_batch_tokens):
        means = response_logprobs(lm, batch).sum(1) / batch.response_mask.sum(1).to(lm.device)
        for (group_index, row), value in zip(batch.rows, means.tolist(), strict=True):
            g, k = places[group_index][row]
            scores[g][k] = value
    return scores
