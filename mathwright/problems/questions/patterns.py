"""Sequences and number theory."""

from __future__ import annotations

from math import gcd

from mathwright.problems.questions.base import Draw, Numbers, Worked, question_template
from mathwright.problems.questions.words import Words, ordinal


def _listed(terms: list[int]) -> str:
    return ", ".join(map(str, terms))


@question_template("sequences", lambda draw: (draw.number(1), draw.number(2, 12 if draw.difficulty else 4)), lowest=0)
def next_arithmetic(numbers: Numbers, words: Words) -> Worked:
    """The next term of an arithmetic sequence."""
    first, step = numbers
    terms = [first + step * i for i in range(4)]
    return Worked(
        question=words.choose(
            f"What number comes next: {_listed(terms)}, ...?",
            f"Find the next term of the sequence {_listed(terms)}.",
            f"A sequence goes {_listed(terms)}. What is the next number?",
        ),
        plan="The difference between the terms stays the same.",
        steps=(f"{terms[1]} - {terms[0]} = {step}", f"{terms[3]} + {step} = {terms[3] + step}"),
        code=f"terms = {terms}\nstep = terms[1] - terms[0]\nprint(terms[-1] + step)",
        answer=first + 4 * step,
    )


def _falling(draw: Draw) -> Numbers | None:
    step, last = draw.number(2, 12), draw.number(1)
    return step, last


@question_template("sequences", _falling)
def next_falling(numbers: Numbers, words: Words) -> Worked:
    """The next term of a falling arithmetic sequence."""
    step, last = numbers
    terms = [last + step * i for i in (4, 3, 2, 1)]
    return Worked(
        question=words.choose(
            f"What number comes next: {_listed(terms)}, ...?",
            f"Continue the sequence {_listed(terms)} by one term.",
            f"Which number follows in {_listed(terms)}?",
        ),
        plan="The terms fall by the same number.",
        steps=(f"{terms[0]} - {terms[1]} = {step}", f"{terms[3]} - {step} = {terms[3] - step}"),
        code=f"terms = {terms}\nstep = terms[0] - terms[1]\nprint(terms[-1] - step)",
        answer=last,
    )


def _geometric(draw: Draw) -> Numbers | None:
    first, ratio = draw.number(1, 12), draw.between(2, 2 + draw.difficulty)
    return first, ratio


@question_template("sequences", _geometric)
def next_geometric(numbers: Numbers, words: Words) -> Worked:
    """The next term of a geometric sequence."""
    first, ratio = numbers
    terms = [first * ratio**i for i in range(4)]
    return Worked(
        question=words.choose(
            f"What number comes next: {_listed(terms)}, ...?",
            f"Find the next term of the geometric sequence {_listed(terms)}.",
            f"In the sequence {_listed(terms)} each term is a multiple of the one before. What comes next?",
        ),
        plan="Each term is the one before times the same factor.",
        steps=(f"{terms[1]} / {terms[0]} = {ratio}", f"{terms[3]} * {ratio} = {terms[3] * ratio}"),
        code=f"terms = {terms}\nratio = terms[1] // terms[0]\nprint(terms[-1] * ratio)",
        answer=first * ratio**4,
    )


@question_template("sequences", lambda draw: (draw.number(1, 50), draw.number(2, 12), draw.between(5, 20)))
def nth_arithmetic(numbers: Numbers, words: Words) -> Worked:
    """The n-th term of an arithmetic sequence."""
    first, step, n = numbers
    terms = [first + step * i for i in range(3)]
    return Worked(
        question=words.choose(
            f"A sequence starts {_listed(terms)}, ... and grows by {step} each time. What is its {ordinal(n)} term?",
            f"What is the {ordinal(n)} term of the arithmetic sequence {_listed(terms)}, ...?",
            f"The first term of an arithmetic sequence is {first} and the common difference is {step}. "
            f"Find the {ordinal(n)} term.",
        ),
        plan=f"The first term is followed by {n - 1} steps of {step}.",
        steps=(f"{n - 1} * {step} = {(n - 1) * step}", f"{first} + {(n - 1) * step} = {first + (n - 1) * step}"),
        code=f"first, step, n = {first}, {step}, {n}\nprint(first + (n - 1) * step)",
        answer=list(range(first, first + n * step, step))[-1],
    )


