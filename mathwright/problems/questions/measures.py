"""Length, area, volume, and conversion of units."""

from __future__ import annotations

from mathwright.problems.questions.base import Draw, Numbers, Worked, question_template
from mathwright.problems.questions.words import Words


def _plot(words: Words) -> str:
    return words.choose("garden", "field", "yard", "floor")


def _sides(draw: Draw) -> Numbers | None:
    a, b = draw.factor(3), draw.factor()
    return (a, b) if a > b else None


@question_template("geometry", _sides)
def rectangle_area(numbers: Numbers, words: Words) -> Worked:
    """Length times width."""
    a, b = numbers
    return Worked(
        question=words.choose(
            f"A rectangular {_plot(words)} is {a} m long and {b} m wide. What is its area in square meters?",
            f"What is the area of a rectangle with sides {a} and {b}?",
            f"How many square meters does a rectangle of {a} m by {b} m cover?",
        ),
        plan="The area is length times width.",
        steps=(f"{a} * {b} = {a * b}",),
        code=f"length = {a}\nwidth = {b}\nprint(length * width)",
        answer=a * b,
    )


def _any_sides(draw: Draw) -> Numbers | None:
    a, b = draw.number(3), draw.number(2)
    return (a, b) if a > b else None


@question_template("geometry", _any_sides)
def rectangle_perimeter(numbers: Numbers, words: Words) -> Worked:
    """Twice the sum of the sides."""
    a, b = numbers
    plot = words.choose("garden", "field", "yard")
    return Worked(
        question=words.choose(
            f"What is the perimeter of a rectangle with sides {a} and {b}?",
            f"A rectangular {plot} is {a} m long and {b} m wide. How many meters of fence go around it?",
            f"Find the perimeter, in meters, of a rectangle {a} m long and {b} m wide.",
        ),
        plan="The perimeter is twice the sum of length and width.",
        steps=(f"{a} + {b} = {a + b}", f"2 * {a + b} = {2 * (a + b)}"),
        code=f"length = {a}\nwidth = {b}\nprint(2 * (length + width))",
        answer=a + b + a + b,
    )


@question_template("geometry", lambda draw: (draw.number(2, 250),), held_out=True)
def square_side(numbers: Numbers, words: Words) -> Worked:
    """The side of a square from its perimeter."""
    (side,) = numbers
    around = 4 * side
    return Worked(
        question=words.choose(
            f"The perimeter of a square is {around}. How long is one side?",
            f"A square {words.choose('garden', 'field', 'park')} has a fence of {around} m around it. "
            "How many meters long is one side?",
            f"What is the side of a square whose perimeter is {around}?",
        ),
        plan="A square has four equal sides.",
        steps=(f"{around} / 4 = {around // 4}",),
        code=f"perimeter = {around}\nprint(perimeter // 4)",
        answer=side,
    )


def _triangle(draw: Draw) -> Numbers | None:
    base, height = draw.factor(), draw.factor()
    return (base, height) if base * height % 2 == 0 else None


@question_template("geometry", _triangle)
def triangle_area(numbers: Numbers, words: Words) -> Worked:
    """Half of base times height."""
    base, height = numbers
    return Worked(
        question=words.choose(
            f"A triangle has base {base} and height {height}. What is its area?",
            f"A triangle has a base of {base} cm and a height of {height} cm. What is its area in square centimeters?",
            f"What is the area of a triangle with a base of {base} and a height of {height}?",
        ),
        plan="The area is half of base times height.",
        steps=(f"{base} * {height} = {base * height}", f"{base * height} / 2 = {base * height // 2}"),
        code=f"base = {base}\nheight = {height}\nprint(base * height // 2)",
        answer=base * height // 2,
    )


@question_template("geometry", _sides)
def missing_width(numbers: Numbers, words: Words) -> Worked:
    """The width of a rectangle from area and length."""
    a, b = numbers
    area = a * b
    return Worked(
        question=words.choose(
            f"A rectangle has an area of {area} and a length of {a}. What is its width?",
            f"A rectangular {_plot(words)} covers {area} square meters and is {a} m long. How many meters wide is it?",
            f"The area of a rectangle is {area}. One side is {a}. How long is the other side?",
        ),
        plan="The width is the area over the length.",
        steps=(f"{area} / {a} = {area // a}",),
        code=f"area = {area}\nlength = {a}\nprint(area // length)",
        answer=b,
    )


