"""What an answer may be, read: the nodes that `structure.py` makes and `compare.py` compares."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from mathwright.answers.numbers import Quantity
from mathwright.answers.units import Unit


@dataclass(frozen=True, slots=True)
class Words:
    """A textual answer; `text` is lower case without punctuation."""

    text: str
    letter: str = ""
    """The letter of a choice, where the answer is one: `C`, `(C)`, `C) 12`."""


@dataclass(frozen=True, slots=True)
class Formula:
    """An expression for the TeX parser."""

    text: str
    unit: Unit | None = None
    percent: bool = False
    qualifier: str = ""
    """Words behind the unit that say more, as those of a quantity."""
    any_of: tuple[str, str] | None = None
    """A letter that stands for every number of a kind, and the kind: n and Z of `n\\pi, n \\in \\mathbb{Z}`."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """Several answers (list: in any order; blanks: answers to several blanks), a tuple, a set.

    array: in square brackets, as programs print what may be a list of answers or a vector.
    """

    kind: Literal["list", "blanks", "tuple", "set", "array"]
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """`[a, b)`; `ambiguous` where `(a, b)` may as well be a point, or `[a, b]` a list."""

    left: Node
    right: Node
    left_open: bool
    right_open: bool
    ambiguous: bool = False
    printed: bool = False
    """In square brackets with a blank behind the comma, as Python prints a list of two."""


@dataclass(frozen=True, slots=True)
class Combination:
    """Sets joined by ∪, ∩ or ∖; or by | a form and the condition of its letters, `\\{2k | k \\in \\mathbb{Z}\\}`."""

    operator: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """`x = 5`, `f(x) = x + 1`, `x > 2`: a name, and the value it has or the set it lies in."""

    name: str
    value: Node
    relation: Relation | None
    """As it was written, where that is a relation of two sides."""


@dataclass(frozen=True, slots=True)
class Relation:
    """Any other chain of relations: `2x + y = 3`, `f(2) < f(1) < f(4)`, `x \\ne 3`."""

    terms: tuple[str, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Residue:
    """`3 \\pmod{7}`: a class of integers."""

    value: Fraction
    modulus: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """`3:2`, `1:2:3`, or a time of day."""

    items: tuple[Node, ...]
    clock: str = ""
    """The time where it looks like one (`10:30`): two such are not compared as ratios."""
    half: str = ""
    """"am" or "pm", where said."""


Node = Quantity | Words | Formula | Sequence | Interval | Combination | Named | Relation | Matrix | Ratio | Residue

NOBODY = "□"
"""The name in `> 5`, which leaves it out."""


def formula_text(node: Node) -> str:
    """A number or formula as TeX."""
    if isinstance(node, Quantity):
        return rf"\frac{{{node.value.numerator}}}{{{node.value.denominator}}}"
    return node.text if isinstance(node, Formula) else ""
