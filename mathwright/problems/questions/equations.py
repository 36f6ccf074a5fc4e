"""Equations: one and two unknowns, quadratics with whole roots."""

from __future__ import annotations

from mathwright.problems.questions.base import Draw, Numbers, Worked, question_template
from mathwright.problems.questions.words import Words


def _solve(words: Words, x: str, equation: str) -> str:
    return words.choose(
        f"Solve {equation} for {x}.",
        f"If {equation}, what is {x}?",
        f"Find {x} such that {equation}.",
        f"What is the value of {x} if {equation}?",
    )


def _signed(number: int) -> str:
    return f"+ {number}" if number >= 0 else f"- {-number}"


@question_template("equations", lambda draw: (draw.number(1), draw.number(1)), lowest=0)
def plus_equation(numbers: Numbers, words: Words) -> Worked:
    """x + a = b."""
    value, a = numbers
    x, b = words.letter(), value + a
    return Worked(
        question=_solve(words, x, words.choose(f"{x} + {a} = {b}", f"{a} + {x} = {b}")),
        plan=f"Subtract {a} from both sides.",
        steps=(f"{x} = {b} - {a} = {b - a}",),
        code=f"{x} = {b} - {a}\nprint({x})",
        answer=value,
    )


@question_template("equations", lambda draw: (draw.number(1), draw.number(1)))
def minus_equation(numbers: Numbers, words: Words) -> Worked:
    """x - a = b."""
    a, b = numbers
    x = words.letter()
    return Worked(
        question=_solve(words, x, f"{x} - {a} = {b}"),
        plan=f"Add {a} to both sides.",
        steps=(f"{x} = {b} + {a} = {a + b}",),
        code=f"{x} = {b} + {a}\nprint({x})",
        answer=a + b,
    )


@question_template("equations", lambda draw: (draw.factor(), draw.number(2, 60)))
def times_equation(numbers: Numbers, words: Words) -> Worked:
    """a x = b."""
    a, value = numbers
    x, b = words.letter(), a * value
    return Worked(
        question=_solve(words, x, f"{a}{x} = {b}"),
        plan=f"Divide both sides by {a}.",
        steps=(f"{x} = {b} / {a} = {b // a}",),
        code=f"{x} = {b} // {a}\nprint({x})",
        answer=value,
    )


@question_template("equations", lambda draw: (draw.factor(), draw.number(1, 30), draw.number(1)))
def two_step_equation(numbers: Numbers, words: Words) -> Worked:
    """a x + b = c or a x - b = c."""
    a, value, b = numbers
    x = words.letter()
    sign = words.choose(1, -1) if a * value > b else 1
    c = a * value + sign * b
    return Worked(
        question=_solve(words, x, f"{a}{x} {_signed(sign * b)} = {c}"),
        plan=f"{'Subtract' if sign > 0 else 'Add'} {b}, then divide by {a}.",
        steps=(f"{a}{x} = {c} {_signed(-sign * b)} = {a * value}", f"{x} = {a * value} / {a} = {a * value // a}"),
        code=f"{x} = ({c} {_signed(-sign * b)}) // {a}\nprint({x})",
        answer=value,
    )


def _both_sides(draw: Draw) -> Numbers | None:
    a, c, value, b = draw.factor(3), draw.factor(), draw.number(1, 30), draw.number(1)
    return (a, c, value, b) if a - c >= 2 else None


@question_template("equations", _both_sides, held_out=True)
def both_sides_equation(numbers: Numbers, words: Words) -> Worked:
    """a x + b = c x + d."""
    a, c, value, b = numbers
    x = words.letter()
    d = a * value + b - c * value
    return Worked(
        question=_solve(words, x, f"{a}{x} + {b} = {c}{x} + {d}"),
        plan=f"Bring {x} to the left and the numbers to the right.",
        steps=(
            f"{a}{x} - {c}{x} = {d} - {b}",
            f"{a - c}{x} = {d - b}",
            f"{x} = {d - b} / {a - c} = {(d - b) // (a - c)}",
        ),
        code=f"{x} = ({d} - {b}) // ({a} - {c})\nprint({x})",
        answer=value,
    )


@question_template("equations", lambda draw: (draw.factor(), draw.number(1, 30), draw.number(1, 50)))
def bracket_equation(numbers: Numbers, words: Words) -> Worked:
    """a (x + b) = c."""
    a, value, b = numbers
    x, c = words.letter(), a * (value + b)
    return Worked(
        question=_solve(words, x, f"{a}({x} + {b}) = {c}"),
        plan=f"Divide by {a}, then subtract {b}.",
        steps=(f"{x} + {b} = {c} / {a} = {c // a}", f"{x} = {c // a} - {b} = {c // a - b}"),
        code=f"{x} = {c} // {a} - {b}\nprint({x})",
        answer=value,
    )


def _number_puzzle(draw: Draw) -> Numbers | None:
    return draw.factor(), draw.number(1), draw.number(2, 40)


@question_template("equations", _number_puzzle)
def number_puzzle(numbers: Numbers, words: Words) -> Worked:
    """A number is multiplied and added to: which was it?"""
    a, b, value = numbers
    result = a * value + b
    who = words.person()
    return Worked(
        question=words.choose(
            f"{who} thinks of a number, multiplies it by {a} and adds {b}. The result is {result}. What is the number?",
            f"When a number is multiplied by {a} and {b} is added, the result is {result}. What is the number?",
            f"{a} times a number, plus {b}, makes {result}. Find the number.",
        ),
        plan=f"Undo the steps: subtract {b}, then divide by {a}.",
        steps=(f"{result} - {b} = {result - b}", f"{result - b} / {a} = {(result - b) // a}"),
        code=f"number = ({result} - {b}) // {a}\nprint(number)",
        answer=value,
    )


