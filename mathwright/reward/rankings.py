"""Samples that the outcome reward model learns from: responses of the SFT model, judged by their answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mathwright.engines.respond import EncodedPrompt, respond
from mathwright.judge import judge_all, sandbox_for, undecided
from mathwright.lm.generate import Generator
from mathwright.lm.model import LanguageModel
from mathwright.lm.tokenise import encode_prompt
from mathwright.problems.prompts import build_prompt
from mathwright.problems.templates import Prompt
from mathwright.records import JudgedGroup, Problem
from mathwright.reward.examples import examples_of, split
from mathwright.reward.recipe import RewardRecipe
from mathwright.run import Stage


def sample_groups(
    recipe: RewardRecipe, stage: Stage, lm: LanguageModel, problems: Sequence[Problem], *, template: str, seed: int
) -> tuple[list[JudgedGroup], list[JudgedGroup]]:
    """Judged responses to some problems, and to those of them that are held out; each group is kept, whatever it holds.

    What of them can be learned from is counted in two funnels, of responses and of rankings, by reason.
    """
    prompts = choose_prompts(recipe, stage, lm, problems, template=template, seed=seed)
    training, heldout = split(prompts, recipe.heldout_share, seed)
    asked = [*training, *heldout]
    num_heldout_responses = recipe.heldout_responses or recipe.responses_per_problem
    counts = [recipe.responses_per_problem] * len(training) + [num_heldout_responses] * len(heldout)
    # the sandbox first: where it cannot isolate programs, that is said before anything is drawn
    with sandbox_for(asked) as sandbox:
        with stage.progress("sampling responses", total=sum(counts)) as advance:
            completions = respond(
                Generator(lm, max_batch=recipe.generation_batch),
                [EncodedPrompt(prompt=p, tokens=tuple(encode_prompt(lm.tokenizer, p.text))) for p in asked],
                recipe.sampling,
                seeds=[[response_seed(seed, p, g) for g in range(count)] for p, count in enumerate(counts)],
                sandbox=sandbox,
                max_tool_rounds=recipe.max_tool_rounds,
                on_finished=advance,
            )
        pairs = [(prompt, c.text) for prompt, row in zip(asked, completions, strict=True) for c in row]
        verdicts = iter(judge_all(pairs, sandbox=sandbox))
    reasons: Counter[str] = Counter()
    groups: list[JudgedGroup] = []
    for prompt, row in zip(asked, completions, strict=True):
        correct: list[bool | None] = []
        for _ in row:
            verdict = next(verdicts)
            if reason := undecided(verdict):
                reasons[f"not judged: {reason}"] += 1
            correct.append(None if reason else verdict.correct)
        groups.append(
            JudgedGroup(
                problem_id=prompt.problem.id,
                prompt=prompt.text,
                responses=tuple(completion.text for completion in row),
                correct=tuple(correct),
                truncated=tuple(completion.finish != "stop" for completion in row),
            )
        )
    _count(recipe, stage, lm, groups, reasons)
    return groups[: len(training)], groups[len(training) :]


def _count(
    recipe: RewardRecipe, stage: Stage, lm: LanguageModel, groups: Sequence[JudgedGroup], reasons: Counter[str]
) -> None:
    examples, dropped = examples_of(groups, lm, leave_out_truncated=recipe.truncation_reward is not None)
    del dropped["not judged"]  # they are told apart by `reasons`
    dropped += reasons
    num_responses = sum(len(group.responses) for group in groups)
    stage.funnel(
        "responses", unit="responses", num_in=num_responses, num_out=num_responses - dropped.total(), dropped=dropped
    )
    without = Counter(reason for e in examples if (reason := e.why_no_pairs))
    stage.funnel(
        "rankings", unit="problems", num_in=len(examples), num_out=len(examples) - without.total(), dropped=without
    )


def choose_prompts(
    recipe: RewardRecipe, stage: Stage, lm: LanguageModel, problems: Sequence[Problem], *, template: str, seed: int
) -> list[Prompt]:
    """Prompts of num_problems of the problems at random, of those whose prompt and response fit the context."""
    room = lm.max_length - recipe.sampling.max_new_tokens
    chosen: list[Prompt] = []
    dropped = {"longer than context": 0, "over num_problems": 0}
    for index in np.random.default_rng(seed).permutation(len(problems)):
        if len(chosen) == recipe.num_problems:
            dropped["over num_problems"] += 1
            continue
        prompt = build_prompt(problems[index], recipe.mode, template=template, tokenizer=lm.tokenizer)
        if len(encode_prompt(lm.tokenizer, prompt.text)) > room:
            dropped["longer than context"] += 1
        else:
            chosen.append(prompt)
    stage.funnel("problems", unit="problems", num_in=len(problems), num_out=len(chosen), dropped=dropped)
    return chosen


def response_seed(*parts: int) -> int:
    """A seed for one response from what names it: (seed, place of the problem, g)."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])