def _cut_out(draw: Draw) -> Numbers | None:
    a, b, c = draw.factor(4), draw.factor(3), draw.factor()
    return (a, b, c) if a >= b > c and c * c < a * b else None


@question_template("geometry", _cut_out)
def area_without_square(numbers: Numbers, words: Words) -> Worked:
    """A rectangle less a square."""
    a, b, c = numbers
    return Worked(
        question=words.choose(
            f"A square of side {c} is cut out of a rectangle of {a} by {b}. What area is left?",
            f"A garden of {a} m by {b} m has a square pond with sides of {c} m. How many square meters are dry?",
            f"A rectangle measures {a} by {b}. A square with side {c} is removed. What is the area of the rest?",
        ),
        plan="Subtract the square from the rectangle.",
        steps=(
            f"{a} * {b} = {a * b}",
            f"{c} * {c} = {c * c}",
            f"{a * b} - {c * c} = {a * b - c * c}",
        ),
        code=f"rectangle = {a} * {b}\nsquare = {c} * {c}\nprint(rectangle - square)",
        answer=a * b - c**2,
    )


@question_template("geometry", lambda draw: (draw.between(2, 10), draw.between(2, 10), draw.factor()))
def box_volume(numbers: Numbers, words: Words) -> Worked:
    """Length times width times height."""
    a, b, c = numbers
    return Worked(
        question=words.choose(
            f"A box is {a} cm long, {b} cm wide and {c} cm high. What is its volume in cubic centimeters?",
            f"What is the volume of a box with edges {a}, {b} and {c}?",
            f"How many cubes with an edge of 1 cm fill a box of {a} cm by {b} cm by {c} cm?",
        ),
        plan="The volume is length times width times height.",
        steps=(f"{a} * {b} = {a * b}", f"{a * b} * {c} = {a * b * c}"),
        code=f"print({a} * {b} * {c})",
        answer=c * b * a,
    )


def _angles(draw: Draw) -> Numbers | None:
    a, b = draw.between(15, 130), draw.between(15, 130)
    return (a, b) if a + b <= 165 else None


@question_template("geometry", _angles, lowest=2)
def third_angle(numbers: Numbers, words: Words) -> Worked:
    """The angles of a triangle make 180 degrees."""
    a, b = numbers
    return Worked(
        question=words.choose(
            f"Two angles of a triangle are {a} and {b} degrees. How many degrees is the third?",
            f"In a triangle one angle is {a} degrees and another is {b} degrees. Find the third angle in degrees.",
            f"A triangle has angles of {a} degrees and {b} degrees. What is the remaining angle in degrees?",
        ),
        plan="The three angles make 180 degrees.",
        steps=(f"{a} + {b} = {a + b}", f"180 - {a + b} = {180 - a - b}"),
        code=f"print(180 - {a} - {b})",
        answer=180 - a - b,
    )


@question_template("units", lambda draw: (draw.between(1, 9), draw.between(1, 59)))
def hours_to_minutes(numbers: Numbers, words: Words) -> Worked:
    """Hours and minutes in minutes."""
    hours, minutes = numbers
    time = f"{hours} {'hour' if hours == 1 else 'hours'} and {minutes} {'minute' if minutes == 1 else 'minutes'}"
    return Worked(
        question=words.choose(
            f"How many minutes are {time}?",
            f"A film lasts {time}. How many minutes is that?",
            f"Convert {time} to minutes.",
        ),
        plan="An hour has 60 minutes.",
        steps=(f"{hours} * 60 = {hours * 60}", f"{hours * 60} + {minutes} = {hours * 60 + minutes}"),
        code=f"print({hours} * 60 + {minutes})",
        answer=hours * 60 + minutes,
    )


_UNITS = (
    ("meters", "centimeters", 100),
    ("kilometers", "meters", 1000),
    ("kilograms", "grams", 1000),
    ("weeks", "days", 7),
    ("years", "months", 12),
    ("days", "hours", 24),
    ("minutes", "seconds", 60),
    ("centimeters", "millimeters", 10),
)


