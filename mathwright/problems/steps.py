r"""The steps of a response: where each ends in its text (§4.1.3; the paper does not say what it takes for a step).

    line         a line each
    paragraph    what stands between blank lines
    step         from one "Step 3" to the next; what stands before the first belongs to it
    sentence     up to a full stop, question or exclamation mark, or the end of a line
    module:name  a function of yours, of the text of a response to the ends of its steps

A step ends after its last character that is no white space; a stretch of nothing but white space is no step. The last
step is the final answer: it ends where the response does. Where a response has more than `max_steps`, what follows
belongs to the last one.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mathwright.errors import MathwrightError
from mathwright.files import write_json
from mathwright.functions import call_each, import_function

RULE_FILE = "steps.json"
"""In the folder of a process reward model: what it was taught to take for a step."""


class Steps(NamedTuple):
    """The steps of a response; none, and why, where it has none."""

    ends: tuple[int, ...]
    """Character offsets into the response (exclusive), ascending; the last is its length."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRule:
    """What is taken for a step."""

    by: str = "line"
    """line, paragraph, step, sentence, or `module:name` of a function of the text that returns character offsets."""
    max_steps: int = 64
    timeout_s: float = 10.0
    """Seconds one call of a function may take; a response for which it takes longer has no steps."""

    def check(self, where: str) -> None:
        """Raise MathwrightError, naming the setting `where`, for a rule that cannot be followed."""
        if self.max_steps < 1:
            raise MathwrightError(
                f"{where}: max_steps is {self.max_steps}", hint="a response has at least one step: the final answer"
            )
        if ":" in self.by:
            import_function(self.by, "step function", takes=("text",))
        elif self.by not in BREAKS:
            raise MathwrightError(
                f"{where}: {self.by!r} is no kind of step",
                hint=f"one of {', '.join(BREAKS)}, or module:name of a function of the text",
            )

    def cut(self, texts: Sequence[str]) -> list[Steps]:
        """The steps of each response. One that is empty has none, nor has one for which a function fails."""
        if ":" not in self.by:
            return [self._capped(text, BREAKS[self.by](text)) for text in texts]
        function = import_function(self.by, "step function")
        outcomes = call_each(function, self.by, [(text,) for text in texts], self.timeout_s)
        return [
            Steps((), outcome.reason) if outcome.reason else self._returned(text, outcome.value)
            for text, outcome in zip(texts, outcomes, strict=True)
        ]

    def _returned(self, text: str, value: Any) -> Steps:
        """What a function returned, checked: nobody knows what steps were meant that overlap or lie outside."""
        wrong = Steps((), f"{self.by} returned {value!r}, which is no list of ascending ends of steps"[:200])
        try:
            given = list(value)
            ends = [int(end) for end in given]
            exact = all(end == number and not isinstance(number, bool) for end, number in zip(ends, given, strict=True))
        except (TypeError, ValueError, OverflowError):
            return wrong
        in_order = all(before < after for before, after in itertools.pairwise([0, *ends, len(text) + 1]))
        return self._capped(text, ends) if ends and exact and in_order else wrong

    def _capped(self, text: str, breaks: Iterable[int]) -> Steps:
        ends: list[int] = []
        start = 0
        for place in breaks:
            if stretch := text[start:place].rstrip():
                ends.append(start + len(stretch))
                start = place
            # white space alone belongs to the step that follows
        if text[start:].strip():
            ends.append(len(text))
        if not ends:
            return Steps((), "an empty response has no steps")
        return Steps((*ends[: min(len(ends), self.max_steps) - 1], len(text)))


def write_rule(folder: Path, rule: StepRule) -> None:
    """Say in a model's folder what it takes for a step."""
    write_json(folder / RULE_FILE, asdict(rule))


def read_rule(folder: Path) -> StepRule:
    """What the process reward model of a folder takes for a step.

    Raises MathwrightError where it does not say, or names a function that is not there.
    """
    path = folder / RULE_FILE
    if not path.is_file():
        raise MathwrightError(
            f"{folder} does not say what a step is: it holds no process reward model",
            hint="train one with reward.kind=process; for a model from elsewhere write "
            f'{{"by": "line"}} into {RULE_FILE} in its folder',
        )
    try:
        rule = StepRule(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise MathwrightError(f"{path}: {error}", hint='write {"by": "line", "max_steps": 64} there') from error
    rule.check(str(path))
    return rule


# --- where a step may end -------------------------------------------------------------------------

_PARAGRAPH = re.compile(r"\n[ \t\r]*+\n")
_MARK = re.compile(r"^[ \t>*#_]*+step[ \t]++\d++(?!\w)|(?<=[.!?;][ \t])step[ \t]++\d++:", re.I | re.M)
_SENTENCE = re.compile(r"""(?<![.!?])[.!?]++["')\]}*$]*+(?=\s)|[。！？]++["”』」）]*+|\n""")
_ABBREVIATION = re.compile(r"(?:\b(?:mr|mrs|ms|dr|st|vs|approx|fig|eq|cf|resp)|e\.g|i\.e)$", re.I)
_LONGEST_ABBREVIATION = 8
_NUMBERING = re.compile(r"\s*+\(?\w{1,2}")


def _lines(text: str) -> list[int]:
    return list(itertools.accumulate(len(line) for line in text.splitlines(keepends=True)))


def _paragraphs(text: str) -> list[int]:
    return [found.end() for found in _PARAGRAPH.finditer(text)]


def _marked(text: str) -> list[int]:
    # what stands before the first mark belongs to the first step
    return [found.start() for found in _MARK.finditer(text)][1:]


def _sentences(text: str) -> list[int]:
    ends: list[int] = []
    start = 0
    for found in _SENTENCE.finditer(text):
        stop = found.start()
        if found[0][0] == ".":
            before = text[max(start, stop - _LONGEST_ABBREVIATION) : stop]
            if _ABBREVIATION.search(before) or (stop - start < 8 and _NUMBERING.fullmatch(text, start, stop)):
                continue  # "Mr. Smith", "1. Add them"
        ends.append(found.end())
        start = found.end()
    return ends


BREAKS: dict[str, Callable[[str], list[int]]] = {
    "line": _lines,
    "paragraph": _paragraphs,
    "step": _marked,
    "sentence": _sentences,
}
"""By kind, the offsets behind which another step may begin."""