def _two_numbers(draw: Draw) -> Numbers | None:
    a, b = draw.number(2), draw.number(1)
    return (a, b) if a > b else None


@question_template("equations", _two_numbers)
def sum_and_difference(numbers: Numbers, words: Words) -> Worked:
    """The larger of two numbers from their sum and difference."""
    larger, smaller = numbers
    total, gap = larger + smaller, larger - smaller
    return Worked(
        question=words.choose(
            f"Two numbers have the sum {total} and the difference {gap}. What is the larger number?",
            f"If x + y = {total} and x - y = {gap}, what is x?",
            f"The sum of two numbers is {total}, their difference is {gap}. Find the larger one.",
        ),
        plan="Half of sum plus difference is the larger number.",
        steps=(f"{total} + {gap} = {total + gap}", f"{total + gap} / 2 = {(total + gap) // 2}"),
        code=f"print(({total} + {gap}) // 2)",
        answer=larger,
    )


_ANIMALS = (("chickens", "rabbits"), ("ducks", "goats"), ("hens", "cows"), ("geese", "sheep"))


@question_template("equations", lambda draw: (draw.number(1, 60), draw.number(1, 60)), lowest=1)
def heads_and_legs(numbers: Numbers, words: Words) -> Worked:
    """Animals with two and with four legs."""
    two_legged, four_legged = numbers
    heads, legs = two_legged + four_legged, 2 * two_legged + 4 * four_legged
    birds, mammals = words.choose(*_ANIMALS)
    extra = legs - 2 * heads
    return Worked(
        question=words.choose(
            f"A farm has {birds} and {mammals}. They have {heads} heads and {legs} legs. How many {mammals} are there?",
            f"There are {heads} animals in a yard, {birds} and {mammals}, with {legs} legs in all. "
            f"How many {mammals} are there?",
            f"{heads} {birds} and {mammals} have {legs} legs in total. How many {mammals} are among them?",
        ),
        plan=f"If all had two legs, the legs left over would belong to {mammals}.",
        steps=(f"2 * {heads} = {2 * heads}", f"{legs} - {2 * heads} = {extra}", f"{extra} / 2 = {extra // 2}"),
        code=f"extra = {legs} - 2 * {heads}\nprint(extra // 2)",
        answer=four_legged,
    )


def _system(draw: Draw) -> Numbers | None:
    x, y, a, c = draw.number(1, 30), draw.number(1, 30), draw.factor(), draw.factor()
    return (x, y, a, c) if a > c else None


@question_template("equations", _system, lowest=2)
def linear_system(numbers: Numbers, words: Words) -> Worked:
    """a x + y = b, c x + y = d."""
    x, y, a, c = numbers
    b, d = a * x + y, c * x + y
    diff = a - c
    left = "x" if diff == 1 else f"{diff}x"
    last = () if diff == 1 else (f"x = {b - d} / {diff} = {(b - d) // diff}",)
    return Worked(
        question=words.choose(
            f"If {a}x + y = {b} and {c}x + y = {d}, what is x?",
            f"Solve {a}x + y = {b} and {c}x + y = {d} for x.",
            f"Find x from the two equations {a}x + y = {b} and {c}x + y = {d}.",
        ),
        plan="Subtract the second equation from the first.",
        steps=(f"{left} = {b} - {d} = {b - d}", *last),
        code=f"x = ({b} - {d}) // ({a} - {c})\nprint(x)",
        answer=x,
    )


def _roots(draw: Draw) -> Numbers | None:
    high, low = draw.between(1, (9, 9, 12, 20)[draw.difficulty]), draw.between(-9, 9)
    return (high, low) if high > low and low != 0 and high != -low else None


@question_template("equations", _roots)
def quadratic_root(numbers: Numbers, words: Words) -> Worked:
    """x^2 - s x + p = 0 with whole roots: the larger one."""
    high, low = numbers
    total, product = high + low, high * low
    middle = ("- " if total > 0 else "+ ") + ("" if abs(total) == 1 else str(abs(total))) + "x"
    equation = f"x^2 {middle} {_signed(product)} = 0"
    return Worked(
        question=words.choose(
            f"What is the larger root of {equation}?",
            f"Find the larger solution of {equation}.",
            f"Solve {equation} and give the larger solution.",
        ),
        plan="Find two numbers with this sum and product.",
        steps=(
            f"{high} + {f'({low})' if low < 0 else low} = {total}",
            f"{high} * {f'({low})' if low < 0 else low} = {product}",
            f"x = {low} or x = {high}",
        ),
        code=f"b, c = {-total}, {product}\nprint(int((-b + (b * b - 4 * c) ** 0.5) / 2))",
        answer=high,
    )


@question_template("equations", lambda draw: (draw.number(2, 300),), held_out=True)
def consecutive_numbers(numbers: Numbers, words: Words) -> Worked:
    """Three consecutive numbers from their sum: the smallest."""
    (first,) = numbers
    total = 3 * first + 3
    return Worked(
        question=words.choose(
            f"The sum of three consecutive numbers is {total}. What is the smallest of them?",
            f"Three consecutive whole numbers add up to {total}. Find the smallest.",
            f"Which is the smallest of three consecutive integers whose sum is {total}?",
        ),
        plan="The middle number is a third of the sum.",
        steps=(f"{total} / 3 = {total // 3}", f"{total // 3} - 1 = {total // 3 - 1}"),
        code=f"middle = {total} // 3\nprint(middle - 1)",
        answer=first,
    )
