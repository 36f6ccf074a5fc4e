"""Money and shopping."""

from __future__ import annotations

from mathwright.problems.questions.base import Draw, Numbers, Worked, question_template
from mathwright.problems.questions.words import Words


@question_template("shopping", lambda draw: (draw.factor(), draw.factor()))
def buy_several(numbers: Numbers, words: Words) -> Worked:
    """Several things at one price."""
    count, price = numbers
    who, ware = words.person(), words.ware()
    return Worked(
        question=words.choose(
            f"{who} buys {count} {ware} at ${price} each. How many dollars does {who} pay?",
            f"A {ware.one} costs ${price}. How much do {count} {ware} cost in dollars?",
            f"{who} wants {count} {ware}. Each {ware.one} costs ${price}. How many dollars does {who.she} need?",
        ),
        plan=f"Multiply the number of {ware} by the price.",
        steps=(f"{count} * {price} = {count * price}",),
        code=f"count = {count}\nprice = {price}\nprint(count * price)",
        answer=count * price,
    )


@question_template("shopping", lambda draw: (draw.factor(), draw.factor(), draw.factor(), draw.factor()))
def buy_two_kinds(numbers: Numbers, words: Words) -> Worked:
    """Two kinds of things."""
    a, price_a, b, price_b = numbers
    who, (one, two) = words.person(), words.two_wares()
    return Worked(
        question=words.choose(
            f"{who} buys {a} {one} at ${price_a} each and {b} {two} at ${price_b} each. "
            "How many dollars is that in total?",
            f"A {one.one} costs ${price_a} and a {two.one} costs ${price_b}. How many dollars does {who} pay for "
            f"{a} {one} and {b} {two}?",
            f"{who} orders {a} {one} for ${price_a} each and {b} {two} for ${price_b} each. How many dollars is that?",
        ),
        plan="Find the cost of each kind, then add.",
        steps=(
            f"{one}: {a} * {price_a} = {a * price_a}",
            f"{two}: {b} * {price_b} = {b * price_b}",
            f"{a * price_a} + {b * price_b} = {a * price_a + b * price_b}",
        ),
        code=f"first = {a} * {price_a}\nsecond = {b} * {price_b}\nprint(first + second)",
        answer=a * price_a + b * price_b,
    )


def _paid_with_note(draw: Draw) -> Numbers | None:
    count, price = draw.factor(), draw.factor()
    notes = [note for note in (10, 20, 50, 100, 200, 500) if note > count * price]
    return (count, price, notes[0])


@question_template("shopping", _paid_with_note)
def change(numbers: Numbers, words: Words) -> Worked:
    """Change from a note."""
    count, price, note = numbers
    who, ware = words.person(), words.ware()
    cost = count * price
    return Worked(
        question=words.choose(
            f"{who} buys {count} {ware} at ${price} each and pays with ${note}. How many dollars of change does "
            f"{who.she} get?",
            f"{who} has ${note} and buys {count} {ware} for ${price} each. How many dollars are left?",
            f"A {ware.one} costs ${price}. {who} pays for {count} {ware} with ${note}. How many dollars come back?",
        ),
        plan="Find the cost, then subtract it from the money paid.",
        steps=(f"{count} * {price} = {cost}", f"{note} - {cost} = {note - cost}"),
        code=f"cost = {count} * {price}\nprint({note} - cost)",
        answer=note - count * price,
    )


@question_template("shopping", lambda draw: (draw.number(2, 60), draw.factor(), draw.factor()))
def save_up(numbers: Numbers, words: Words) -> Worked:
    """Weeks until enough is saved."""
    had, weekly, weeks = numbers
    price = had + weekly * weeks
    who = words.person()
    if price < 60:
        goal = words.choose("game", "ball", "kite", "backpack", "dictionary")
    else:
        goal = words.choose("bicycle", "guitar", "tent", "camera", "skateboard")
    return Worked(
        question=words.choose(
            f"{who} wants a {goal} for ${price}. {who.she.capitalize()} has ${had} and saves ${weekly} a week. "
            f"After how many weeks can {who.she} buy it?",
            f"A {goal} costs ${price}. {who} already has ${had} and puts aside ${weekly} every week. "
            "How many weeks does it take to save the rest?",
            f"{who} has ${had}. Saving ${weekly} each week, how many weeks does {who.she} need to reach ${price}?",
        ),
        plan="Find what is missing, then divide by the weekly amount.",
        steps=(f"{price} - {had} = {price - had}", f"{price - had} / {weekly} = {(price - had) // weekly}"),
        code=f"missing = {price} - {had}\nprint(missing // {weekly})",
        answer=weeks,
    )


