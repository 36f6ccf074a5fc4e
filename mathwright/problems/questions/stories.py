"""Stories about things that are counted, and about ages."""

from __future__ import annotations

from mathwright.problems.questions.base import Draw, Numbers, Worked, question_template
from mathwright.problems.questions.words import Words


@question_template("stories", lambda draw: (draw.number(), draw.number()), lowest=0)
def gets_more(numbers: Numbers, words: Words) -> Worked:
    """Had a, gets b."""
    had, got = numbers
    who, thing = words.person(), words.thing()
    return Worked(
        question=words.choose(
            f"{who} has {had} {thing} and gets {got} more. How many {thing} does {who} have now?",
            f"{who} had {had} {thing}. A friend gave {who} another {got}. How many {thing} are there now?",
            f"There are {had} {thing} in a bowl. {who} puts in {got} more. How many {thing} are in the bowl?",
        ),
        plan=f"Add the new {thing} to the old ones.",
        steps=(f"{had} + {got} = {had + got}",),
        code=f"had = {had}\ngot = {got}\nprint(had + got)",
        answer=had + got,
    )


def _some_of(draw: Draw) -> Numbers | None:
    had, gone = draw.number(3), draw.number()
    return (had, gone) if had > gone else None


@question_template("stories", _some_of, lowest=0)
def gives_away(numbers: Numbers, words: Words) -> Worked:
    """Had a, b are gone."""
    had, gone = numbers
    who, thing = words.person(), words.thing()
    return Worked(
        question=words.choose(
            f"{who} has {had} {thing} and gives away {gone}. How many {thing} are left?",
            f"{who} had {had} {thing} but lost {gone} of them. How many {thing} does {who} still have?",
            f"Of {had} {thing}, {who} uses {gone}. How many {thing} remain?",
        ),
        plan=f"Subtract the {thing} that are gone.",
        steps=(f"{had} - {gone} = {had - gone}",),
        code=f"had = {had}\ngone = {gone}\nprint(had - gone)",
        answer=had - gone,
    )


@question_template("stories", lambda draw: (draw.factor(), draw.factor()), lowest=0)
def equal_groups(numbers: Numbers, words: Words) -> Worked:
    """a containers with b things each."""
    groups, each = numbers
    who, thing, container = words.person(), words.thing(), words.container()
    return Worked(
        question=words.choose(
            f"{who} has {groups} {container} with {each} {thing} in each. How many {thing} does {who} have?",
            f"There are {each} {thing} in every {container.one}. How many {thing} are in {groups} {container}?",
            f"{who} fills {groups} {container} and puts {each} {thing} into each. How many {thing} is that?",
        ),
        plan=f"Multiply the number of {container} by the {thing} in each.",
        steps=(f"{groups} * {each} = {groups * each}",),
        code=f"groups = {groups}\neach = {each}\nprint(groups * each)",
        answer=groups * each,
    )


@question_template("stories", lambda draw: (draw.factor(), draw.factor()), lowest=0)
def share_equally(numbers: Numbers, words: Words) -> Worked:
    """a things are shared among b."""
    each, children = numbers
    total = each * children
    who, thing = words.person(), words.thing()
    return Worked(
        question=words.choose(
            f"{who} shares {total} {thing} equally among {children} children. How many does each child get?",
            f"{children} friends divide {total} {thing} equally. How many {thing} does each of them get?",
            f"{who} puts {total} {thing} into {children} bags, the same number in each. "
            f"How many {thing} are in one bag?",
        ),
        plan="Divide the total by the number of shares.",
        steps=(f"{total} / {children} = {total // children}",),
        code=f"total = {total}\nshares = {children}\nprint(total // shares)",
        answer=each,
    )


def _two_changes(draw: Draw) -> Numbers | None:
    a, b, c = draw.number(), draw.number(), draw.number()
    return (a, b, c) if a + b > c else None


