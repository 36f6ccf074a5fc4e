"""Programs from equations: what they compute, what they show, and what is never made."""

import gzip
import json
import random
from fractions import Fraction

import pytest
from hypothesis import given

from mathwright.problems.equations import EquationError, Expression, evaluate, number, parse
from mathwright.records import Part
from mathwright.sft.conversion.check import is_hard_coded, run_programs
from mathwright.sft.conversion.programs import program_from_equation, program_from_solution, worked_lines
from mathwright.sft.conversion.steps import marked_steps, without_marks, written_steps
from mathwright.tools.sandbox import Sandbox
from tests.problems.test_equations import DATA, expressions
from tests.properties import examples


@pytest.fixture(scope="module")
def sandbox() -> object:
    with Sandbox() as opened:
        yield opened


def printed(code: str) -> str:
    """Our own programs, run here: the sandbox is slower, and has its test below."""
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    return out.getvalue().strip()


def test_marks_become_lines_and_earlier_results_variables() -> None:
    solution = "She sold 48/2 = <<48/2=24>>24 clips in May.\nShe sold 48+24 = <<48+24=72>>72 altogether."
    code = program_from_solution("She sold 48 clips, and half as many in May. How many?", solution, "72")
    assert code == (
        "# She sold 48/2 = 24 clips in May.\nstep_1 = 48 / 2\n"
        '# She sold 48+24 = 72 altogether.\nstep_2 = 48 + step_1\nprint(f"{step_2:.12g}")\n'
    )
    assert printed(code) == "72"


def test_a_number_of_the_question_is_never_taken_for_a_result() -> None:
    solution = "It makes 2*3=<<2*3=6>>6.\nWith the 6 others 6+6=<<6+6=12>>12."
    code = program_from_solution("2 bags of 3 pens, and 6 others?", solution, "12")
    assert code is not None and "6 + 6" in code


def test_equal_results_are_used_in_turn_and_common_numbers_only_once() -> None:
    solution = (
        "The waist is 300/3=<<300/3=100>>100.\nThe cuffs are 2*50=<<2*50=100>>100.\n"
        "In all 100+100+300=<<100+100+300=500>>500.\nThat is 500/100=<<500/100=5>>5 m."
    )
    code = program_from_solution("A hem of 300, a third of it, and 2 cuffs of 50?", solution, "5")
    assert code is not None and "step_2 + step_1 + 300" in code and "step_3 / 100" in code
    solution = "He gets 8*.5=<<8*.5=4>>4.\nSo 8+4=<<8+4=12>>12.\nIn 4 weeks 12*4=<<12*4=48>>48."
    code = program_from_solution("8 a day, half more?", solution, "48")
    assert code is not None and "8 + step_1" in code and "step_2 * 4" in code


@pytest.mark.parametrize(
    ("question", "solution", "answer", "lines"),
    [
        (  # what the question names in words is no result: a sixth of it is not a division by what Bob ate
            "Bob ate half of 12 slices, Sally a sixth. What did they eat?",
            "Bob ate 12/2=<<12/2=6>>6.\nSally ate 12/6=<<12/6=2>>2.\nTogether 6+2=<<6+2=8>>8.", "8",
            ["step_2 = 12 / 6", "step_3 = 6 + 2"],
        ),
        (  # of equal results the last one: the beef costs what the line before says
            "Two salads at 3 each, 2 kg of beef at double that. What is paid?",
            "Salads are 2*3=<<2*3=6>>6.\nBeef is 2*3=<<2*3=6>>6 a kg.\nSo 2*6=<<2*6=12>>12.\n6+12=<<6+12=18>>18.", "18",
            ["step_3 = 2 * step_2", "step_4 = step_1 + step_3"],
        ),
        (  # a common number that is added is a result again; what multiplies is not
            "He sold 48 on Monday and a twelfth of it more on Tuesday. How many in a year?",
            "He sold 48/12=<<48/12=4>>4 more.\nSo 48+4=<<48+4=52>>52.\nAll 52+48+4=<<52+48+4=104>>104.\n"
            "That is 104*52=<<104*52=5408>>5408.", "5408",
            ["step_3 = step_2 + 48 + step_1", "step_4 = step_3 * 52"],
        ),
        (  # equal results take turns within a line
            "180 students, 1/4 ill, 1/3 of the others away. Who is left?",
            "180/4=<<180/4=45>>45.\n180-45=<<180-45=135>>135.\n135/3=<<135/3=45>>45.\n180-45-45=<<180-45-45=90>>90.",
            "90",
            ["step_4 = 180 - step_3 - step_1"],
        ),
        (  # a result is no factor of itself
            "100 dollars at 10% for 2 years?",
            "100*1.1=<<100*1.1=110>>110.\n110*(110/100)=<<110*(110/100)=121>>121.", "121",
            ["step_2 = step_1 * (110 / 100)"],
        ),
    ],
)  # fmt: skip
def test_results_by_chance(question: str, solution: str, answer: str, lines: list[str]) -> None:
    code = program_from_solution(question, solution, answer)
    assert code is not None and float(printed(code)) == float(answer)
    assert set(lines) <= set(code.splitlines()), code


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("Each costs $20 / 2 shirts = $10.", "10"),
        ("On a month it earns $5400/week * 4 weeks = $21600", "21600"),
        ("Anna spent $5.80 − $1.80 = $4 more.", "4"),
        ("183 games / 300 games * 100% = 61%", "61"),
        ("Thus 5x = 60.\nDividing by 5, x = 12.", "12"),
        ("Shells: 80(.95)=76", "76"),
        ("It costs 5 x $3 = $15", "15"),
        ("It is 10/3 = 3 whole ones", "3"),
        ("It is 10/3 = 3.33 each", "3.33"),
        ("7/2 = <<7/2=4>>4 buses", "4"),
        ("It is 3/4=<<3/4=0.75>>0.75 of them", "75"),  # asked in percent
    ],
)
def test_equations_in_words(solution: str, answer: str) -> None:
    code = program_from_solution("How many?", solution, answer)
    assert code is not None
    assert number(printed(code)) == number(answer), code


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("So A = <<7=7>>7.", "7"),  # computes nothing
        ("It follows that she has 9.", "9"),
        ("2+2 = 5", "5"),  # is not so
        ("5x = 60, so we are done", "12"),  # the solution is never stated
        ("2*3=<<2*3=6>>6", "7"),
        ("2*3=<<2*3=6>>6", "six"),
    ],
)
def test_no_program_where_no_equation_gives_the_answer(solution: str, answer: str) -> None:
    assert program_from_solution("How many?", solution, answer) is None


