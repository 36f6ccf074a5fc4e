"""What is trained on: worked solutions as tokens, each token marked as the model's own or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mathwright.errors import MathwrightError
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import Example
from mathwright.lm.tokenise import encode_prompt, encode_response
from mathwright.problems.prompts import asked_mode, build_prompt
from mathwright.problems.templates import TemplateRefusesError
from mathwright.problems.turns import Turn, turn
from mathwright.records import Problem, Solution, to_json
from mathwright.run import Stage
from mathwright.sft.conversations import by_conversation, join_turns
from mathwright.sft.conversion.check import HARD_CODED, is_hard_coded
from mathwright.sft.recipe import SFTRecipe

REFUSED = "refused by the chat template"
FENCES = "unbalanced fences"
REASONS = (
    "other format", "over num_examples", "no such problem", "empty", HARD_CODED, "longer than context", REFUSED, FENCES,
)  # fmt: skip
SET_ASIDE = (REFUSED, FENCES)
"""Reasons that lie in the row and not in the recipe: such solutions are written to rejected/."""


def build_examples(
    recipe: SFTRecipe,
    stage: Stage,
    lm: LanguageModel,
    problems: Sequence[Problem],
    solutions: Sequence[Solution],
    *,
    template: str,
    seed: int,
    step: str = "examples",
) -> list[Example]:
    """Tokenised training examples of the wanted formats, in a seeded order; what is left out is counted by reason.

    An example is the prompt (not trained), the parts of the solution (the output of programs not trained) and the end
    token; under the model's own template, to the token what it renders (`problems.turns`). The turns of a conversation
    are one example (`sft.conversations`). Raises MathwrightError where nothing is left to train on, or nothing ends a
    response.
    """
    by_id = {problem.id: problem for problem in problems}
    around = turn(template, lm.tokenizer)
    shuffled = [solutions[i] for i in np.random.default_rng(seed).permutation(len(solutions))]
    examples: list[Example] = []
    dropped: Counter[str] = Counter(dict.fromkeys(REASONS, 0))  # told in this order
    num_joined = num_apart = 0
    for conversation in by_conversation(shuffled, by_id):
        turns: list[Example] = []
        for solution in conversation:
            problem = by_id.get(solution.problem_id)
            made = _reason_against(recipe, solution, problem)
            if not made and recipe.num_examples and len(examples) >= recipe.num_examples:
                made = "over num_examples"
            if not made:
                assert problem is not None
                made = _example(recipe, lm, template, problem, solution, around)
            if isinstance(made, str):
                reason = made.partition(":")[0]
                dropped[reason] += 1
                if reason in SET_ASIDE:
                    stage.reject(step, {"problem_id": solution.problem_id, "solution": to_json(solution)}, made)
            else:
                turns.append(made)
        joined = join_turns(turns)
        num_joined += len(turns) - len(joined)
        num_apart += max(0, len(joined) - 1)
        examples += joined
    num_out = len(solutions) - dropped.total()
    stage.funnel(step, unit="solutions", num_in=len(solutions), num_out=num_out, dropped=dropped)
    _say_joined(stage, num_joined, num_apart)
    if not examples:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in dropped.items() if count)
        raise MathwrightError(
            f"no training example is left of {len(solutions):,} solutions ({reasons})",
            hint="change what most were left out for: sft.formats, sft.context, or the problem sources",
        )
    return examples


def _say_joined(stage: Stage, num_joined: int, num_apart: int) -> None:
    if num_joined:
        stage.say(f"{num_joined:,} earlier turns of conversations are trained in the sequence of a later one")
    if num_apart:
        stage.say(f"{num_apart:,} stand alone: the template writes a turn in other tokens once another one follows")


# --- one solution ---------------------------------------------------------------------------------


def _reason_against(recipe: SFTRecipe, solution: Solution, problem: Problem | None) -> str:
    """Why a solution is not trained on, as far as that is known before it is tokenised; "" where it may be."""
    if solution.format not in recipe.formats:
        return "other format"
    if problem is None:
        return "no such problem"
    if asked_mode(problem, solution.format) != solution.format:
        return "other format"  # words where a program is asked for
    if not any(part.text.strip() for part in solution.parts if part.kind != "output"):
        return "empty"  # it would teach nothing but to end at once
    # where an equation is the answer alone (x=3), its program computes nothing: it would teach to guess
    return HARD_CODED if is_hard_coded(solution.parts, solution.answer) else ""


def _example(
    recipe: SFTRecipe, lm: LanguageModel, template: str, problem: Problem, solution: Solution, around: Turn
) -> Example | str:
    """The tokens of a solution after its prompt, or why they are no example."""
    try:
        prompt = build_prompt(problem, solution.format, template=template, tokenizer=lm.tokenizer).text
    except TemplateRefusesError as error:
        return f"{REFUSED}: {error.message}"
    try:
        segments = around.segments(solution)
    except MathwrightError as error:
        return f"{FENCES}: {error.message}"
    given = encode_prompt(lm.tokenizer, prompt)
    tokens, trained = encode_response(
        lm.tokenizer,
        prompt,
        segments,
        prefix=around.require_prefix(),
        gap=around.gap,
        end=around.end,
    )
    if len(given) + len(tokens) > recipe.context:
        return "longer than context"
    return Example(tokens=(*given, *tokens), trained=(*[False] * len(given), *trained))
