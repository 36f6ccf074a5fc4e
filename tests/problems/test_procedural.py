"""The procedural source: determinism, the split by template and by numbers, its three solution formats."""

import dataclasses
import re
import time

import pytest

from mathwright.errors import MathwrightError
from mathwright.problems.formats import response_text
from mathwright.problems.procedural import Generated, find_templates, generate, run_in_sandbox, solutions
from mathwright.problems.questions.base import registered
from tests.problems.running import run_here


def make(seed: int = 0, difficulty: int = 2, names: str = "", num_train: int = 600, num_test: int = 200):
    return generate(
        find_templates(names, difficulty), difficulty=difficulty, num_train=num_train, num_test=num_test, seed=seed
    )


def visible(item: Generated) -> tuple[str, ...]:
    """The numbers one sees in a question, and its units: what a copying model could remember."""
    units = re.findall(r"\b(?:\w*meters|days|months|weeks|years|hours|minutes|seconds|grams)\b", item.problem.question)
    return (item.template, *sorted(re.findall(r"\d+", item.problem.question)), *sorted(units))


def test_the_seed_decides_everything() -> None:
    assert make(seed=1) == make(seed=1)
    assert make(seed=1) != make(seed=2)


def test_problems_of_a_template_do_not_depend_on_the_other_templates() -> None:
    alone, _ = make(names="change", num_train=20, num_test=0)
    among, _ = make(names="change,profit,add_two", num_train=60, num_test=0)
    assert [item for item in among if item.template == "change"] == alone


@pytest.mark.parametrize("difficulty", [0, 1, 2, 3])
def test_test_problems_share_neither_template_nor_numbers_with_training(difficulty: int) -> None:
    train, test = make(difficulty=difficulty, num_train=240 if difficulty == 0 else 3000, num_test=60)
    templates = registered()
    assert not any(templates[item.template].held_out for item in train)
    for item in test:
        held_out = templates[item.template].held_out
        assert item.problem.split == ("test_templates" if held_out else "test_numbers")
    assert {item.problem.split for item in test} == {"test_templates", "test_numbers"}
    assert not {(i.template, tuple(sorted(i.numbers))) for i in train} & {
        (i.template, tuple(sorted(i.numbers))) for i in test
    }
    assert not {visible(item) for item in train} & {visible(item) for item in test}


def test_the_test_of_one_seed_is_not_in_the_training_of_another() -> None:
    _, test = make(seed=1, difficulty=1, num_train=0, num_test=500)
    train, _ = make(seed=2, difficulty=1, num_train=3000, num_test=0)
    assert not {item.problem.question for item in test} & {item.problem.question for item in train}


def test_questions_and_ids_are_distinct() -> None:
    train, test = make(difficulty=1, num_train=3000, num_test=500)
    assert len({item.problem.question for item in train + test}) == 3500
    assert len({item.problem.id for item in train + test}) == 3500


def test_templates_are_asked_evenly() -> None:
    train, test = make(num_train=800, num_test=192)
    counts = {}
    for item in train:
        counts[item.template] = counts.get(item.template, 0) + 1
    assert set(counts.values()) == {10}
    assert {item.template for item in test} == {template.name for template in find_templates("", 2)}


def test_the_smallest_difficulty_keeps_to_single_digits() -> None:
    train, test = make(difficulty=0, num_train=240, num_test=60)
    for item in train + test:
        assert float(item.problem.answer) <= 25
        if item.template not in ("next_arithmetic", "plus_equation", "divide_two", "share_equally"):
            assert all(int(number) < 10 for number in re.findall(r"\d+", item.problem.question))


def test_templates_are_chosen_by_name_and_by_subject() -> None:
    assert [t.name for t in find_templates("profit, add_two", 2)] == ["profit", "add_two"]
    assert {t.subject for t in find_templates("ages", 2)} == {"ages"}
    assert len(find_templates("", 0)) < len(find_templates("", 1)) < len(find_templates("", 2))


def test_bad_choices_are_named() -> None:
    with pytest.raises(MathwrightError, match="'ad_two'"):
        find_templates("ad_two", 1)
    with pytest.raises(MathwrightError, match=r"'profit' has no sense at difficulty 0.*to 1 or more"):
        find_templates("profit", 0)
    with pytest.raises(MathwrightError, match="difficulty 7"):
        find_templates("", 7)


def test_asking_for_more_than_there_is_says_how_many_there_are() -> None:
    with pytest.raises(MathwrightError, match=r"only \d+ training questions at difficulty 0, 5000 were asked for"):
        make(difficulty=0, names="multiply_two", num_train=5000, num_test=0)
    with pytest.raises(MathwrightError, match="only 0 training questions"):
        make(names="difference_times", num_train=1, num_test=1)  # held out: none to train on


def test_each_problem_is_solved_in_three_formats() -> None:
    train, _ = make(names="change", num_train=1, num_test=0)
    cot, pot, tool = solutions(train, run_here)
    answer = train[0].problem.answer
    assert [s.format for s in (cot, pot, tool)] == ["cot", "pot", "tool"]
    assert {s.problem_id for s in (cot, pot, tool)} == {train[0].problem.id}
    closing = f"The answer is \\boxed{{{answer}}}."
    steps = "\n".join(train[0].worked.steps)
    code = train[0].worked.code
    assert response_text(cot) == f" {steps}\n{closing}"
    assert response_text(pot) == f" ```python\n{code}\n```\n"
    assert response_text(tool) == (
        f" {train[0].worked.plan}\n```python\n{code}\n```\n```output\n{answer}\n```\n{closing}"
    )


def test_a_program_that_prints_something_else_is_our_bug() -> None:
    train, _ = make(num_train=3, num_test=0)
    wrong = dataclasses.replace(train[1], worked=dataclasses.replace(train[1].worked, code="print('12 apples')"))
    with pytest.raises(RuntimeError, match=rf"template {wrong.template}.*'12 apples"):
        solutions([train[0], wrong], run_here)


def test_the_sandbox_prints_what_plain_python_prints() -> None:
    train, _ = make(num_train=200, num_test=0)
    codes = [item.worked.code for item in train]
    assert run_in_sandbox(codes) == run_here(codes)


def test_programs_of_one_script_do_not_see_each_other() -> None:
    assert run_in_sandbox(["secret = 1\nprint(secret)", "print('secret' in globals())"]) == ["1\n", "False\n"]


def test_a_failing_program_is_reported() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run_in_sandbox(["print(1)", "print(1 / 0)"])


def test_generation_is_fast() -> None:
    started = time.process_time()
    train, _ = make(difficulty=3, num_train=5000, num_test=0)
    assert len(train) / (time.process_time() - started) > 2_000  # about 30,000 a second on an idle core
