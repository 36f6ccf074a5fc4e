"""Training data of the outcome reward model: responses of the SFT model, ranked by whether their answer is correct."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import numpy as np

from mathwright.judge import judge_all, needs_sandbox, undecided
from mathwright.lm.generate import Generator
from mathwright.lm.model import LanguageModel
from mathwright.lm.tokenise import encode, encode_prompt
from mathwright.problems.prompts import build_prompt
from mathwright.problems.templates import Prompt
from mathwright.records import Problem, Ranking, Verdict
from mathwright.reward.recipe import RewardRecipe
from mathwright.run import Stage
from mathwright.tools.sandbox import Sandbox

CORRECT, WRONG = 0, 1


def sample_rankings(
    recipe: RewardRecipe, stage: Stage, lm: LanguageModel, problems: Sequence[Problem], *, template: str, seed: int
) -> list[Ranking]:
    """Responses to some problems, correct before wrong; what gives no ranking is counted by reason in a funnel."""
    prompts = _choose(recipe, stage, lm, problems, template=template, seed=seed)
    total = len(prompts) * recipe.responses_per_problem
    # the sandbox first: where it cannot isolate programs, that is said before anything is drawn
    with Sandbox() if needs_sandbox(prompts) else nullcontext() as sandbox:
        with stage.progress("sampling responses", total=total) as advance:
            completions = Generator(lm, max_batch=recipe.generation_batch).generate(
                [encode_prompt(lm.tokenizer, prompt.text) for prompt in prompts],
                recipe.sampling,
                seeds=[[_seed(seed, p, g) for g in range(recipe.responses_per_problem)] for p in range(len(prompts))],
                on_finished=advance,
            )
        asked = [(prompt, c.text) for prompt, row in zip(prompts, completions, strict=True) for c in row]
        verdicts = iter(judge_all(asked, sandbox=sandbox))
    rankings: list[Ranking] = []
    no_ranking: Counter[str] = Counter()
    no_use: Counter[str] = Counter()
    for prompt, row in zip(prompts, completions, strict=True):
        ranks: dict[str, int] = {}
        for completion in row:
            verdict = next(verdicts)
            if reason := _useless(lm, prompt.text, completion.text, verdict, ranks):
                no_use[reason] += 1
            else:
                ranks[completion.text] = CORRECT if verdict.correct else WRONG
        if reason := _not_comparable(list(ranks.values())):
            no_ranking[reason] += 1
        else:
            responses, values = tuple(ranks), tuple(ranks.values())
            rankings.append(
                Ranking(problem_id=prompt.problem.id, prompt=prompt.text, responses=responses, ranks=values)
            )
    stage.funnel("responses", unit="responses", num_in=total, num_out=total - no_use.total(), dropped=no_use)
    stage.funnel("rankings", unit="problems", num_in=len(prompts), num_out=len(rankings), dropped=no_ranking)
    return rankings


def _useless(lm: LanguageModel, prompt: str, text: str, verdict: Verdict, earlier: Mapping[str, int]) -> str:
    """Why a response cannot stand in a ranking, or ""."""
    if reason := undecided(verdict):
        return f"not judged: {reason}"
    if text in earlier:
        return "repeated"
    # one more for the end token; text tokenised again may be longer than what was drawn
    num_tokens = len(encode_prompt(lm.tokenizer, prompt)) + len(encode(lm.tokenizer, text, parse_special=False)) + 1
    return "longer than context" if num_tokens > lm.max_length else ""


def _not_comparable(ranks: Sequence[int]) -> str:
    """Why ranks leave nothing to compare, or ""."""
    if not ranks:
        return "no response could be judged"
    if set(ranks) == {CORRECT}:
        return "all correct"
    return "all wrong" if set(ranks) == {WRONG} else ""


def split_rankings(rankings: Sequence[Ranking], heldout_share: float, seed: int) -> tuple[list[Ranking], list[Ranking]]:
    """Rankings to train on and rankings held out, in a seeded order; at least one on each side where there are two."""
    order = [rankings[i] for i in np.random.default_rng(seed).permutation(len(rankings))]
    num_heldout = min(max(1, round(heldout_share * len(order))), len(order) - 1) if heldout_share else 0
    return order[num_heldout:], order[:num_heldout]


def _choose(
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
        prompt = build_prompt(problems[index], "cot", template=template, tokenizer=lm.tokenizer)
        if len(encode_prompt(lm.tokenizer, prompt.text)) > room:
            dropped["longer than context"] += 1
        else:
            chosen.append(prompt)
    stage.funnel("problems", unit="problems", num_in=len(problems), num_out=len(chosen), dropped=dropped)
    return chosen


def _seed(*parts: int) -> int:
    """A seed for one response from (seed, place of the problem, g)."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])
