"""Exploration: problems to prompts, prompts to responses, responses to judged groups."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.lm.generate import Generator, Tool
from mathwright.lm.load import LanguageModel
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.tokenise import encode_prompt
from mathwright.problems.templates import prompt_text
from mathwright.records import Completion, Problem, Rollout, RolloutGroup, SolutionFormat, to_json
from mathwright.rl.rewards import Reward, Sample, judge, weighted_sum
from mathwright.rl.steps import arithmetic_steps, step_end_tokens
from mathwright.run import Stage
from mathwright.tools.loop import PythonTool
from mathwright.tools.sandbox import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A question laid out for the model."""

    problem: Problem
    text: str
    tokens: tuple[int, ...]


def prepare_prompts(
    problems: Sequence[Problem],
    *,
    lm: LanguageModel,
    mode: SolutionFormat,
    template: str,
    max_new_tokens: int,
    stage: Stage,
) -> list[Prompt]:
    """Prompts of the problems whose question and response fit the context; the others are counted and set aside.

    Raises MathwrightError where no problem is left.
    """
    if not problems:
        raise MathwrightError(
            "there are no problems to train on", hint="raise num_train of the recipe's problem sources"
        )
    prompts: list[Prompt] = []
    for problem in problems:
        text = prompt_text(problem, mode, template, lm.tokenizer)
        tokens = tuple(encode_prompt(lm.tokenizer, text))
        if len(tokens) + max_new_tokens > lm.max_length:
            stage.reject("prompts", {"problem": problem.id, "num_tokens": len(tokens)}, "longer than context")
        else:
            prompts.append(Prompt(problem=problem, text=text, tokens=tokens))
    dropped = {"longer than context": len(problems) - len(prompts)}
    stage.funnel("prompts", unit="problems", num_in=len(problems), num_out=len(prompts), dropped=dropped)
    if not prompts:
        raise MathwrightError(
            f"no prompt leaves room for {max_new_tokens} new tokens in the model's context of {lm.max_length}",
            hint="lower sampling.max_new_tokens, or use a model with a longer context",
        )
    return prompts


def drawn_indices(num_problems: int, num_drawn: int, step: int, seed: int) -> list[int]:
    """Which problems a step asks: seeded permutations laid end to end, a pure function of the step.

    Every problem comes once before any comes again.
    """
    indices = []
    for position in range(step * num_drawn, (step + 1) * num_drawn):
        epoch, place = divmod(position, num_problems)
        indices.append(_permutation(num_problems, epoch, seed)[place])
    return indices


def _permutation(size: int, epoch: int, seed: int) -> list[int]:
    order = list(range(size))
    random.Random(f"problems/{seed}/{epoch}").shuffle(order)
    return order


def response_seed(*parts: int) -> int:
    """A seed for one response: a hash of (seed, step, place in the step, g), so that no two of a run are the same."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")


@contextmanager
def tool_for(mode: SolutionFormat) -> Iterator[Tool | None]:
    """What responses of the mode may call: Python in the sandbox under tool, else nothing."""
    with contextlib.ExitStack() as stack:
        yield PythonTool(stack.enter_context(Sandbox())) if mode == "tool" else None


def explore(
    generator: Generator,
    prompts: Sequence[Prompt],
    sampling: SamplingRecipe,
    *,
    seeds: Sequence[Sequence[int]],
    tool: Tool | None,
    max_tool_rounds: int,
    on_finished: Callable[[int], None] | None = None,
) -> list[list[Completion]]:
    """G responses to each prompt."""
    return generator.generate(
        [p.tokens for p in prompts],
        sampling,
        seeds=seeds,
        tool=tool,
        max_tool_rounds=max_tool_rounds if tool is not None else 0,
        on_finished=on_finished,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Groups with their rewards, and why some responses have none."""

    groups: list[RolloutGroup]
    unscored: Counter[str]


