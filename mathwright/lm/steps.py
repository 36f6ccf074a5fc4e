"""Steps in tokens: the token with which each step of a response ends, and what a process reward model says there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mathwright.lm.growing import GrowingText, decoded_by
from mathwright.lm.heads import token_group, token_scores
from mathwright.lm.model import RewardModel
from mathwright.lm.pack import TokenGroup, pack_groups


def step_end_tokens(tokenizer: Any, tokens: Sequence[int], ends: Sequence[int], text_length: int) -> list[int]:
    """index(j): for each character offset (exclusive end, ascending) the token that completes the last character before
    it, also where that token goes on with the delimiter (".\\n\\n") or the next step.

    A step that reaches the end of the text, `text_length`, ends at the last token: the end token belongs to it.
    """
    indices: list[int] = []
    text = GrowingText(decoded_by(tokenizer))
    inside = iter(end for end in ends if end < text_length)
    wanted = next(inside, None)
    for index, token in enumerate(tokens):
        if wanted is None:
            break
        text.push(token)
        while wanted is not None and len(text.value) >= wanted:
            indices.append(index)
            wanted = next(inside, None)
    return [*indices, *[len(tokens) - 1] * (len(ends) - len(indices))]


def at_steps(scores_BT: Float[Tensor, "B T"], ends_BS: Int[Tensor, "B S"]) -> Float[Tensor, "B S"]:
    """The scores at the step-end tokens of each response, differentiable; anything after a response's last step."""
    return scores_BT.gather(1, ends_BS.to(scores_BT.device))


def padded_ends(ends: Sequence[Sequence[int]]) -> Int[Tensor, "B S"]:
    """Step-end tokens as a rectangle, 0 after the last of a response."""
    most = max(map(len, ends), default=0)
    return torch.tensor([[*row, *[0] * (most - len(row))] for row in ends], dtype=torch.long).reshape(len(ends), most)


@torch.no_grad()
def step_scores(
    reward_model: RewardModel,
    prompts: Sequence[str],
    responses: Sequence[str],
    ends: Sequence[Sequence[int]],
    finished: Sequence[bool],
    *,
    micro_batch_tokens: int,
) -> list[list[float] | None]:
    """sigma(s_j), how sure the process reward model is of each step, between 0 and 1.

    Args:
        reward_model: a process reward model.
        prompts: what was asked, one a response; those that stand several times are computed once a micro-batch.
        responses: the texts.
        ends: the ends of their steps as character offsets (`problems.steps`).
        finished: whether each response ended by itself; the last step of one that ran into a limit is read at its own
            last token, not at an end token that it never wrote.
        micro_batch_tokens: bounds the memory.

    Returns a number a step; None where prompt and response do not fit the model's context, or it says NaN.
    """
    if not len(prompts) == len(responses) == len(ends) == len(finished):
        raise ValueError(f"{len(prompts)} prompts, {len(responses)} responses, {len(ends)} lists of steps")
    groups: list[TokenGroup] = []
    members: list[list[int]] = []
    for prompt, places in _by_prompt(prompts).items():
        group = token_group(reward_model, prompt, [responses[i] for i in places], [not finished[i] for i in places])
        fitting = [
            k for k, r in enumerate(group.responses) if r and len(group.prompt) + len(r) <= reward_model.max_length
        ]
        if fitting:
            groups.append(TokenGroup(group.prompt, [group.responses[k] for k in fitting]))
            members.append([places[k] for k in fitting])
    found: list[list[float] | None] = [None] * len(prompts)
    reward_model.model.eval()
    for batch in pack_groups(groups, micro_batch_tokens):
        scores = token_scores(reward_model, batch).sigmoid().cpu()
        for (group, row), values in zip(batch.rows, scores, strict=True):
            i = members[group][row]
            tokens = step_end_tokens(reward_model.tokenizer, groups[group].responses[row], ends[i], len(responses[i]))
            said = values[torch.tensor(tokens, dtype=torch.long)].tolist()
            found[i] = said if all(value == value for value in said) else None
    return found


def _by_prompt(prompts: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for index, prompt in enumerate(prompts):
        places.setdefault(prompt, []).append(index)
    return places
