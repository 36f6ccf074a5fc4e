"""Worked solutions on which trainings are compared: bits per byte of the solution given the problem.

At the sizes where corpora can be compared at all, accuracy on problems is a coin flip, while the likelihood of
reference solutions is steady. Marks that only one benchmark has are no mathematics: GSM8K's calculator calls
(<<1+1=2>>) and its line "#### 2" are taken off.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mathwright.errors import MathwrightError
from mathwright.lm.model import LanguageModel
from mathwright.pretrain.bits import TextScore, continuation_losses, token_bytes
from mathwright.problems.rows import read_rows

QUESTIONS = ("problem", "question", "original_text")
SOLUTIONS = ("solution", "rationale", "answer_analysis", "answer")
"""Fields of problems and of their solutions, the first that is there counts."""
KINDS = ("TeX", "digits", "prose")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A problem with its worked solution."""

    problem: str
    solution: str


def read_targets(path: Path, *, limit: int | None = None, seed: int = 0) -> list[Target]:
    """The problems of a JSONL file (plain or .gz) that have a worked solution; `limit` of them are drawn by the seed.

    Layouts: MATH (problem, solution), GSM8K (question, answer), AQuA (question, rationale), TAL (problem,
    answer_analysis). Raises MathwrightError where none has, and as `problems.rows.read_rows`.
    """
    targets = [target for _, row in read_rows(path) if (target := _target(row)) is not None]
    if not targets:
        raise MathwrightError(
            f"{path}: no row with a problem and a solution",
            hint=f"fields that are read: {', '.join(QUESTIONS)}; {', '.join(SOLUTIONS)}",
        )
    if limit is not None and limit < len(targets):
        chosen = sorted(random.Random(seed).sample(range(len(targets)), limit))
        targets = [targets[i] for i in chosen]
    return targets


def _target(row: Mapping[str, Any]) -> Target | None:
    problem = next((row[name] for name in QUESTIONS if isinstance(row.get(name), str)), "")
    value = next((row[name] for name in SOLUTIONS if row.get(name)), "")
    solution = value[0] if isinstance(value, list) and value else value
    if not isinstance(solution, str) or not problem.strip():
        return None
    solution = re.sub(r"<<[^<>]*>>", "", solution)
    solution = re.sub(r"\n*#### [^\n]*\s*$", "", solution).strip()
    return Target(problem=problem.strip(), solution=solution) if solution else None


# --- kinds of text ----------------------------------------------------------------------------------

_TEX = re.compile(r"\$\$.{0,2000}?\$\$|\$[^$\n]{0,1000}\$|\\\[.{0,2000}?\\\]|\\\(.{0,1000}?\\\)|\\[a-zA-Z]+", re.DOTALL)
_DIGITS = re.compile(r"[0-9=+\-*/%<>×÷]")


def kinds_of(text: str) -> list[str]:
    """The kind of each character: within TeX, a digit or an operator outside of it, or prose."""
    kinds = ["digits" if _DIGITS.match(character) else "prose" for character in text]
    for match in _TEX.finditer(text):
        kinds[match.start() : match.end()] = ["TeX"] * (match.end() - match.start())
    return kinds


# --- scores -----------------------------------------------------------------------------------------


def score_targets(lm: LanguageModel, targets: Sequence[Target], *, context: int) -> list[TextScore]:
    """How well the model predicts each solution behind its problem, split by kinds of text.

    Long ones are cut as in `continuation_losses`; the bytes of what is scored alone are counted.
    """
    sizes = token_bytes(lm.tokenizer)
    asked = [(f"{target.problem}\n", target.solution) for target in targets]
    scores = []
    for target, (tokens, losses) in zip(targets, continuation_losses(lm, asked, context=context), strict=True):
        own = sizes[tokens]
        parts = {kind: [0.0, 0] for kind in KINDS}
        for kind, loss, size in zip(_token_kinds(target.solution, own), losses.tolist(), own.tolist(), strict=True):
            parts[kind][0] += loss
            parts[kind][1] += size
        scores.append(
            TextScore(
                nats=float(losses.sum()),
                num_tokens=len(tokens),
                num_bytes=int(own.sum()),
                parts={kind: (nats, int(size)) for kind, (nats, size) in parts.items()},
            )
        )
    return scores


def _token_kinds(text: str, sizes: np.ndarray) -> Iterator[str]:
    """The kind of the first byte of each token that is not a blank; its last where all are."""
    of_byte = [
        (kind, character.isspace())
        for character, kind in zip(text, kinds_of(text), strict=True)
        for _ in character.encode("utf-8", "replace")
    ]
    start = 0
    for size in sizes.tolist():
        own = of_byte[start : start + size] or [("prose", True)]
        yield next((kind for kind, blank in own if not blank), own[-1][0])
        start += size
