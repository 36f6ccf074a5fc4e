"""Programs and worked lines made from equations.

What is made here is only a proposal: the caller runs each program in the sandbox and keeps those that give the
reference answer (`conversion.check`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mathwright.problems.equations import (
    Binary,
    EquationError,
    Expression,
    Negative,
    Number,
    apply,
    decimal_text,
    evaluate,
    number,
)
from mathwright.sft.conversion.steps import Step, marked_steps, places_of, written_steps

_STRENGTH = {"+": 1, "-": 1, "*": 2, "/": 2, "**": 4}
_SIGN = {"+": "+", "-": "-", "*": "×", "/": "÷", "**": "^"}
_NOISE = 1e-6
"""What should be zero is less than this in floats, and not zero."""
FLOAT_PLACES = 6
"""An answer with more places is computed in fractions: floats would show it as 5e-07, or not at all."""


def program_from_solution(question: str, solution: str, answer: str) -> str | None:
    """A program of the equations in a worked solution, a line each; None where no equation gives the answer.

    A number that an earlier line has computed, and the question does not name, is that line's variable (`_Results`).
    The program ends with the line that states the answer. Marks are tried first, then the equations in the words.
    """
    wanted = number(answer)
    if wanted is None:
        return None
    for steps in (marked_steps(solution), written_steps(solution)):
        # a mark such as <<7=7>> computes nothing: a program that ended with it would know its answer
        computing = [i for i, step in enumerate(steps) if not isinstance(step.expression, Number)]
        for scale in (1, 100) if wanted else (1,):
            if ends := [i for i in computing if steps[i].value * scale == wanted]:
                return _program(question, steps[: ends[-1] + 1], scale)
    return None


def program_from_equation(expression: Expression, answer: Fraction) -> str:
    """A program that computes one expression and prints its value.

    In whole numbers and floats where the value is a finite decimal that floats show, else exactly, in fractions.
    """
    computed = _computed(expression)
    vanishes = isinstance(computed, float) and abs(computed) < _NOISE and computed and not evaluate(expression)
    if (places_of(answer) or 0) > FLOAT_PLACES or decimal_text(answer) is None or vanishes:
        return f"from fractions import Fraction\n\nanswer = {_exact(expression)}\nprint(answer)\n"
    return f"answer = {_python(expression)}\nprint({_shown('answer', computed)})\n"


def worked_lines(expression: Expression) -> list[str]:
    """The operations of an expression in the order they are done, a line each: `16 × 2 = 32`."""
    lines: list[str] = []

    def work(node: Expression) -> Fraction:
        if isinstance(node, Number):
            return node.value
        if isinstance(node, Negative):
            return -work(node.inside)
        left, right = work(node.left), work(node.right)
        value = apply(node.operator, left, right)
        if not _is_number(node):
            lines.append(f"{_written(left)} {_SIGN[node.operator]} {_written(right)} = {_written(value)}")
        return value

    work(expression)
    return lines


# --- steps ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Named:
    """A variable in the place of a number, and what Python's own arithmetic gives it."""

    name: str
    computed: float | int


_Node = Expression | _Named
COMMON = frozenset(map(Fraction, [*range(13), 24, 30, 31, 50, 52, 60, 100, 365, 1000]))
"""Numbers that stand in equations for themselves: small ones, hours of a day, a hundred percent."""


NAMED = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "dozen": 12, "hundred": 100, "once": 1, "twice": 2, "thrice": 3, "double": 2,
    "triple": 3, "half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
    "eighth": 8, "ninth": 9, "tenth": 10,
}  # fmt: skip
"""Numbers as words of a question name them; of a fraction its denominator."""