@question_template("shopping", lambda draw: (draw.factor(), draw.factor()))
def price_of_one(numbers: Numbers, words: Words) -> Worked:
    """The price of one from the price of several."""
    count, price = numbers
    who, ware = words.person(), words.ware()
    total = count * price
    return Worked(
        question=words.choose(
            f"{count} {ware} cost ${total}. How many dollars does one {ware.one} cost?",
            f"{who} paid ${total} for {count} {ware} of the same price. What was the price of one in dollars?",
            f"For {count} equal {ware} {who} paid ${total}. How many dollars is that for each {ware.one}?",
        ),
        plan="Divide the total by the number.",
        steps=(f"{total} / {count} = {total // count}",),
        code=f"total = {total}\nprint(total // {count})",
        answer=price,
    )


def _rule_of_three(draw: Draw) -> Numbers | None:
    few, price, many = draw.factor(), draw.factor(), draw.factor()
    return (few, price, many) if few != many else None


@question_template("shopping", _rule_of_three, held_out=True)
def price_of_others(numbers: Numbers, words: Words) -> Worked:
    """The price of m from the price of n."""
    few, price, many = numbers
    who, ware = words.person(), words.ware()
    total = few * price
    return Worked(
        question=words.choose(
            f"{few} {ware} cost ${total}. How many dollars do {many} {ware} cost?",
            f"{who} pays ${total} for {few} {ware}. How many dollars would {many} {ware} cost at the same price?",
            f"If {few} {ware} are sold for ${total}, what is the price of {many} {ware} in dollars?",
        ),
        plan="Find the price of one, then multiply.",
        steps=(f"{total} / {few} = {price}", f"{price} * {many} = {price * many}"),
        code=f"one = {total} // {few}\nprint(one * {many})",
        answer=total * many // few,
    )


def _wage(draw: Draw) -> Numbers | None:
    wage, hours, days, spent = draw.between(5, 20), draw.between(2, 8), draw.between(2, 6), draw.number(2, 60)
    return (wage, hours, days, spent) if spent < wage * hours * days else None


@question_template("shopping", _wage)
def wage_minus_cost(numbers: Numbers, words: Words) -> Worked:
    """Earnings of several days less an expense."""
    wage, hours, days, spent = numbers
    who = words.person()
    daily, earned = wage * hours, wage * hours * days
    job = words.choose("in a shop", "in a garden", "at a farm", "in a library")
    return Worked(
        question=words.choose(
            f"{who} works {hours} hours a day {job} for ${wage} an hour. After {days} days {who.she} spends ${spent}. "
            "How many dollars are left?",
            f"For {days} days {who} works {hours} hours a day {job} and earns ${wage} an hour. "
            f"The bus costs ${spent} in total. How many dollars does {who.she} keep?",
            f"Working {job}, {who} earns ${wage} an hour, {hours} hours a day, for {days} days. {who.she.capitalize()} "
            f"then buys a gift for ${spent}. How many dollars remain?",
        ),
        plan="Find the earnings of all days, then subtract the expense.",
        steps=(
            f"{wage} * {hours} = {daily}",
            f"{daily} * {days} = {earned}",
            f"{earned} - {spent} = {earned - spent}",
        ),
        code=f"earned = {wage} * {hours} * {days}\nprint(earned - {spent})",
        answer=days * hours * wage - spent,
    )


def _profit(draw: Draw) -> Numbers | None:
    count, cost, price = draw.factor(), draw.factor(), draw.factor()
    return (count, cost, price) if cost < price else None


@question_template("shopping", _profit)
def profit(numbers: Numbers, words: Words) -> Worked:
    """Bought at one price, sold at a higher."""
    count, cost, price = numbers
    who, ware = words.person(), words.ware()
    return Worked(
        question=words.choose(
            f"{who} buys {count} {ware} at ${cost} each and sells them at ${price} each. "
            f"How many dollars of profit does {who.she} make?",
            f"A shop pays ${cost} for a {ware.one} and sells it for ${price}. How many dollars does it earn on "
            f"{count} {ware}?",
            f"{who} sells {count} {ware} for ${price} each. Each cost {who} ${cost}. What is the profit in dollars?",
        ),
        plan="Find the profit on one, then multiply.",
        steps=(f"{price} - {cost} = {price - cost}", f"{count} * {price - cost} = {count * (price - cost)}"),
        code=f"each = {price} - {cost}\nprint({count} * each)",
        answer=count * price - count * cost,
    )
