"""Exploration: problems to prompts, prompts to responses, responses to judged groups."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mathwright.engines.respond import EncodedPrompt
from mathwright.errors import MathwrightError
from mathwright.lm.model import LanguageModel
from mathwright.lm.steps import step_end_tokens
from mathwright.lm.tokenise import encode_prompt
from mathwright.problems.prompts import build_prompt
from mathwright.records import Completion, Problem, Rollout, RolloutGroup, SolutionFormat
from mathwright.rl.rewards import Reward, Sample, judged, weighted_sum
from mathwright.rl.step_scorers import StepScorer
from mathwright.rl.steps import StepScores
from mathwright.run import Stage
from mathwright.tools.sandbox import Sandbox


def prepare_prompts(
    problems: Sequence[Problem],
    *,
    lm: LanguageModel,
    mode: SolutionFormat,
    template: str,
    max_new_tokens: int,
    stage: Stage,
    name: str = "prompts",
    num_given: int | None = None,
) -> list[EncodedPrompt]:
    """Prompts of the problems whose question and response fit the context; the others are counted and set aside.

    Where the problems are some of a larger number, that is `num_given`: the rest is counted too.

    Raises MathwrightError where no problem is left.
    """
    if not problems:
        raise MathwrightError(
            "there are no problems to train on", hint="raise num_train of the recipe's problem sources"
        )
    prompts: list[EncodedPrompt] = []
    for problem in problems:
        prompt = build_prompt(problem, mode, template=template, tokenizer=lm.tokenizer)
        tokens = tuple(encode_prompt(lm.tokenizer, prompt.text))
        if len(tokens) + max_new_tokens > lm.max_length:
            stage.reject(name, {"problem": problem.id, "num_tokens": len(tokens)}, "longer than context")
        else:
            prompts.append(EncodedPrompt(prompt=prompt, tokens=tokens))
    num_given = num_given or len(problems)
    dropped = {"longer than context": len(problems) - len(prompts), "over num_problems": num_given - len(problems)}
    stage.funnel(name, unit="problems", num_in=num_given, num_out=len(prompts), dropped=dropped)
    if not prompts:
        raise MathwrightError(
            f"no prompt leaves room for {max_new_tokens} new tokens in the model's context of {lm.max_length}",
            hint="lower sampling.max_new_tokens, or use a model with a longer context",
        )
    return prompts


def some_of(problems: Sequence[Problem], count: int, seed: int) -> Sequence[Problem]:
    """`count` of the problems, drawn by the seed and in their order; all where that is 0 or more than there are."""
    if not count or count >= len(problems):
        return problems
    chosen = random.Random(f"some/{seed}").sample(range(len(problems)), count)
    return [problems[index] for index in sorted(chosen)]


def drawn_indices(num_problems: int, start: int, stop: int, seed: int) -> list[int]:
    """Which problems stand at the positions from `start` to before `stop` of seeded permutations laid end to end.

    Every problem comes once before any comes again.
    """
    places = (divmod(position, num_problems) for position in range(start, stop))
    return [_permutation(num_problems, epoch, seed)[place] for epoch, place in places]


@lru_cache(maxsize=2)
def _permutation(size: int, epoch: int, seed: int) -> tuple[int, ...]:
    order = list(range(size))
    random.Random(f"problems/{seed}/{epoch}").shuffle(order)
    return tuple(order)


def response_seed(*parts: int) -> int:
    """A seed for one response: a hash of (seed, step, place in the step, g), so that no two of a run are the same."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Groups with their rewards, and why some responses have none."""

    groups: list[RolloutGroup]
    unscored: Counter[str]