class _Results:
    """What the lines so far have computed, by value, and what of it later lines have used.

    A number may be a result by chance only. So what the question names, in figures or in words, is never taken for a
    result. Each result is used once before any is used twice, the last one first: a line goes on from the one before
    it more often than from another one that came to the same. Twice is used only what is no common number, or is added
    or taken away: that four is rather the four weeks of a month than the four from above, but months are no summands.
    Within one line results that came to the same take turns, and one of them is never its own factor: in
    110 * (110 / 100) the second one is a percentage.
    """

    def __init__(self, question: str) -> None:
        self._given = {Fraction(text.replace(",", "")) for text in re.findall(r"\d[\d,]*\.?\d*(?<=\d)", question)}
        self._given |= {
            Fraction(NAMED[word])
            for found in re.findall(r"[a-z]+", question.lower())
            for word in (found, found.removesuffix("s"))
            if word in NAMED
        }
        self._known: dict[Fraction, list[_Named]] = {}
        self._used: set[str] = set()
        self._in_line: set[str] = set()

    def add(self, value: Fraction, named: _Named) -> None:
        """A line has computed a value; one that the question names is never taken for it."""
        if value not in self._given:
            self._known.setdefault(value, []).append(named)

    def line(self, expression: Expression) -> _Node:
        """The expression of a further line with variables for the numbers that earlier lines have computed."""
        self._in_line = set()
        return self._linked(expression)

    def _linked(self, node: Expression, *, is_summand: bool = False) -> _Node:
        if isinstance(node, Number):
            return self._variable(node, is_summand) or node
        if isinstance(node, Negative):
            return Negative(self._linked(node.inside, is_summand=is_summand))  # type: ignore[arg-type]
        is_sum = node.operator in "+-"
        left = self._linked(node.left, is_summand=is_sum)
        is_hundredth = node.operator == "/" and node.right == Number("100")
        right = node.right if is_hundredth else self._linked(node.right, is_summand=is_sum)
        return Binary(node.operator, left, right)  # type: ignore[arg-type]

    def _variable(self, number: Number, is_summand: bool) -> _Named | None:
        results = self._known.get(number.value, [])
        chosen = next((named for named in reversed(results) if named.name not in self._used), None)
        if chosen is None and (is_summand or number.value not in COMMON):
            elsewhere = [named for named in results if named.name not in self._in_line]
            chosen = next(reversed(elsewhere or (results if is_summand else [])), None)
        if chosen is not None:
            self._used.add(chosen.name)
            self._in_line.add(chosen.name)
        return chosen


def _program(question: str, steps: Sequence[Step], scale: int = 1) -> str:
    results = _Results(question)
    lines: list[str] = []
    named = _Named("", 0)
    for place, step in enumerate(steps, start=1):
        if not lines or step.line != steps[place - 2].line:
            lines.append(f"# {step.line}")
        linked = results.line(step.expression)
        source, computed = _rounded(_python(linked), _computed(linked), step)
        named = _Named(f"step_{place}", computed)
        lines.append(f"{named.name} = {source}")
        results.add(step.value, named)
    name, computed = (named.name, named.computed) if scale == 1 else (f"{named.name} * {scale}", named.computed * scale)
    return "\n".join([*lines, f"print({_shown(name, computed)})", ""])


def _rounded(source: str, computed: float | int, step: Step) -> tuple[str, float | int]:
    if step.rounding == "down":
        return f"int({source})", int(computed)
    if step.rounding == "up":
        return f"int({source}) + 1", int(computed) + 1
    if step.rounding == "rounded":
        places = places_of(step.value) or 0
        return f"round({source}, {places})" if places else f"round({source})", float(step.value)
    return source, computed


def _shown(name: str, computed: float | int) -> str:
    """What is printed: the variable, of a float twelve digits, not 24.0 or 0.30000000000000004.

    The same for a whole number and any other: who learns to round where the answer is whole rounds where it is not.
    """
    return name if isinstance(computed, int) else f'f"{{{name}:.12g}}"'


# --- writing --------------------------------------------------------------------------------------