@question_template("units", lambda draw: (draw.number(2, 60), draw.between(0, len(_UNITS) - 1)))
def to_smaller_unit(numbers: Numbers, words: Words) -> Worked:
    """A number of large units in small ones."""
    count, unit = numbers
    large, small, size = _UNITS[unit]
    return Worked(
        question=words.choose(
            f"How many {small} are {count} {large}?",
            f"Convert {count} {large} to {small}.",
            f"Express {count} {large} in {small}.",
        ),
        plan=f"1 {large[:-1]} is {size} {small}.",
        steps=(f"{count} * {size} = {count * size}",),
        code=f"print({count} * {size})",
        answer=count * size,
    )


@question_template("units", lambda draw: (draw.number(2, 60), draw.between(0, len(_UNITS) - 1)))
def to_larger_unit(numbers: Numbers, words: Words) -> Worked:
    """A number of small units in large ones."""
    count, unit = numbers
    large, small, size = _UNITS[unit]
    total = count * size
    return Worked(
        question=words.choose(
            f"How many {large} are {total} {small}?",
            f"Convert {total} {small} to {large}.",
            f"Express {total} {small} in {large}.",
        ),
        plan=f"{size} {small} make 1 {large[:-1]}.",
        steps=(f"{total} / {size} = {total // size}",),
        code=f"print({total} // {size})",
        answer=count,
    )


@question_template("units", lambda draw: (draw.factor(1), draw.factor(1), draw.factor(1)))
def coins(numbers: Numbers, words: Words) -> Worked:
    """Cents in quarters, dimes and nickels."""
    quarters, dimes, nickels = numbers
    who = words.person()
    q = f"{quarters} {'quarter' if quarters == 1 else 'quarters'}"
    d = f"{dimes} {'dime' if dimes == 1 else 'dimes'}"
    n = f"{nickels} {'nickel' if nickels == 1 else 'nickels'}"
    a, b, c = 25 * quarters, 10 * dimes, 5 * nickels
    return Worked(
        question=words.choose(
            f"{who} has {q}, {d} and {n}. How many cents is that?",
            f"How many cents are {q}, {d} and {n}?",
            f"In {who}'s purse there are {q}, {d} and {n}. How many cents does {who} have?",
        ),
        plan="A quarter is 25 cents, a dime 10 and a nickel 5.",
        steps=(
            f"{quarters} * 25 = {a}",
            f"{dimes} * 10 = {b}",
            f"{nickels} * 5 = {c}",
            f"{a} + {b} + {c} = {a + b + c}",
        ),
        code=f"print(25 * {quarters} + 10 * {dimes} + 5 * {nickels})",
        answer=a + b + c,
    )


@question_template(
    "units", lambda draw: (draw.between(1, 8), draw.between(0, 11), draw.between(10, 200)), held_out=True
)
def minutes_between(numbers: Numbers, words: Words) -> Worked:
    """Minutes between two times of day."""
    hour, fives, minutes = numbers
    start = 60 * hour + 5 * fives
    end = start + minutes

    def clock(time: int) -> str:
        return f"{time // 60}:{time % 60:02d}"

    hours = end // 60 - hour
    gap = end % 60 - 5 * fives
    sign = "+" if gap >= 0 else "-"
    return Worked(
        question=words.choose(
            f"A class starts at {clock(start)} and ends at {clock(end)}. How many minutes does it last?",
            f"How many minutes pass between {clock(start)} and {clock(end)}?",
            f"A train leaves at {clock(start)} and arrives at {clock(end)}. How many minutes does it travel?",
        ),
        plan="Compare the hours and the minutes.",
        steps=(
            f"({end // 60} - {hour}) * 60 = {hours * 60}",
            f"{hours * 60} + {end % 60} - {5 * fives} = {hours * 60} {sign} {abs(gap)} = {minutes}",
        ),
        code=f"start = {hour} * 60 + {5 * fives}\nend = {end // 60} * 60 + {end % 60}\nprint(end - start)",
        answer=minutes,
    )
