"""Fractions, percentages, ratios and averages."""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm

from mathwright.problems.questions.base import Draw, Numbers, Worked, question_template
from mathwright.problems.questions.words import Words

_FRACTION = "from fractions import Fraction\n"


def _denominator(draw: Draw) -> int:
    return draw.between(2, (5, 9, 12, 20)[draw.difficulty])


def _what_is(words: Words, expression: str) -> str:
    return words.choose(
        f"What is {expression}? Give a fraction in lowest terms.",
        f"Compute {expression} as a fraction in lowest terms.",
        f"Calculate {expression} and simplify.",
    )


def _reduced(numerator: int, denominator: int) -> str:
    """`6/8 = 3/4`, or `3/4` alone where nothing can be reduced."""
    value = Fraction(numerator, denominator)
    return f"{numerator}/{denominator}" if value.denominator == denominator else f"{numerator}/{denominator} = {value}"


def _reducible(draw: Draw) -> Numbers | None:
    b, k = _denominator(draw), draw.between(2, 9)
    a = draw.between(1, b)
    return (a, b, k) if a < b and gcd(a, b) == 1 else None


@question_template("fractions", _reducible)
def simplify_fraction(numbers: Numbers, words: Words) -> Worked:
    """Lowest terms."""
    a, b, k = numbers
    n, d = a * k, b * k
    return Worked(
        question=words.choose(
            f"Simplify the fraction {n}/{d}.", f"Write {n}/{d} in lowest terms.", f"Reduce {n}/{d} to lowest terms."
        ),
        plan="Divide numerator and denominator by their greatest common divisor.",
        steps=(f"{n} / {k} = {n // k}", f"{d} / {k} = {d // k}", f"{n}/{d} = {n // k}/{d // k}"),
        code=f"{_FRACTION}print(Fraction({n}, {d}))",
        answer=Fraction(n, d),
    )


def _same_denominator(draw: Draw) -> Numbers | None:
    d = draw.between(3, (5, 9, 12, 30)[draw.difficulty])
    a, b = draw.between(1, d - 1), draw.between(1, d - 1)
    return (a, b, d) if (a + b) % d else None


@question_template("fractions", _same_denominator)
def add_like_fractions(numbers: Numbers, words: Words) -> Worked:
    """Fractions with one denominator."""
    a, b, d = numbers
    return Worked(
        question=_what_is(words, f"{a}/{d} + {b}/{d}"),
        plan="Add the numerators.",
        steps=(f"{a} + {b} = {a + b}", f"{a}/{d} + {b}/{d} = {_reduced(a + b, d)}"),
        code=f"{_FRACTION}print(Fraction({a}, {d}) + Fraction({b}, {d}))",
        answer=Fraction(a, d) + Fraction(b, d),
    )


def _two_fractions(draw: Draw) -> Numbers | None:
    b, d = _denominator(draw), _denominator(draw)
    a, c = draw.between(1, b), draw.between(1, d)
    proper = a < b and c < d and gcd(a, b) == 1 and gcd(c, d) == 1 and b != d
    whole = (a * d + c * b) % (b * d) == 0
    return (a, b, c, d) if proper and not whole else None


@question_template("fractions", _two_fractions)
def add_fractions(numbers: Numbers, words: Words) -> Worked:
    """Fractions with two denominators."""
    a, b, c, d = numbers
    m = lcm(b, d)
    p, q = a * m // b, c * m // d
    return Worked(
        question=_what_is(words, f"{a}/{b} + {c}/{d}"),
        plan="Bring both to a common denominator and add.",
        steps=(f"{a}/{b} = {p}/{m}", f"{c}/{d} = {q}/{m}", f"{p}/{m} + {q}/{m} = {_reduced(p + q, m)}"),
        code=f"{_FRACTION}print(Fraction({a}, {b}) + Fraction({c}, {d}))",
        answer=Fraction(a, b) + Fraction(c, d),
    )


def _larger_first(draw: Draw) -> Numbers | None:
    numbers = _two_fractions(draw)
    return numbers if numbers and numbers[0] * numbers[3] > numbers[2] * numbers[1] else None