def _python(node: _Node) -> str:
    """The expression as Python."""
    match node:
        case _Named(name=name):
            return name
        case Number(text=text):
            return _literal(text)
        case Negative(inside=inside):
            return f"-{_wrapped(inside, 3)}"
        case Binary(operator=operator, left=left, right=right):
            strength = _STRENGTH[operator]
            first = _wrapped(left, strength + (operator == "**"))
            # what stands right keeps its parentheses: floats depend on the order of operations
            return f"{first} {operator} {_wrapped(right, strength + 1)}"


def _wrapped(node: _Node, strength: int) -> str:
    """An operand, in parentheses where it binds less than `strength`."""
    text = _python(node)
    if isinstance(node, Binary):
        return f"({text})" if _STRENGTH[node.operator] < strength else text
    return f"({text})" if isinstance(node, Negative) and strength > 1 else text


def _literal(text: str) -> str:
    """A number as Python writes it: no leading zeros, and a digit before the point."""
    whole, point, places = text.partition(".")
    return (whole.lstrip("0") or "0") + point + places


def _computed(node: _Node) -> float | int:
    """What Python gives for `_python`: whole numbers stay whole but under division."""
    match node:
        case _Named(computed=computed):
            return computed
        case Number(text=text):
            return float(text) if "." in text else int(text)
        case Negative(inside=inside):
            return -_computed(inside)
        case Binary(operator=operator, left=left, right=right):
            first, second = _computed(left), _computed(right)
            try:
                return _apply(operator, first, second)
            except (ArithmeticError, ValueError) as error:
                raise EquationError(f"Python cannot compute it: {error}") from error


def _apply(operator: str, first: float | int, second: float | int) -> float | int:
    if operator == "+":
        return first + second
    if operator == "-":
        return first - second
    if operator == "*":
        return first * second
    return first / second if operator == "/" else first**second


def _exact(node: Expression) -> str:
    """The expression as Python with fractions, which loses nothing."""
    match node:
        case Number(text=text):
            return f'Fraction("{_literal(text)}")' if "." in text else f"Fraction({_literal(text)})"
        case Negative(inside=inside):
            return f"-({_exact(inside)})"
        case Binary(operator="/", left=Number(text=top), right=Number(text=bottom)) if (
            top.isdigit() and bottom.isdigit()
        ):
            return f"Fraction({_literal(top)}, {_literal(bottom)})"
        case Binary(operator=operator, left=left, right=right):
            sides = [f"({_exact(n)})" if _is_loose(n, operator) else _plain_exact(n, operator) for n in (left, right)]
            return f"{sides[0]} {operator} {sides[1]}"


def _is_loose(node: Expression, operator: str) -> bool:
    """Whether parentheses are needed within an operation: always, but around a sum's own products."""
    simple = isinstance(node, Number) or _is_fraction(node)
    return not simple and not (operator in "+-" and isinstance(node, Binary) and node.operator in "*/")


def _plain_exact(node: Expression, operator: str) -> str:
    return _literal(node.text) if isinstance(node, Number) and operator == "**" else _exact(node)


def _is_fraction(node: Expression) -> bool:
    match node:
        case Binary(operator="/", left=Number(text=top), right=Number(text=bottom)):
            return top.isdigit() and bottom.isdigit()
    return False


def _is_number(node: Binary) -> bool:
    """Whether an operation only writes a number: a proper fraction, a mixed number, a percentage."""
    match node:
        case Binary(operator="/", left=Number(), right=Number(text="100")):
            return True
        case Binary(operator="/", left=Number(text=top), right=Number(text=bottom)):
            return top.isdigit() and bottom.isdigit() and int(top) < int(bottom)
        case Binary(operator="+", left=Number(text=whole), right=Binary() as part):
            return whole.isdigit() and _is_fraction(part) and 0 < evaluate(part) < 1
    return False


def _written(value: Fraction) -> str:
    text = decimal_text(value)
    text = str(value) if text is None or len(text) > 12 else text
    return f"({text})" if value < 0 or "/" in text else text
