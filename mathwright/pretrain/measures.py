"""What a model is measured by in pre-training: held-out texts, worked solutions, multiple choice, each by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mathwright.lm.model import LanguageModel
from mathwright.lm.shards import TokenShards
from mathwright.pretrain.bits import Score, TextScore, mean_bits, score_documents
from mathwright.pretrain.choices import Choice, ChoiceScore, score_choices
from mathwright.pretrain.targets import KINDS, Target, score_targets

HELDOUT = "held-out"
"""The measure of the run's own held-out text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What is asked of a model besides to predict held-out text."""

    targets: Mapping[str, Sequence[Target]] = field(default_factory=dict)
    """Worked solutions."""
    choices: Mapping[str, Sequence[Choice]] = field(default_factory=dict)
    """Multiple choice."""


NO_QUESTIONS = Questions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """All that a model is measured by."""

    questions: Questions
    heldout: Mapping[str, TokenShards]
    """Held-out texts."""
    heldout_tokens: int
    """Tokens of each of them that are scored."""
    context: int

    def __bool__(self) -> bool:
        return bool(self.heldout or self.questions.targets or self.questions.choices)

    def score(self, lm: LanguageModel) -> dict[str, Sequence[Score]]:
        """The score of each text, solution and question, by measure."""
        context = self.context
        found: dict[str, Sequence[Score]] = {}
        for name, targets in self.questions.targets.items():
            found[name] = score_targets(lm, targets, context=context)
        for name, choices in self.questions.choices.items():
            found[name] = score_choices(lm, choices, context=context)
        for name, shards in self.heldout.items():
            found[name] = list(score_documents(lm, shards, context=context, max_tokens=self.heldout_tokens))
        return found


def figures(scores: Sequence[Score]) -> dict[str, float]:
    """The mean bits of a measure as `bits`, by kind of text where it was split, and accuracy where it is a choice."""
    found = {"bits": mean_bits(scores)}
    texts = [score for score in scores if isinstance(score, TextScore)]
    for kind in KINDS:
        parts = [score.parts[kind] for score in texts if kind in score.parts]
        if any(size for _, size in parts):
            found[kind] = mean_bits([TextScore(nats=nats, num_tokens=0, num_bytes=size) for nats, size in parts])
    choices = [score for score in scores if isinstance(score, ChoiceScore)]
    if choices:
        found["accuracy"] = sum(score.is_right for score in choices) / len(choices)
    return found


def unit_of(scores: Sequence[Score]) -> str:
    """In what the mean bits of a measure are."""
    return "bits per question" if any(isinstance(score, ChoiceScore) for score in scores) else "bits per byte"


def flat(scores: Mapping[str, Sequence[Score]]) -> dict[str, float]:
    """The figures of all measures by "measure/figure", for the metrics of a training."""
    return {f"{name}/{what}": value for name, own in scores.items() for what, value in figures(own).items()}


# --- in files ---------------------------------------------------------------------------------------


def read_scores(written: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[Score]]:
    """Scores by measure as they were written (`dataclasses.asdict`)."""
    return {name: list(_read(rows)) for name, rows in written.items()}


def _read(rows: Sequence[Mapping[str, Any]]) -> Iterator[Score]:
    for row in rows:
        yield ChoiceScore(**row) if "num_options" in row else TextScore(**row)
