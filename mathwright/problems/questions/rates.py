"""Speed, work and other rates."""

from __future__ import annotations

from mathwright.problems.questions.base import Draw, Numbers, Worked, question_template
from mathwright.problems.questions.words import Words


def _speed_and_hours(draw: Draw) -> Numbers | None:
    speed = draw.number(4, 600)
    if draw.difficulty >= 2:
        speed = max(10, speed // 10 * 10)  # tens: what people travel at, and what is multiplied in the head
    return speed, draw.between(2, 6)


@question_template("rates", _speed_and_hours)
def distance(numbers: Numbers, words: Words) -> Worked:
    """Speed times time."""
    speed, hours = numbers
    mover = words.mover(speed)
    return Worked(
        question=words.choose(
            f"{mover} moves at {speed} km per hour. How many kilometers is that in {hours} hours?",
            f"{mover} keeps a speed of {speed} km/h for {hours} hours. How many kilometers is the trip?",
            f"How far, in kilometers, does {mover[0].lower()}{mover[1:]} get in {hours} hours at {speed} km per hour?",
        ),
        plan="Distance is speed times time.",
        steps=(f"{speed} * {hours} = {speed * hours}",),
        code=f"speed = {speed}\nhours = {hours}\nprint(speed * hours)",
        answer=speed * hours,
    )


@question_template("rates", _speed_and_hours)
def travel_time(numbers: Numbers, words: Words) -> Worked:
    """Distance over speed."""
    speed, hours = numbers
    far = speed * hours
    mover = words.mover(speed)
    return Worked(
        question=words.choose(
            f"{mover} has {far} km to go at {speed} km per hour. How many hours does the trip take?",
            f"How many hours does {mover[0].lower()}{mover[1:]} need for {far} km at {speed} km per hour?",
            f"Two towns are {far} km apart. {mover} covers {speed} km every hour. How many hours is it from one town "
            "to the other?",
        ),
        plan="Time is distance over speed.",
        steps=(f"{far} / {speed} = {far // speed}",),
        code=f"distance = {far}\nspeed = {speed}\nprint(distance // speed)",
        answer=hours,
    )


@question_template("rates", _speed_and_hours)
def average_speed(numbers: Numbers, words: Words) -> Worked:
    """Distance over time."""
    speed, hours = numbers
    far = speed * hours
    mover = words.mover(speed)
    return Worked(
        question=words.choose(
            f"{mover} covers {far} km in {hours} hours. What is the speed in km per hour?",
            f"A trip of {far} km takes {hours} hours. How many kilometers are covered in one hour?",
            f"{mover} needs {hours} hours for {far} km. What is the average speed in km/h?",
        ),
        plan="Speed is distance over time.",
        steps=(f"{far} / {hours} = {far // hours}",),
        code=f"distance = {far}\nhours = {hours}\nprint(distance // hours)",
        answer=speed,
    )


def _two_legs(draw: Draw) -> Numbers | None:
    numbers, more = _speed_and_hours(draw), _speed_and_hours(draw)
    assert numbers is not None and more is not None
    slow, fast = sorted((numbers[0], more[0]))
    one_vehicle = fast <= 20 or (slow >= 30 and fast <= 120)
    return (*numbers, *more) if slow < fast and one_vehicle else None


@question_template("rates", _two_legs, held_out=True)
def two_legs(numbers: Numbers, words: Words) -> Worked:
    """The distance of two legs at two speeds."""
    speed_a, hours_a, speed_b, hours_b = numbers
    who = words.person()
    a, b = speed_a * hours_a, speed_b * hours_b
    vehicle = "boat" if speed_a <= 20 else "bus"
    return Worked(
        question=words.choose(
            f"{who} travels {hours_a} hours at {speed_a} km per hour and then {hours_b} hours at {speed_b} km "
            f"per hour. How many kilometers is the whole trip?",
            f"A {vehicle} goes {speed_a} km/h for {hours_a} hours and {speed_b} km/h for another {hours_b} hours. "
            "How many kilometers does it go in total?",
            f"On a tour {who} covers {speed_a} km an hour in the first {hours_a} hours and {speed_b} km an hour in the "
            f"next {hours_b} hours. What is the total distance in kilometers?",
        ),
        plan="Find the distance of each part, then add.",
        steps=(f"{speed_a} * {hours_a} = {a}", f"{speed_b} * {hours_b} = {b}", f"{a} + {b} = {a + b}"),
        code=f"first = {speed_a} * {hours_a}\nsecond = {speed_b} * {hours_b}\nprint(first + second)",
        answer=speed_a * hours_a + speed_b * hours_b,
    )


def _meeting(draw: Draw) -> Numbers | None:
    a, b, hours = draw.number(5, 90), draw.number(5, 90), draw.between(2, 5)
    return (a, b, hours) if abs(a - b) <= 30 else None


@question_template("rates", _meeting, lowest=2)
def meeting_time(numbers: Numbers, words: Words) -> Worked:
    """Two move towards each other."""
    a, b, hours = numbers
    apart = (a + b) * hours
    movers = words.choose("trains", "buses", "cars") if min(a, b) > 20 else words.choose("cyclists", "boats")
    one, two = words.two_people()
    return Worked(
        question=words.choose(
            f"Two {movers} are {apart} km apart and move towards each other at {a} km/h and {b} km/h. "
            "After how many hours do they meet?",
            f"{one} and {two} start {apart} km apart and travel towards each other, {one} at {a} km per hour and {two} "
            f"at {b} km per hour. How many hours pass until they meet?",
            f"Two {movers} leave two towns {apart} km apart at the same time, heading for each other. One goes "
            f"{a} km/h, the other {b} km/h. In how many hours do they meet?",
        ),
        plan="Their speeds add up; divide the distance by the sum.",
        steps=(f"{a} + {b} = {a + b}", f"{apart} / {a + b} = {apart // (a + b)}"),
        code=f"speed = {a} + {b}\nprint({apart} // speed)",
        answer=hours,
    )


@question_template("rates", lambda draw: (draw.factor(), draw.factor(), draw.between(2, 8)))
def machines(numbers: Numbers, words: Words) -> Worked:
    """What several machines make in some hours."""
    count, rate, hours = numbers
    product = words.product()
    hourly = count * rate
    return Worked(
        question=words.choose(
            f"A machine makes {rate} {product} an hour. How many {product} do {count} machines make in {hours} hours?",
            f"{count} machines run for {hours} hours, and each makes {rate} {product} per hour. "
            f"How many {product} are made?",
            f"A factory has {count} machines. Each produces {rate} {product} every hour. How many {product} are ready "
            f"after {hours} hours?",
        ),
        plan="Find what all machines make in an hour, then multiply by the hours.",
        steps=(f"{count} * {rate} = {hourly}", f"{hourly} * {hours} = {hourly * hours}"),
        code=f"per_hour = {count} * {rate}\nprint(per_hour * {hours})",
        answer=count * (rate * hours),
    )


def _workers(draw: Draw) -> Numbers | None:
    workers, days, others = draw.factor(), draw.factor(), draw.factor()
    if workers == others or workers * days % others or workers * days // others < 2:
        return None
    return workers, days, others


@question_template("rates", _workers)
def workers_and_days(numbers: Numbers, words: Words) -> Worked:
    """The same work by another number of workers."""
    workers, days, others = numbers
    work = workers * days
    task = words.choose("paint a house", "build a wall", "pick the apples of an orchard", "repair a road")
    return Worked(
        question=words.choose(
            f"{workers} workers {task} in {days} days. How many days do {others} workers need for it?",
            f"It takes {workers} people {days} days to {task}. How many days does it take {others} people?",
            f"A team of {workers} can {task} in {days} days. In how many days can a team of {others} do the same work?",
        ),
        plan="Find the work in days of one worker, then divide it among the others.",
        steps=(f"{workers} * {days} = {work}", f"{work} / {others} = {work // others}"),
        code=f"work = {workers} * {days}\nprint(work // {others})",
        answer=work // others,
    )


def _tank(draw: Draw) -> Numbers | None:
    inflow, outflow, minutes = draw.number(3, 60), draw.number(2, 50), draw.factor(3)
    return (inflow, outflow, minutes) if inflow - outflow >= 2 else None


@question_template("rates", _tank, lowest=2)
def fill_tank(numbers: Numbers, words: Words) -> Worked:
    """A tank that is filled while it leaks."""
    inflow, outflow, minutes = numbers
    net = inflow - outflow
    size = net * minutes
    thing = words.choose("tank", "pool", "basin")
    return Worked(
        question=words.choose(
            f"A pipe pours {inflow} liters a minute into an empty {thing} of {size} liters, while "
            f"{outflow} liters a minute leak out. How many minutes does it take to fill it?",
            f"A {thing} holds {size} liters and is empty. Every minute {inflow} liters flow in and "
            f"{outflow} liters flow out. After how many minutes is it full?",
            f"An empty {thing} of {size} liters gains {inflow} liters and loses {outflow} liters each minute. "
            "In how many minutes is it full?",
        ),
        plan="Find what stays each minute, then divide.",
        steps=(f"{inflow} - {outflow} = {net}", f"{size} / {net} = {size // net}"),
        code=f"net = {inflow} - {outflow}\nprint({size} // net)",
        answer=minutes,
    )


@question_template("rates", lambda draw: (draw.factor(), draw.factor(), draw.factor()))
def pages_left(numbers: Numbers, words: Words) -> Worked:
    """Days to read the rest of a book."""
    daily, done, rest = numbers
    pages, read = daily * (done + rest), daily * done
    who = words.person()
    return Worked(
        question=words.choose(
            f"{who} reads {daily} pages of a book every day. The book has {pages} pages and {who.she} has read {read}. "
            "How many more days are needed?",
            f"A book has {pages} pages. {who} has read {read} of them and goes on with {daily} pages a day. "
            "In how many days is the book finished?",
            f"{who} has read {read} of {pages} pages. How many days does the rest take at {daily} pages a day?",
        ),
        plan="Find the pages left, then divide by the pages a day.",
        steps=(f"{pages} - {read} = {pages - read}", f"{pages - read} / {daily} = {rest}"),
        code=f"left = {pages} - {read}\nprint(left // {daily})",
        answer=rest,
    )