@question_template("sequences", lambda draw: (draw.between(6, (9, 20, 50, 200)[draw.difficulty]),), held_out=True)
def sum_to_n(numbers: Numbers, words: Words) -> Worked:
    """1 + 2 + ... + n."""
    (n,) = numbers
    return Worked(
        question=words.choose(
            f"What is the sum of the whole numbers from 1 to {n}?",
            f"Calculate 1 + 2 + 3 + ... + {n}.",
            f"Add up all whole numbers from 1 to {n}. What is the result?",
        ),
        plan="The sum from 1 to n is n times n + 1 over 2.",
        steps=(f"{n} * {n + 1} = {n * (n + 1)}", f"{n * (n + 1)} / 2 = {n * (n + 1) // 2}"),
        code=f"print(sum(range(1, {n} + 1)))",
        answer=sum(range(n + 1)),
    )


def _missing_term(draw: Draw) -> Numbers | None:
    return draw.number(1), draw.number(2, 12), draw.between(1, 3)


@question_template("sequences", _missing_term)
def missing_term(numbers: Numbers, words: Words) -> Worked:
    """The missing term of an arithmetic sequence."""
    first, step, gap = numbers
    terms = [str(first + step * i) for i in range(5)]
    before, after = terms[gap - 1], terms[gap + 1]
    terms[gap] = "_"
    shown = ", ".join(terms)
    total = int(before) + int(after)
    return Worked(
        question=words.choose(
            f"Which number is missing in the arithmetic sequence {shown}?",
            f"Fill the gap: {shown}. The numbers grow by the same amount each time.",
            f"The numbers {shown} grow evenly. What number belongs in the gap?",
        ),
        plan="The missing number lies in the middle of its neighbors.",
        steps=(f"{before} + {after} = {total}", f"{total} / 2 = {total // 2}"),
        code=f"print(({before} + {after}) // 2)",
        answer=first + step * gap,
    )


def _with_common_divisor(draw: Draw) -> Numbers | None:
    g, a, b = draw.factor(), draw.between(2, 9), draw.between(2, 9)
    return (g * a, g * b) if a != b and gcd(a, b) == 1 else None


def _euclid(a: int, b: int) -> tuple[str, ...]:
    """The divisions of Euclid's algorithm, and the last divisor."""
    high, low = max(a, b), min(a, b)
    steps = []
    while low:
        steps.append(f"{high} = {high // low} * {low} + {high % low}")
        high, low = low, high % low
    return (*steps, f"The last divisor is {high}")


@question_template("number theory", _with_common_divisor)
def greatest_common_divisor(numbers: Numbers, words: Words) -> Worked:
    """gcd by Euclid's algorithm."""
    a, b = numbers
    return Worked(
        question=words.choose(
            f"What is the greatest common divisor of {a} and {b}?",
            f"Find the largest number that divides both {a} and {b}.",
            f"Compute gcd({a}, {b}).",
        ),
        plan="Divide with remainder until the remainder is 0.",
        steps=_euclid(a, b),
        code=f"import math\nprint(math.gcd({a}, {b}))",
        answer=max(d for d in range(1, min(a, b) + 1) if a % d == b % d == 0),
    )


def _for_lcm(draw: Draw) -> Numbers | None:
    a, b = draw.factor(), draw.factor()
    return (a, b) if a != b else None


@question_template("number theory", _for_lcm)
def least_common_multiple(numbers: Numbers, words: Words) -> Worked:
    """lcm from the gcd."""
    a, b = numbers
    g = gcd(a, b)
    return Worked(
        question=words.choose(
            f"What is the least common multiple of {a} and {b}?",
            f"Find the smallest positive number that both {a} and {b} divide.",
            f"One bell rings every {a} minutes, another every {b} minutes. They ring together now. "
            "After how many minutes do they ring together again?",
        ),
        plan="Divide the product by the greatest common divisor.",
        steps=(f"gcd({a}, {b}) = {g}", f"{a} * {b} / {g} = {a * b // g}"),
        code=f"import math\nprint(math.lcm({a}, {b}))",
        answer=next(m for m in range(a, a * b + 1, a) if m % b == 0),
    )


def _with_remainder(draw: Draw) -> Numbers | None:
    divisor, quotient, left = draw.between(3, 12), draw.factor(), draw.between(0, 11)
    return (divisor * quotient + left, divisor) if left < divisor else None