@question_template("stories", _two_changes)
def gains_then_loses(numbers: Numbers, words: Words) -> Worked:
    """a + b - c."""
    a, b, c = numbers
    who, thing = words.person(), words.thing()
    return Worked(
        question=words.choose(
            f"{who} has {a} {thing}, finds {b} more and then gives away {c}. "
            f"How many {thing} does {who} have in the end?",
            f"In the morning {who} had {a} {thing}. During the day {who.she} got {b} more and lost {c}. "
            f"How many {thing} did {who} have in the evening?",
            f"A box holds {a} {thing}. {who} adds {b} {thing} and later takes out {c}. How many are in the box now?",
        ),
        plan=f"Add the new {thing}, then subtract those that are gone.",
        steps=(f"{a} + {b} = {a + b}", f"{a + b} - {c} = {a + b - c}"),
        code=f"start = {a}\nnow = start + {b} - {c}\nprint(now)",
        answer=a - c + b,
    )


def _more_than(draw: Draw) -> Numbers | None:
    a, b = draw.number(4), draw.number(1)
    return (a, b) if a > b + 1 else None


@question_template("stories", _more_than, lowest=0, held_out=True)
def how_many_more(numbers: Numbers, words: Words) -> Worked:
    """Compares two people's things."""
    a, b = numbers
    (one, two), thing = words.two_people(), words.thing()
    return Worked(
        question=words.choose(
            f"{one} has {a} {thing} and {two} has {b}. How many more {thing} does {one} have than {two}?",
            f"{one} collected {a} {thing}, {two} collected {b}. How many fewer {thing} does {two} have than {one}?",
            f"{two} owns {thing.count(b)} and {one} owns {a}. How many {thing} does {two} need to have as many?",
        ),
        plan="Subtract the smaller number from the larger.",
        steps=(f"{a} - {b} = {a - b}",),
        code=f"print({a} - {b})",
        answer=a - b,
    )


@question_template("stories", lambda draw: (draw.number(3, 50), draw.between(2, 5)))
def times_as_many(numbers: Numbers, words: Words) -> Worked:
    """B has k times as many as A; together."""
    a, k = numbers
    (one, two), thing = words.two_people(), words.thing()
    times = "twice" if k == 2 else f"{k} times"
    return Worked(
        question=words.choose(
            f"{one} has {a} {thing}. {two} has {times} as many. How many {thing} do they have together?",
            f"{two} has {times} as many {thing} as {one}, who has {a}. How many {thing} do both have in total?",
            f"{one} picks up {a} {thing} and {two} picks up {times} as many. How many {thing} is that altogether?",
        ),
        plan=f"Find how many {two} has, then add both.",
        steps=(f"{two}: {a} * {k} = {a * k}", f"{a} + {a * k} = {a + a * k}"),
        code=f"first = {a}\nsecond = {k} * first\nprint(first + second)",
        answer=a * (k + 1),
    )


@question_template("stories", lambda draw: (draw.number(1, 20), draw.factor(), draw.factor()))
def share_the_rest(numbers: Numbers, words: Words) -> Worked:
    """Keeps some, shares the rest."""
    kept, each, children = numbers
    total = kept + each * children
    who, thing = words.person(), words.thing()
    return Worked(
        question=words.choose(
            f"{who} has {total} {thing}, keeps {kept} and shares the rest equally among {children} children. "
            "How many does each child get?",
            f"From {total} {thing}, {who} takes {kept} for {words.choose('later', 'school')} and divides the others "
            f"equally among {children} friends. How many {thing} does each friend get?",
            f"{who} sets {kept} of {total} {thing} aside. {children} children share the others equally. "
            "How many does each child get?",
        ),
        plan=f"Subtract the {thing} kept, then divide by the number of shares.",
        steps=(f"{total} - {kept} = {total - kept}", f"{total - kept} / {children} = {(total - kept) // children}"),
        code=f"rest = {total} - {kept}\nprint(rest // {children})",
        answer=each,
    )


def _not_multiple(draw: Draw) -> Numbers | None:
    pack, full, left = draw.factor(3), draw.factor(), draw.factor(1)
    return (pack, pack * full + left) if left < pack else None