def test_an_equation_that_states_what_it_is_not_is_left_out() -> None:
    assert marked_steps("It is <<2+2=5>>5 and 3+3=<<3+3=6>>6")[0].value == 6
    assert [step.rounding for step in written_steps("10/3 = 3 and 10/4 = 3 and 10/3 = 3.3")] == [
        "down",
        "up",
        "rounded",
    ]


def test_marks_and_empty_lines_go() -> None:
    assert without_marks("a <<1+1=2>>2\n\n  b  c\n") == "a 2\nb c"


@examples(150)
@given(expressions())
def test_the_program_of_an_equation_prints_its_value(expression: Expression) -> None:
    try:
        value = evaluate(expression)
        code = program_from_equation(expression, value)
    except EquationError:
        return
    assert abs(Fraction(printed(code)) - value) <= abs(value) * Fraction(1, 10**9), code


@examples(150)
@given(expressions())
def test_the_last_worked_line_ends_in_the_value(expression: Expression) -> None:
    try:
        value = evaluate(expression)
        lines = worked_lines(expression)
    except EquationError:
        return
    for line in lines:
        left, _, right = line.partition(" = ")
        assert evaluate(parse(left)) == number(right), line
    if lines:
        assert number(lines[-1].partition(" = ")[2]) in (value, -value)


def test_the_sandbox_decides(sandbox: Sandbox) -> None:
    outcomes = run_programs(
        [("print(6 * 7)", "42"), ("print(6)", "42"), ("1/0", "1"), ("pass", "1"), ("print(5)", "")], sandbox
    )
    assert [outcome.reason for outcome in outcomes] == [
        "", "program gives another answer", "program failed", "program prints nothing", "",
    ]  # fmt: skip


def rows(name: str) -> list[dict[str, str]]:
    file = DATA / name
    if not file.is_file():
        pytest.skip("the real data is not here")
    with gzip.open(file, "rt") if name.endswith(".gz") else file.open() as lines:
        return [json.loads(line) for line in lines]


def test_goal_on_real_gsm8k(sandbox: Sandbox) -> None:
    """97% of the training problems get a program; a sample of these is run."""
    made = []
    found = rows("problems/gsm8k_train.jsonl.gz")
    for row in found:
        solution, _, answer = row["answer"].rpartition("####")
        answer = answer.strip().replace(",", "")
        if (code := program_from_solution(row["question"], solution, answer)) is not None:
            made.append((code, answer))
    assert len(made) >= 0.975 * len(found)
    chosen = random.Random(0).sample(made, 40)
    assert not [o for o in run_programs(chosen, sandbox) if o.reason]


@pytest.mark.parametrize("name", ["chinese/math23k_test.jsonl", "chinese/ape210k_test.jsonl.gz"])
def test_goal_on_real_chinese_equations(name: str) -> None:
    found = rows(name)
    right = 0
    for row in found:
        answer = number(row["ans"])
        assert answer is not None
        right += number(printed(program_from_equation(parse(row["equation"]), answer))) == answer
    assert right >= 0.99 * len(found)


@pytest.mark.parametrize("equation", ["x=135/3", "x=135/4", "x=1/(1/5+1/20)", "x=0.1+0.2", "x=7.5*2"])
def test_what_is_printed_does_not_depend_on_what_comes_out(equation: str) -> None:
    expression = parse(equation)
    code = program_from_equation(expression, evaluate(expression))
    assert code.endswith('print(f"{answer:.12g}")\n'), "who learns to round where the answer is whole rounds elsewhere"
    assert Fraction(printed(code)) == evaluate(expression)


def test_what_vanishes_is_shown_as_nothing() -> None:
    expression = parse("x=(-1)^6+(-24)*(1/8+2(2/3)-2.75)")
    assert printed(program_from_equation(expression, Fraction(0))) == "0"


@pytest.mark.parametrize(
    ("code", "hard_coded"),
    [("answer = 3\nprint(answer)", True), ("answer = 1 + 2\nprint(answer)", False),
     ("print(max([3, 2]))", False), ("x = 3 if True else 2\nprint(x)", True), ("print(", False)],
)  # fmt: skip
def test_a_program_that_computes_nothing_is_told(code: str, hard_coded: bool) -> None:
    assert is_hard_coded([Part(kind="code", text=code)], "3") == hard_coded
    assert not is_hard_coded([Part(kind="text", text="3")], "3")
    assert is_hard_coded([Part(kind="code", text="print(-3)")], "-3")