def judge_groups(
    prompts: Sequence[EncodedPrompt],
    completions: Sequence[Sequence[Completion]],
    rewards: Sequence[tuple[Reward, float]],
    *,
    sandbox: Sandbox | None = None,
    steps: StepScorer | None = None,
    tokenizer: Any = None,
) -> Judged:
    """Judge and reward the responses to some prompts.

    Args:
        prompts: the questions asked.
        completions: the responses to each.
        rewards: terms of the reward, with their weights.
        sandbox: where programs run that are judged.
        steps: scores the steps of the responses (process supervision); None for outcomes alone.
        tokenizer: says which tokens the steps end with; needed with `steps`.
    """
    items = [(p.prompt, c) for p, row in zip(prompts, completions, strict=True) for c in row]
    samples = judged(items, sandbox=sandbox)
    scored = weighted_sum(rewards, samples)
    scored_steps = steps.score(samples) if steps is not None else [StepScores([])] * len(samples)
    reasons = [reason for s in scored for reason in s.reasons] + [s.reason for s in scored_steps if s.reason]
    rollouts = iter(
        Rollout(
            completion=sample.completion,
            verdict=sample.verdict,
            reward=s.total,
            rewards_by_name=s.by_name,
            **_steps(sample, step_scores, tokenizer),
        )
        for sample, s, step_scores in zip(samples, scored, scored_steps, strict=True)
    )
    groups = [
        RolloutGroup(
            problem=p.prompt.problem,
            prompt=p.prompt.text,
            prompt_tokens=p.tokens,
            rollouts=tuple(next(rollouts) for _ in row),
        )
        for p, row in zip(prompts, completions, strict=True)
    ]
    return Judged(groups=groups, unscored=Counter(reasons))


def _steps(sample: Sample, scores: StepScores, tokenizer: Any) -> dict[str, Any]:
    completion = sample.completion
    if not scores.steps or not completion.tokens:
        return {}
    ends = step_end_tokens(tokenizer, completion.tokens, [s.end for s in scores.steps], len(completion.text))
    return {"step_ends": tuple(ends), "step_rewards": tuple(s.reward for s in scores.steps)}


def group_statistics(groups: Sequence[RolloutGroup], *, by_step: bool = False) -> dict[str, float | None]:
    """The metrics of an exploration; each is explained in `rl.training`.

    by_step: whether steps are rewarded, so that a response without a scored step is unscored.
    """
    rollouts = [r for group in groups for r in group.rollouts]
    rewards = [r.reward for r in rollouts if r.reward is not None]
    verdicts = [r.verdict for r in rollouts if r.verdict is not None and r.verdict.scored]
    mean = sum(rewards) / len(rewards) if rewards else None
    return (_step_statistics(rollouts) if by_step else {}) | {
        "reward_mean": mean,
        "reward_std": (sum((r - mean) ** 2 for r in rewards) / len(rewards)) ** 0.5 if mean is not None else None,
        "accuracy": sum(v.correct for v in verdicts) / len(verdicts) if verdicts else None,
        "response_tokens": sum(len(r.completion.tokens) for r in rollouts) / len(rollouts),
        "truncated": sum(r.completion.finish == "length" for r in rollouts) / len(rollouts),
        "tool_calls": sum(r.completion.num_tool_calls for r in rollouts) / len(rollouts),
        "equal_reward_groups": sum(nothing_to_prefer(group) for group in groups) / len(groups),
        "unscored": sum(not r.step_rewards if by_step else r.reward is None for r in rollouts) / len(rollouts),
    }


def _step_statistics(rollouts: Sequence[Rollout]) -> dict[str, float | None]:
    """Of responses with scored steps: their number and their rewards, and the tokens a step."""
    stepped = [r for r in rollouts if r.step_ends]
    # two rewards at one token, such as a last step's and the verdict's, are of one step
    num_steps = sum(len(set(r.step_ends)) for r in stepped)
    rewards = [reward for r in stepped for reward in r.step_rewards]
    return {
        "step_reward_mean": sum(rewards) / len(rewards) if rewards else None,
        "steps_per_response": num_steps / len(stepped) if stepped else None,
        "tokens_per_step": sum(len(r.completion.tokens) for r in stepped) / num_steps if num_steps else None,
    }


def nothing_to_prefer(group: RolloutGroup) -> bool:
    """Whether all rewards of a group are equal, and those of its steps where there are any."""
    rewards = {r.reward for r in group.rollouts if r.reward is not None}
    steps = {reward for r in group.rollouts for reward in r.step_rewards}
    return len(rewards) <= 1 and len(steps) <= 1