@question_template("fractions", _larger_first, held_out=True)
def subtract_fractions(numbers: Numbers, words: Words) -> Worked:
    """The difference of two fractions, positive."""
    a, b, c, d = numbers
    m = lcm(b, d)
    p, q = a * m // b, c * m // d
    return Worked(
        question=_what_is(words, f"{a}/{b} - {c}/{d}"),
        plan="Bring both to a common denominator and subtract.",
        steps=(f"{a}/{b} = {p}/{m}", f"{c}/{d} = {q}/{m}", f"{p}/{m} - {q}/{m} = {_reduced(p - q, m)}"),
        code=f"{_FRACTION}print(Fraction({a}, {b}) - Fraction({c}, {d}))",
        answer=Fraction(a, b) - Fraction(c, d),
    )


@question_template("fractions", _two_fractions)
def multiply_fractions(numbers: Numbers, words: Words) -> Worked:
    """Numerators and denominators are multiplied."""
    a, b, c, d = numbers
    return Worked(
        question=_what_is(words, f"{a}/{b} * {c}/{d}"),
        plan="Multiply the numerators and the denominators.",
        steps=(
            f"{a} * {c} = {a * c}",
            f"{b} * {d} = {b * d}",
            f"{a}/{b} * {c}/{d} = {_reduced(a * c, b * d)}",
        ),
        code=f"{_FRACTION}print(Fraction({a}, {b}) * Fraction({c}, {d}))",
        answer=Fraction(a, b) * Fraction(c, d),
    )


def _part_of(draw: Draw) -> Numbers | None:
    b, k = _denominator(draw), draw.factor()
    a = draw.between(1, b)
    return (a, b, b * k) if a < b and gcd(a, b) == 1 else None


@question_template("fractions", _part_of)
def fraction_of(numbers: Numbers, words: Words) -> Worked:
    """A fraction of a whole number."""
    a, b, total = numbers
    who, thing = words.person(), words.thing()
    part = total // b
    return Worked(
        question=words.choose(
            f"What is {a}/{b} of {total}?",
            f"{who} has {total} {thing}, and {a}/{b} of them are red. How many {thing} are red?",
            f"{who} sold {a}/{b} of {who.her} {total} {thing}. How many {thing} did {who.she} sell?",
        ),
        plan=f"Divide by {b}, then multiply by {a}.",
        steps=(f"{total} / {b} = {part}", f"{part} * {a} = {part * a}"),
        code=f"print({total} // {b} * {a})",
        answer=Fraction(a * total, b),
    )


@question_template("fractions", _part_of)
def fraction_left(numbers: Numbers, words: Words) -> Worked:
    """What remains when a fraction is gone."""
    a, b, total = numbers
    who, thing = words.person(), words.thing()
    gone = total // b * a
    return Worked(
        question=words.choose(
            f"{who} has {total} {thing} and gives away {a}/{b} of them. How many {thing} are left?",
            f"Of {total} {thing}, {a}/{b} are lost. How many {thing} remain?",
            f"{who} had {total} {thing} but used {a}/{b} of them. How many {thing} does {who.she} still have?",
        ),
        plan="Find the part that is gone, then subtract it.",
        steps=(f"{total} / {b} * {a} = {gone}", f"{total} - {gone} = {total - gone}"),
        code=f"gone = {total} // {b} * {a}\nprint({total} - gone)",
        answer=total * (1 - Fraction(a, b)),
    )


def _percent(draw: Draw) -> Numbers | None:
    if draw.difficulty < 2:
        percent, base = draw.of(10, 20, 25, 50), draw.number(2) * draw.of(5, 10)
    else:
        percent, base = 5 * draw.between(1, 19), 10 * draw.number(2, 90)
    return (percent, base) if percent * base % 100 == 0 else None


@question_template("percentages", _percent)
def percent_of(numbers: Numbers, words: Words) -> Worked:
    """p% of n."""
    percent, base = numbers
    who = words.person()
    part = percent * base // 100
    return Worked(
        question=words.choose(
            f"What is {percent}% of {base}?",
            f"A club has {base} members, and {percent}% of them are children. How many children is that?",
            f"{who} saves {percent}% of ${base}. How many dollars is that?",
        ),
        plan=f"Multiply by {percent} and divide by 100.",
        steps=(f"{base} * {percent} = {base * percent}", f"{base * percent} / 100 = {part}"),
        code=f"print({base} * {percent} // 100)",
        answer=Fraction(percent, 100) * base,
    )