def judge_groups(
    prompts: Sequence[Prompt],
    completions: Sequence[Sequence[Completion]],
    rewards: Sequence[tuple[Reward, float]],
    *,
    step_tokenizer: Any = None,
) -> Judged:
    """Judge and reward all responses of a step.

    step_tokenizer: the tokenizer, to score the steps of the responses (process supervision); None for outcomes alone.
    """
    items = [(p.problem, p.text, c) for p, row in zip(prompts, completions, strict=True) for c in row]
    samples = judge(items)
    scored = weighted_sum(rewards, samples)
    unscored = Counter(reason for s in scored for reason in s.reasons)
    rollouts = iter(
        Rollout(
            completion=sample.completion,
            verdict=sample.verdict,
            reward=s.total,
            rewards_by_name=s.by_name,
            **_steps(sample, step_tokenizer),
        )
        for sample, s in zip(samples, scored, strict=True)
    )
    groups = [
        RolloutGroup(
            problem=p.problem,
            prompt=p.text,
            prompt_tokens=p.tokens,
            rollouts=tuple(next(rollouts) for _ in row),
        )
        for p, row in zip(prompts, completions, strict=True)
    ]
    return Judged(groups=groups, unscored=unscored)


def _steps(sample: Sample, tokenizer: Any) -> dict[str, Any]:
    tokens = sample.completion.tokens
    if tokenizer is None or not tokens:
        return {}
    steps = arithmetic_steps(sample)
    ends = step_end_tokens(tokenizer, tokens, [s.end for s in steps])
    return {"step_ends": tuple(ends), "step_rewards": tuple(s.reward for s in steps)}


def group_statistics(groups: Sequence[RolloutGroup]) -> dict[str, float | None]:
    """The metrics of an exploration; each is explained in `train.METRICS`."""
    rollouts = [r for group in groups for r in group.rollouts]
    rewards = [r.reward for r in rollouts if r.reward is not None]
    verdicts = [r.verdict for r in rollouts if r.verdict is not None and r.verdict.scored]
    mean = sum(rewards) / len(rewards) if rewards else None
    return {
        "reward_mean": mean,
        "reward_std": (sum((r - mean) ** 2 for r in rewards) / len(rewards)) ** 0.5 if mean is not None else None,
        "accuracy": sum(v.correct for v in verdicts) / len(verdicts) if verdicts else None,
        "response_tokens": sum(len(r.completion.tokens) for r in rollouts) / len(rollouts),
        "truncated": sum(r.completion.finish == "length" for r in rollouts) / len(rollouts),
        "tool_calls": sum(r.completion.num_tool_calls for r in rollouts) / len(rollouts),
        "equal_reward_groups": sum(_all_equal(group) for group in groups) / len(groups),
        "unscored": sum(r.reward is None for r in rollouts) / len(rollouts),
    }


def _all_equal(group: RolloutGroup) -> bool:
    """Nothing to prefer: equal rewards, and equal rewards of the steps where there are any."""
    rewards = {r.reward for r in group.rollouts if r.reward is not None}
    steps = {reward for r in group.rollouts for reward in r.step_rewards}
    return len(rewards) <= 1 and len(steps) <= 1


class RolloutFile:
    """rollouts.jsonl: lines {"step": ..., "group": a RolloutGroup}."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rewind(self, step: int) -> None:
        """Drop groups at or behind `step`, and a last line cut short by a kill."""
        kept = [line for line in self._whole_lines() if json.loads(line)["step"] < step]
        partial = self.path.with_name(self.path.name + ".partial")
        partial.write_text("".join(kept), encoding="utf-8")
        partial.replace(self.path)

    def append(self, step: int, groups: Sequence[RolloutGroup]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            for group in groups:
                file.write(json.dumps({"step": step, "group": to_json(group)}, ensure_ascii=False) + "\n")

    def _whole_lines(self) -> list[str]:
        if not self.path.is_file():
            return []
        with self.path.open(encoding="utf-8", newline="\n") as file:
            return [line for line in file if line.endswith("\n")]
