"""Pairs of a better and a worse response from a file, the data of DPO where people or another judge have chosen.

    {"question": "What is 2 + 3?", "chosen": "2 + 3 = 5", "rejected": "2 + 3 = 6"}
    {"prompt": "Question: What is 2 + 3?\\nAnswer:", "chosen": " 5", "rejected": " 6"}

A `question` is put through the recipe's template and mode, and a response stands after it as a worked solution would; a
`prompt` is taken as it stands, and so are the responses behind it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mathwright.errors import MathwrightError
from mathwright.lm.model import LanguageModel
from mathwright.lm.tokenise import encode_prompt, encode_response
from mathwright.problems.prompts import build_prompt
from mathwright.problems.turns import Turn, turn
from mathwright.records import Problem, Rollout, RolloutGroup, Verdict, VerdictStatus
from mathwright.rl.recipe import RLRecipe
from mathwright.rl.solutions import Given, given_completion
from mathwright.run import Stage

RESPONSES: tuple[tuple[str, VerdictStatus], ...] = (("chosen", "correct"), ("rejected", "incorrect"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs(Given):
    """Each a group of two responses, of which the first counts as correct and the second as wrong."""

    items: ClassVar[str] = "pairs"

    @classmethod
    def prepare(
        cls, recipe: RLRecipe, lm: LanguageModel, path: str | Path, *, template: str, seed: int, stage: Stage
    ) -> Pairs:
        """Those whose responses differ and fit max_new_tokens and the context; the others are counted.

        A step takes problems_per_step of them. Raises MathwrightError where the file or a line of it cannot be read, or
        no pair is left.
        """
        around = turn(template, lm.tokenizer)
        groups: list[RolloutGroup] = []
        dropped = {"equal responses": 0, "longer than max_new_tokens": 0, "longer than context": 0}
        num_read = 0
        for number, row in enumerate(read_pairs(path), start=1):
            num_read = number
            group = _group(recipe, lm, number, row, template, around)
            longest = max(len(rollout.completion.tokens) for rollout in group.rollouts)
            if group.rollouts[0].completion.tokens == group.rollouts[1].completion.tokens:
                dropped["equal responses"] += 1
            elif longest > recipe.sampling.max_new_tokens:
                dropped["longer than max_new_tokens"] += 1
            elif len(group.prompt_tokens) + longest > lm.max_length:
                dropped["longer than context"] += 1
            else:
                groups.append(group)
        stage.funnel("pairs", unit="pairs", num_in=num_read, num_out=len(groups), dropped=dropped)
        if not groups:
            raise MathwrightError(
                f"{path}: no pair of {num_read} is left to train on",
                hint="look at the counts above, and at rl.sampling.max_new_tokens",
            )
        return cls(groups=groups, num_per_step=recipe.problems_per_step, seed=seed)


def read_pairs(path: str | Path) -> Iterator[Mapping[str, str]]:
    """The rows of a file of pairs. Raises MathwrightError, naming the line, for one that is no pair."""
    path = Path(path)
    if not path.is_file():
        raise MathwrightError(f"rl.pairs: {path}: no such file", hint="name a file of JSON lines (docs/rl.md)")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise _bad_line(path, number, f"no JSON: {error}") from error
            if wrong := _what_is_wrong(row):
                raise _bad_line(path, number, wrong)
            yield row


def _what_is_wrong(row: Any) -> str:
    if not isinstance(row, dict):
        return f"an object is expected, not {type(row).__name__}"
    if ("question" in row) == ("prompt" in row):
        return "it needs either a question or a prompt"
    for name in ("question" if "question" in row else "prompt", "chosen", "rejected"):
        if name not in row:
            return f"it has no {name}"
        if not isinstance(row[name], str):
            return f"{name} is a {type(row[name]).__name__}, not a text"
    return ""


def _bad_line(path: Path, number: int, wrong: str) -> MathwrightError:
    return MathwrightError(
        f"{path}:{number}: not a pair: {wrong}",
        hint='a line is {"question": ..., "chosen": ..., "rejected": ...}, all of them texts',
    )


def _group(
    recipe: RLRecipe, lm: LanguageModel, number: int, row: Mapping[str, str], template: str, around: Turn
) -> RolloutGroup:
    asked = row.get("question", row.get("prompt", ""))
    problem = Problem(id=f"pair-{number}", question=asked, answer="", source="pairs", split="train")
    if "question" in row:
        prompt = build_prompt(problem, recipe.mode, template=template, tokenizer=lm.tokenizer).text
        prefix, gap = around.require_prefix(), around.gap
    else:
        prompt, prefix, gap = asked, "", ""
    rollouts = []
    for name, status in RESPONSES:
        segments: Sequence[tuple[str, bool]] = [(row[name], True)]
        tokens, own = encode_response(lm.tokenizer, prompt, segments, prefix=prefix, gap=gap, end=around.end)
        verdict = Verdict(status=status, prediction="", reference="", method="pair")
        completion = given_completion(tokens, own, prefix + row[name])
        rollouts.append(Rollout(completion=completion, verdict=verdict, reward=None))
    return RolloutGroup(
        problem=problem,
        prompt=prompt,
        prompt_tokens=tuple(encode_prompt(lm.tokenizer, prompt)),
        rollouts=tuple(rollouts),
    )