@question_template("percentages", _percent)
def percent_increase(numbers: Numbers, words: Words) -> Worked:
    """n grows by p%."""
    percent, base = numbers
    part = percent * base // 100
    thing = (
        words.choose("bicycle", "camera", "phone") if base > 100 else words.choose("ticket", "meal", "lamp", "shirt")
    )
    return Worked(
        question=words.choose(
            f"The price of a {thing} rises from ${base} by {percent}%. What is it now in dollars?",
            f"What is {base} increased by {percent}%?",
            f"A club had {base} members and grew by {percent}%. How many members does it have now?",
        ),
        plan=f"Find {percent}% and add it.",
        steps=(f"{base} * {percent} / 100 = {part}", f"{base} + {part} = {base + part}"),
        code=f"base = {base}\nprint(base + base * {percent} // 100)",
        answer=Fraction(100 + percent, 100) * base,
    )


@question_template("percentages", _percent)
def discount(numbers: Numbers, words: Words) -> Worked:
    """n less p%."""
    percent, base = numbers
    part = percent * base // 100
    who, ware = words.person(), words.choose("coat", "jacket", "bag", "watch", "pair of shoes")
    return Worked(
        question=words.choose(
            f"A {ware} costs ${base}. In a sale it is {percent}% cheaper. What is the new price in dollars?",
            f"{who} gets a discount of {percent}% on a {ware} of ${base}. How many dollars does {who.she} pay?",
            f"What is {base} decreased by {percent}%?",
        ),
        plan=f"Find {percent}% and subtract it.",
        steps=(f"{base} * {percent} / 100 = {part}", f"{base} - {part} = {base - part}"),
        code=f"base = {base}\nprint(base - base * {percent} // 100)",
        answer=Fraction(100 - percent, 100) * base,
    )


@question_template("percentages", _percent, held_out=True)
def what_percent(numbers: Numbers, words: Words) -> Worked:
    """Which percentage one number is of another."""
    percent, base = numbers
    part = percent * base // 100
    return Worked(
        question=words.choose(
            f"What percent of {base} is {part}?",
            f"{part} of {base} seats are taken. What percent of the seats is that?",
            f"A test has {base} points, and {part} were reached. What percent is that?",
        ),
        plan="Multiply the part by 100 and divide by the whole.",
        steps=(f"{part} * 100 = {part * 100}", f"{part * 100} / {base} = {part * 100 // base}"),
        code=f"print({part} * 100 // {base})",
        answer=percent,
    )


def _whole_mean(draw: Draw) -> Numbers | None:
    a, b, c, d = draw.number(), draw.number(), draw.number(), draw.number()
    return (a, b, c, d) if (a + b + c + d) % 4 == 0 else None


@question_template("averages", _whole_mean)
def average(numbers: Numbers, words: Words) -> Worked:
    """The mean of four numbers."""
    a, b, c, d = numbers
    total = a + b + c + d
    who = words.person()
    return Worked(
        question=words.choose(
            f"What is the average of {a}, {b}, {c} and {d}?",
            f"{who} scored {a}, {b}, {c} and {d} points in four games. What is the average?",
            f"On four days {who} walked {a}, {b}, {c} and {d} minutes. How many minutes is that a day on average?",
        ),
        plan="Divide the sum by 4.",
        steps=(f"{a} + {b} + {c} + {d} = {total}", f"{total} / 4 = {total // 4}"),
        code=f"numbers = [{a}, {b}, {c}, {d}]\nprint(sum(numbers) // len(numbers))",
        answer=Fraction(total, 4),
    )


def _missing_score(draw: Draw) -> Numbers | None:
    a, b, c = draw.number(3), draw.number(3), draw.number(3)
    return (a, b, c) if (a + b + c) % 3 == 0 else None


