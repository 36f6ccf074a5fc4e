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
FLOAT_PLACES = 6
"""An answer with more places is computed in fractions: floats would show it as 5e-07, or not at all."""


def program_from_solution(question: str, solution: str, answer: str) -> str | None:
    """A program of the equations in a worked solution, a line each; None where no equation gives the answer.

    A number that an earlier line has computed, and the question does not name, is that line's variable. The program
    ends with the line that states the answer. Marks are tried first, then the equations in the words.
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

    In whole numbers and floats where the value is a finite decimal, else exactly, in fractions.
    """
    if (places_of(answer) or 0) > FLOAT_PLACES or decimal_text(answer) is None:
        return f"from fractions import Fraction\n\nanswer = {_exact(expression)}\nprint(answer)\n"
    return f"answer = {_python(expression, {})}\nprint({_shown('answer', _computed(expression, {}), answer)})\n"


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
    """A variable, and what Python's own arithmetic gives it."""

    name: str
    computed: float | int


def _program(question: str, steps: Sequence[Step], scale: int = 1) -> str:
    given = {Fraction(text.replace(",", "")) for text in re.findall(r"\d[\d,]*\.?\d*(?<=\d)", question)}
    known: dict[Fraction, _Named] = {}
    lines: list[str] = []
    named = _Named("", 0)
    for place, step in enumerate(steps, start=1):
        if not lines or step.line != steps[place - 2].line:
            lines.append(f"# {step.line}")
        source, computed = _python(step.expression, known), _computed(step.expression, known)
        source, computed = _rounded(source, computed, step)
        named = _Named(f"step_{place}", computed)
        lines.append(f"{named.name} = {source}")
        if step.value not in given:
            known[step.value] = named
    wanted = steps[-1].value * scale
    name, computed = (named.name, named.computed) if scale == 1 else (f"{named.name} * {scale}", named.computed * scale)
    return "\n".join([*lines, f"print({_shown(name, computed, wanted)})", ""])


def _rounded(source: str, computed: float | int, step: Step) -> tuple[str, float | int]:
    if step.rounding == "down":
        return f"int({source})", int(computed)
    if step.rounding == "up":
        return f"int({source}) + 1", int(computed) + 1
    if step.rounding == "rounded":
        places = places_of(step.value) or 0
        return f"round({source}, {places})" if places else f"round({source})", float(step.value)
    return source, computed


def _shown(name: str, computed: float | int, wanted: Fraction) -> str:
    """What is printed: the variable, rounded where floats would show 24.0 or 0.30000000000000004."""
    if isinstance(computed, int):
        return name
    if wanted.denominator == 1:
        return f"round({name})"
    places = places_of(wanted)
    return name if places is None or Fraction(repr(computed)) == wanted else f"round({name}, {places})"


# --- writing --------------------------------------------------------------------------------------


def _python(node: Expression, known: dict[Fraction, _Named]) -> str:
    """The expression as Python, with variables for the values in `known`."""
    match node:
        case Number(text=text):
            if (named := known.get(node.value)) is not None:
                return named.name
            return _literal(text)
        case Negative(inside=inside):
            return f"-{_wrapped(inside, 3, known)}"
        case Binary(operator=operator, left=left, right=right):
            strength = _STRENGTH[operator]
            first = _wrapped(left, strength + (operator == "**"), known)
            # what stands right keeps its parentheses: floats depend on the order of operations
            return f"{first} {operator} {_wrapped(right, strength + 1, known)}"


def _wrapped(node: Expression, strength: int, known: dict[Fraction, _Named]) -> str:
    """An operand, in parentheses where it binds less than `strength`."""
    text = _python(node, known)
    if isinstance(node, Binary):
        return f"({text})" if _STRENGTH[node.operator] < strength else text
    return f"({text})" if isinstance(node, Negative) and strength > 1 else text


def _literal(text: str) -> str:
    """A number as Python writes it: no leading zeros, and a digit before the point."""
    whole, point, places = text.partition(".")
    return (whole.lstrip("0") or "0") + point + places


def _computed(node: Expression, known: dict[Fraction, _Named]) -> float | int:
    """What Python gives for `_python`: whole numbers stay whole but under division."""
    match node:
        case Number(text=text):
            if (named := known.get(node.value)) is not None:
                return named.computed
            return float(text) if "." in text else int(text)
        case Negative(inside=inside):
            return -_computed(inside, known)
        case Binary(operator=operator, left=left, right=right):
            first, second = _computed(left, known), _computed(right, known)
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
