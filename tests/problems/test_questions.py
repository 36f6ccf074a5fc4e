"""Every question template, at every difficulty, over many numbers: the arithmetic by rules of the test's own."""

import random
import re
from fractions import Fraction

import pytest

from mathwright.problems.procedural import find_templates
from mathwright.problems.questions.base import Draw, Numbers, QuestionTemplate, Worked
from mathwright.problems.questions.words import Words, ordinal
from tests.problems.exact import evaluate, line_holds
from tests.problems.running import run_here

TEMPLATES = find_templates("", 3)
EVERY_TEMPLATE = pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t.name)


def instances(template: QuestionTemplate, difficulty: int, count: int = 40) -> list[tuple[Numbers, Worked]]:
    rng = random.Random(f"{template.name}{difficulty}")
    draw, words = Draw(rng, difficulty), Words(rng)
    drawn = [template.draw(draw) for _ in range(count)]
    return [(numbers, template.write(numbers, words)) for numbers in drawn]


def all_works(template: QuestionTemplate) -> list[tuple[int, Worked]]:
    """(difficulty, problem) for many problems of every difficulty that has this template."""
    return [(level, worked) for level in range(template.lowest, 4) for _, worked in instances(template, level)]


@EVERY_TEMPLATE
def test_steps_program_and_answer_agree(template: QuestionTemplate) -> None:
    works = [worked for _, worked in all_works(template)]
    outputs = run_here([worked.code for worked in works])
    for worked, output in zip(works, outputs, strict=True):
        assert output == f"{worked.answer}\n"
        last_number = re.findall(r"-?\d+(?:/\d+)?", worked.steps[-1])[-1]
        assert Fraction(last_number) == worked.answer, worked
        verdicts = [line_holds(step, Fraction(worked.answer)) for step in worked.steps]
        assert False not in verdicts, worked
        assert True in verdicts or template.name == "count_divisors", worked


@EVERY_TEMPLATE
def test_questions_read_well(template: QuestionTemplate) -> None:
    for _, worked in all_works(template):
        question = worked.question
        assert question[0].isupper() or question[0].isdigit() or question[0] == "$"
        assert question.endswith(("?", "."))
        assert not re.search(r"\b1 [a-z]+s\b(?<!is)(?<!stands)", question), question  # one apples
        assert not re.search(r"(?<![\d\w:]) {2}|[{}]|None", question), question
        if template.subject not in ("equations", "arithmetic", "fractions"):
            assert not re.search(r"-\d|\d\.\d|\b0 [a-z]", question), question  # negative prices, half people
        assert worked.plan.endswith(".")
        assert 1 <= len(worked.steps) <= 6
        assert len("\n".join(worked.steps)) <= 140


@EVERY_TEMPLATE
def test_answers_are_of_the_size_of_the_difficulty(template: QuestionTemplate) -> None:
    for difficulty, worked in all_works(template):
        limit = (30, 1_500, 20_000, 40_000)[difficulty]
        assert 0 <= worked.answer <= (limit if template.subject != "units" else 60_000), worked.question


@pytest.mark.parametrize("name", [t.name for t in find_templates("arithmetic", 2)])
def test_expressions_have_the_value_of_the_answer(name: str) -> None:
    (template,) = find_templates(name, 2)
    checked = 0
    for _, worked in instances(template, 2, 100):
        bare = re.fullmatch(r"(?:What is|Calculate|Compute the value of|Find) ([\d\s()+*/-]+)[?.]", worked.question)
        if bare:
            assert evaluate(bare.group(1), Fraction(0)) == worked.answer
            checked += 1
    assert checked > 20


EQUATION = re.compile(
    r"Solve (.+) for \w\.|If (.+), what is \w\?|Find \w such that (.+)\.|What is the value of \w if (.+)\?|"
    r"What is the larger root of (.+)\?|Find the larger solution of (.+)\.|Solve (.+) and give the larger solution\."
)
ONE_UNKNOWN = [t for t in TEMPLATES if t.name.endswith("_equation") or t.name == "quadratic_root"]


@pytest.mark.parametrize("template", ONE_UNKNOWN, ids=lambda t: t.name)
def test_the_answer_solves_the_equation_of_the_question(template: QuestionTemplate) -> None:
    for _, worked in all_works(template):
        found = EQUATION.fullmatch(worked.question)
        assert found, worked.question
        (equation,) = (group for group in found.groups() if group)
        left, right = (evaluate(side, Fraction(worked.answer)) for side in equation.split("="))
        assert left == right, worked.question


def test_the_answer_solves_the_linear_system_of_the_question() -> None:
    (template,) = find_templates("linear_system", 2)
    for _, worked in all_works(template):
        (a, b), (c, d) = re.findall(r"(\d+)x \+ y = (\d+)", worked.question)
        assert int(b) - int(a) * worked.answer == int(d) - int(c) * worked.answer  # both are y


@EVERY_TEMPLATE
def test_a_question_belongs_to_one_set_of_numbers(template: QuestionTemplate) -> None:
    """Were one question written from two sets of numbers, the split by numbers could put it on both sides."""
    sides: dict[str, bool] = {}
    for difficulty in range(template.lowest, 4):
        for numbers, worked in instances(template, difficulty, 200):
            side = template.in_test(numbers)
            assert sides.setdefault(worked.question, side) == side


def test_there_are_many_templates_each_with_several_phrasings() -> None:
    templates = TEMPLATES
    assert len(templates) >= 90
    assert 0.1 < sum(t.held_out for t in templates) / len(templates) < 0.25
    assert {t.subject for t in templates if t.held_out} <= {t.subject for t in templates if not t.held_out}
    for template in templates:
        numbers = template.draw(Draw(random.Random(0), 3))
        words = Words(random.Random(0))
        # The first words that are not names tell the phrasings apart.
        openings = {re.sub(r"[A-Z]\w+", "", template.write(numbers, words).question)[-25:] for _ in range(60)}
        assert len(openings) >= 2, template.name


def test_ordinals() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111)] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th"]
    )


def test_two_people_are_never_the_same() -> None:
    words = Words(random.Random(1))
    assert all(one != two for one, two in (words.two_people() for _ in range(2000)))


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("3 * 4 = 12", True),
        ("3 * 4 = 13", False),
        ("5x = 20 - 5 = 15", True),
        ("5x = 20 - 4 = 16", False),
        ("Tom: 18 * 3 = 54", True),
        ("8 * 12 = 96, 9 * 12 = 109", False),
        ("96 <= 98 < 97", False),
        ("gcd(12, 18) = 6", True),
        ("The last divisor is 6", None),
    ],
)
def test_the_checker_itself_tells_right_from_wrong(line: str, holds: bool | None) -> None:
    assert line_holds(line, Fraction(3)) is holds


@EVERY_TEMPLATE
def test_the_split_is_a_property_of_template_and_numbers(template: QuestionTemplate) -> None:
    rng = random.Random(5)
    drawn = [template.draw(Draw(rng, 3)) for _ in range(600)]
    share = sum(template.in_test(numbers) for numbers in drawn) / len(drawn)
    assert share == 1 if template.held_out else 0.05 < share < 0.4  # about one in five; few numbers scatter more
    assert all(template.in_test(numbers) == template.in_test(numbers[::-1]) for numbers in drawn)