@question_template("averages", _missing_score, held_out=True)
def missing_score(numbers: Numbers, words: Words) -> Worked:
    """The third of three numbers from the mean."""
    a, b, c = numbers
    mean = (a + b + c) // 3
    who = words.person()
    return Worked(
        question=words.choose(
            f"The average of three numbers is {mean}. Two of them are {a} and {b}. What is the third?",
            f"{who} scored {a} and {b} points in two games. Which score in the third game makes the average {mean}?",
            f"Three numbers have the mean {mean}. If two are {a} and {b}, what is the other?",
        ),
        plan="Find the sum of all three, then subtract the known ones.",
        steps=(f"3 * {mean} = {3 * mean}", f"{3 * mean} - {a} - {b} = {3 * mean - a - b}"),
        code=f"total = 3 * {mean}\nprint(total - {a} - {b})",
        answer=c,
    )


def _ratio(draw: Draw) -> Numbers | None:
    a, b, unit = draw.between(1, 7), draw.between(1, 7), draw.factor()
    return (a, b, unit) if a != b and gcd(a, b) == 1 else None


@question_template("ratios", _ratio)
def ratio_share(numbers: Numbers, words: Words) -> Worked:
    """A sum is shared in a ratio."""
    a, b, unit = numbers
    total = (a + b) * unit
    one, two = words.two_people()
    return Worked(
        question=words.choose(
            f"{one} and {two} share ${total} in the ratio {a}:{b}. How many dollars does {one} get?",
            f"${total} is divided between {one} and {two} in the ratio {a} to {b}. What is {one}'s share in dollars?",
            f"{one} and {two} split {total} stickers in the ratio {a}:{b}. How many stickers does {one} get?",
        ),
        plan="Find the size of one part.",
        steps=(f"{a} + {b} = {a + b}", f"{total} / {a + b} = {unit}", f"{a} * {unit} = {a * unit}"),
        code=f"part = {total} // ({a} + {b})\nprint({a} * part)",
        answer=Fraction(total * a, a + b),
    )


@question_template("ratios", _ratio)
def ratio_other(numbers: Numbers, words: Words) -> Worked:
    """One quantity of a ratio from the other."""
    a, b, unit = numbers
    known = a * unit
    pair = words.choose(
        ("boys", "girls"), ("cats", "dogs"), ("red balls", "blue balls"), ("cups of rice", "cups of water")
    )
    return Worked(
        question=words.choose(
            f"The ratio of {pair[0]} to {pair[1]} is {a}:{b}. How many {pair[1]} go with {known} {pair[0]}?",
            f"For every {a} {pair[0]} there are {b} {pair[1]}. How many {pair[1]} are there for {known} {pair[0]}?"
            if a > 1 and b > 1
            else f"{pair[0].capitalize()} and {pair[1]} are in the ratio {a} to {b}. With {known} {pair[0]}, "
            f"how many {pair[1]} are there?",
            f"There are {pair[0]} and {pair[1]} in the ratio {a}:{b}, {known} of them {pair[0]}. "
            f"How many {pair[1]} are there?",
        ),
        plan="Find the size of one part.",
        steps=(f"{known} / {a} = {unit}", f"{b} * {unit} = {b * unit}"),
        code=f"part = {known} // {a}\nprint({b} * part)",
        answer=Fraction(known * b, a),
    )


@question_template("ratios", lambda draw: (draw.factor(), draw.factor(), draw.between(2, 6)), held_out=True)
def recipe_scale(numbers: Numbers, words: Words) -> Worked:
    """A cooking recipe for more people."""
    people, amount, times = numbers
    guests = people * times
    what = words.choose("eggs", "cups of flour", "spoons of sugar", "tomatoes", "potatoes")
    return Worked(
        question=words.choose(
            f"A recipe for {people} people needs {amount} {what}. How many {what} are needed for {guests} people?",
            f"For {people} people one takes {amount} {what}. How many {what} does one take for {guests} people?",
            f"A meal for {people} is made with {amount} {what}. {guests} guests are coming. "
            f"How many {what} are needed?",
        ),
        plan="Find how many times as many people there are.",
        steps=(f"{guests} / {people} = {times}", f"{amount} * {times} = {amount * times}"),
        code=f"times = {guests} // {people}\nprint({amount} * times)",
        answer=Fraction(amount * guests, people),
    )
