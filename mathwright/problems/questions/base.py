"""What a question template is, and the registry of all of them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from mathwright.problems.questions.words import Words

Numbers = tuple[int, ...]

_TOP = (9, 20, 100, 1000)
_FACTOR_TOP = (4, 9, 12, 20)

_TEST_SHARE = 5
"""One set of numbers in five belongs to the test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """A question with everything its three solutions are made of."""

    question: str
    plan: str
    """One sentence that says what will be computed."""
    steps: tuple[str, ...]
    """One calculation a line; the last number of the last line is the answer."""
    code: str
    """A program that prints the answer and nothing else."""
    answer: int | Fraction
    """Found by another way than the steps where there is one."""


class Draw:
    """Draws the numbers of one problem at a difficulty."""

    def __init__(self, rng: random.Random, difficulty: int) -> None:
        self.difficulty = difficulty
        self.top = _TOP[difficulty]
        self.rng = rng

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.rng.random() * (high - low + 1))

    def number(self, low: int = 2, high: int | None = None) -> int:
        """A number of the size of this difficulty: up to 9, 20, 100 or 1,000, and up to `high`."""
        top = self.top if high is None else min(self.top, high)
        return self.between(low, max(low, top))

    def factor(self, low: int = 2) -> int:
        """One factor of a product that is done in the head: up to 4, 9, 12 or 20."""
        return self.between(low, _FACTOR_TOP[self.difficulty])

    def of(self, *choices: int) -> int:
        """One of the given numbers."""
        return choices[int(self.rng.random() * len(choices))]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionTemplate:
    """A kind of question. `numbers` draws what it is about (None: draw again), `write` puts it into words."""

    name: str
    subject: str
    lowest: int
    """The lowest difficulty at which the question makes sense."""
    held_out: bool
    """True where the whole template is kept for the test."""
    numbers: Callable[[Draw], Numbers | None]
    write: Callable[[Numbers, Words], Worked]

    def draw(self, draw: Draw, *, max_draws: int = 1000) -> Numbers:
        """Numbers for one problem."""
        for _ in range(max_draws):
            numbers = self.numbers(draw)
            if numbers is not None:
                return numbers
        raise RuntimeError(f"template {self.name} finds no numbers at difficulty {draw.difficulty}")

    def in_test(self, numbers: Numbers) -> bool:
        """Whether problems with these numbers, in whatever order, belong to the test: a property of the numbers alone.

        It depends neither on seed nor phrasing, so a model trained with one seed can be tested with another's problems.
        """
        key = f"{self.name}:{sorted(numbers)}".encode()
        return self.held_out or hashlib.blake2b(key, digest_size=4).digest()[0] % _TEST_SHARE == 0


_TEMPLATES: dict[str, QuestionTemplate] = {}


def question_template(
    subject: str, numbers: Callable[[Draw], Numbers | None], *, lowest: int = 1, held_out: bool = False
) -> Callable[[Callable[[Numbers, Words], Worked]], Callable[[Numbers, Words], Worked]]:
    """Register the decorated function, which writes a problem from its numbers, as a template of its own name."""

    def register(write: Callable[[Numbers, Words], Worked]) -> Callable[[Numbers, Words], Worked]:
        name = write.__name__
        if name in _TEMPLATES:
            raise ValueError(f"two question templates are called {name!r}")
        _TEMPLATES[name] = QuestionTemplate(
            name=name, subject=subject, lowest=lowest, held_out=held_out, numbers=numbers, write=write
        )
        return write

    return register


def registered() -> dict[str, QuestionTemplate]:
    """The templates registered so far, by name."""
    return dict(_TEMPLATES)