@question_template("number theory", _with_remainder)
def remainder(numbers: Numbers, words: Words) -> Worked:
    """Remainder of a division."""
    total, divisor = numbers
    quotient = total // divisor
    return Worked(
        question=words.choose(
            f"What is the remainder when {total} is divided by {divisor}?",
            f"Divide {total} by {divisor}. What is the remainder?",
            f"What is {total} mod {divisor}?",
        ),
        plan="Subtract the largest multiple of the divisor.",
        steps=(
            f"{quotient} * {divisor} = {quotient * divisor}",
            f"{total} - {quotient * divisor} = {total - quotient * divisor}",
        ),
        code=f"print({total} % {divisor})",
        answer=total % divisor,
    )


@question_template("number theory", lambda draw: (draw.between(100, 9999 if draw.difficulty > 1 else 999),))
def digit_sum(numbers: Numbers, words: Words) -> Worked:
    """Sum of the digits."""
    (number,) = numbers
    digits = str(number)
    return Worked(
        question=words.choose(
            f"What is the sum of the digits of {number}?",
            f"Add the digits of {number}.",
            f"Find the digit sum of {number}.",
        ),
        plan="Add the digits one by one.",
        steps=(f"{' + '.join(digits)} = {sum(map(int, digits))}",),
        code=f"print(sum(int(d) for d in str({number})))",
        answer=sum(number // 10**i % 10 for i in range(len(digits))),
    )


def _multiples(draw: Draw) -> Numbers | None:
    divisor, limit = draw.between(3, 12), draw.number(10) + draw.between(0, 20)
    return (divisor, limit) if limit > 2 * divisor else None


@question_template("number theory", _multiples)
def count_multiples(numbers: Numbers, words: Words) -> Worked:
    """How many multiples lie below a limit."""
    divisor, limit = numbers
    count = limit // divisor
    return Worked(
        question=words.choose(
            f"How many numbers from 1 to {limit} are divisible by {divisor}?",
            f"How many multiples of {divisor} are there from 1 to {limit}?",
            f"Count the whole numbers from 1 to {limit} that {divisor} divides.",
        ),
        plan="Divide the limit by the divisor and round down.",
        steps=(
            f"{count} * {divisor} = {count * divisor}, {count + 1} * {divisor} = {(count + 1) * divisor}",
            f"{count * divisor} <= {limit} < {(count + 1) * divisor}",
            f"There are {count}",
        ),
        code=f"print({limit} // {divisor})",
        answer=sum(n % divisor == 0 for n in range(1, limit + 1)),
    )


@question_template("number theory", _multiples, held_out=True)
def next_multiple(numbers: Numbers, words: Words) -> Worked:
    """The smallest multiple above a number."""
    divisor, number = numbers
    quotient = number // divisor
    return Worked(
        question=words.choose(
            f"What is the smallest multiple of {divisor} greater than {number}?",
            f"Find the first number after {number} that is divisible by {divisor}.",
            f"Which is the next multiple of {divisor} after {number}?",
        ),
        plan="Round the quotient down, add one and multiply.",
        steps=(
            f"{quotient} * {divisor} = {quotient * divisor}",
            f"{quotient * divisor} + {divisor} = {(quotient + 1) * divisor}",
        ),
        code=f"print(({number} // {divisor} + 1) * {divisor})",
        answer=next(n for n in range(number + 1, number + divisor + 1) if n % divisor == 0),
    )


def _divisors(draw: Draw) -> Numbers | None:
    return (draw.between(6, (9, 20, 60, 120)[draw.difficulty]),)


@question_template("number theory", _divisors)
def count_divisors(numbers: Numbers, words: Words) -> Worked:
    """How many positive divisors a number has."""
    (number,) = numbers
    divisors = [d for d in range(1, number + 1) if number % d == 0]
    return Worked(
        question=words.choose(
            f"How many positive divisors does {number} have?",
            f"How many whole numbers divide {number} without remainder?",
            f"Count the positive divisors of {number}.",
        ),
        plan=f"Try every number up to {number}.",
        steps=(f"Divisors: {_listed(divisors)}", f"There are {len(divisors)}"),
        code=f"n = {number}\nprint(sum(n % d == 0 for d in range(1, n + 1)))",
        answer=2 * sum(number % d == 0 for d in range(1, number) if d * d < number)
        + any(d * d == number for d in range(1, number)),
    )