@question_template("stories", _not_multiple)
def left_over(numbers: Numbers, words: Words) -> Worked:
    """What is left when things are packed."""
    pack, total = numbers
    who, thing, container = words.person(), words.thing(), words.container()
    full = total // pack
    return Worked(
        question=words.choose(
            f"{who} packs {total} {thing} into {container} of {pack}. How many {thing} are left over?",
            f"A {container.one} holds exactly {pack} {thing}. {who} fills as many {container} as possible "
            f"from {total} {thing}. How many {thing} remain?",
            f"{total} {thing} are put into {container}, {pack} in each. How many {thing} are left?",
        ),
        plan=f"Count the full {container}, then see how many {thing} they leave.",
        steps=(
            f"Full {container}: {full}, since {full} * {pack} = {full * pack}",
            f"{total} - {full * pack} = {total - full * pack}",
        ),
        code=f"print({total} % {pack})",
        answer=total % pack,
    )


@question_template("stories", _not_multiple)
def containers_needed(numbers: Numbers, words: Words) -> Worked:
    """How many containers hold everything: the quotient rounded up."""
    size, total = numbers
    full = total // size
    who = words.person()
    return Worked(
        question=words.choose(
            f"{total} people want to cross a lake. One boat carries {size} people. How many boats are needed?",
            f"{who} wants to store {total} books in boxes of {size}. How many boxes does {who.she} need?",
            f"A van takes {size} passengers. How many vans are needed for {total} passengers?",
        ),
        plan="Divide and round up.",
        steps=(
            f"{full} * {size} = {full * size}, {total - full * size} left",
            f"{full} + 1 = {full + 1}",
        ),
        code=f"import math\nprint(math.ceil({total} / {size}))",
        answer=-(-total // size),
    )


@question_template("stories", lambda draw: (draw.number(), draw.factor(), draw.factor()))
def collects_daily(numbers: Numbers, words: Words) -> Worked:
    """Has some, gets the same number every day."""
    had, each, days = numbers
    who, thing = words.person(), words.thing()
    return Worked(
        question=words.choose(
            f"{who} has {had} {thing} and collects {each} more every day. How many {thing} will {who} have "
            f"after {days} days?",
            f"{who} finds {each} {thing} a day for {days} days. At the start {who.she} had {had}. "
            f"How many {thing} does {who.she} have at the end?",
            f"Every day for {days} days {who} adds {each} {thing} to {who.her} {had} {thing}. "
            f"How many {thing} are there then?",
        ),
        plan="Multiply the daily number by the days, then add the start.",
        steps=(f"{each} * {days} = {each * days}", f"{had} + {each * days} = {had + each * days}"),
        code=f"had = {had}\nfound = {each} * {days}\nprint(had + found)",
        answer=had + each * days,
    )


def _hall(draw: Draw) -> Numbers | None:
    rows, seats, free = draw.factor(4), draw.factor(5), draw.factor(1)
    return (rows, seats, free) if 4 * free <= rows * seats else None


@question_template("stories", _hall, held_out=True)
def seats_taken(numbers: Numbers, words: Words) -> Worked:
    """Free seats in a hall."""
    rows, seats, free = numbers
    total = rows * seats
    place = words.choose("theater", "cinema", "hall", "concert hall")
    free_words = "1 seat is free" if free == 1 else f"{free} seats are free"
    return Worked(
        question=words.choose(
            f"A {place} has {rows} rows of {seats} seats. {free_words}. How many seats are taken?",
            f"There are {seats} seats in each of the {rows} rows of a {place}, and {free_words}. "
            "How many people are sitting?",
            f"A {place} with {rows} rows and {seats} seats in every row is nearly full: {free_words}. "
            "How many seats are taken?",
        ),
        plan="Count all seats, then subtract the free ones.",
        steps=(f"{rows} * {seats} = {total}", f"{total} - {free} = {total - free}"),
        code=f"seats = {rows} * {seats}\nprint(seats - {free})",
        answer=rows * seats - free,
    )


@question_template("ages", lambda draw: (draw.number(5, 60), draw.number(2, 20)))
def age_later(numbers: Numbers, words: Words) -> Worked:
    """Age in some years."""
    age, years = numbers
    who = words.person()
    return Worked(
        question=words.choose(
            f"{who} is {age} years old. How old will {who} be in {years} years?",
            f"{who} turned {age} today. What will {who.her} age be {years} years from now?",
            f"{years} years ago {who} was {age} years old. How old is {who} now?",
        ),
        plan="Add the years to the age.",
        steps=(f"{age} + {years} = {age + years}",),
        code=f"age = {age}\nprint(age + {years})",
        answer=age + years,
    )


@question_template("ages", lambda draw: (draw.number(3, 40), draw.number(2, 20)))
def ages_from_sum(numbers: Numbers, words: Words) -> Worked:
    """The younger age from sum and difference."""
    younger, gap = numbers
    total = younger + younger + gap
    one, two = words.two_people()
    return Worked(
        question=words.choose(
            f"{one} is {gap} years older than {two}. Together they are {total} years old. How old is {two}?",
            f"The ages of {one} and {two} add up to {total}. {one} is {gap} years older. How old is {two}?",
            f"{two} is {gap} years younger than {one}, and the sum of their ages is {total}. What is {two}'s age?",
        ),
        plan="Take the gap off the sum, then halve it.",
        steps=(f"{total} - {gap} = {total - gap}", f"{total - gap} / 2 = {(total - gap) // 2}"),
        code=f"total = {total}\ngap = {gap}\nprint((total - gap) // 2)",
        answer=younger,
    )


def _child_and_parent(draw: Draw) -> Numbers | None:
    child, times = draw.number(4, 20), draw.between(2, 6)
    return (child, times) if 20 <= child * (times - 1) <= 45 else None


@question_template("ages", _child_and_parent)
def age_multiple(numbers: Numbers, words: Words) -> Worked:
    """A parent is k times as old as the child; the sum is known."""
    child, times = numbers
    total = child * (times + 1)
    who, parent = words.person(), words.choose("mother", "father", "aunt", "uncle")
    many = "twice" if times == 2 else f"{times} times"
    return Worked(
        question=words.choose(
            f"{who}'s {parent} is {many} as old as {who}. Together they are {total} years old. How old is {who}?",
            f"The ages of {who} and {who.her} {parent} add up to {total}. The {parent} is {many} as old as {who}. "
            f"What is {who}'s age?",
            f"{who} and {who.her} {parent} are {total} years old together, and the {parent} is {many} as old. "
            f"How old is {who}?",
        ),
        plan=f"The sum is {times + 1} times the age of {who}.",
        steps=(f"{times} + 1 = {times + 1}", f"{total} / {times + 1} = {total // (times + 1)}"),
        code=f"total = {total}\nprint(total // ({times} + 1))",
        answer=child,
    )


@question_template(
    "ages", lambda draw: (draw.number(4, 30), draw.number(2, 20), draw.number(2, 20)), lowest=2, held_out=True
)
def age_of_other_later(numbers: Numbers, words: Words) -> Worked:
    """B is older than A by a gap; B's age in some years."""
    age, gap, years = numbers
    one, two = words.two_people()
    now = age + gap
    return Worked(
        question=words.choose(
            f"{one} is {age} years old and {two} is {gap} years older. How old will {two} be in {years} years?",
            f"{two} is {gap} years older than {one}, who is {age}. What will {two}'s age be in {years} years?",
            f"{one} is {age}. {two} was born {gap} years before {one}. How old will {two} be {years} years from now?",
        ),
        plan=f"Find the age of {two} today, then add the years.",
        steps=(f"{age} + {gap} = {now}", f"{now} + {years} = {now + years}"),
        code=f"age = {age} + {gap}\nprint(age + {years})",
        answer=age + gap + years,
    )
