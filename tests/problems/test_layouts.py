"""Each layout of authors' files and of the hub by a row of our own, and the reading of its fields."""

import json
from pathlib import Path
from typing import Any

import pytest

from mathwright.problems.benchmarks import BENCHMARKS, load_benchmark
from mathwright.problems.fields import LayoutError, letters, number_text, split_options, without_letters
from mathwright.problems.prompts import build_prompt, question_with_choices
from mathwright.records import Problem
from tests.problems.benchmark_rows import GSM, MBPP, MCQ, TAL, load

LAYOUTS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("gsm8k", "", GSM, {"question": "How many?", "answer": "1002", "id": "gsm8k-test-0", "language": "en"}),
    (
        "math",
        "",
        {
            "problem": "Why?",
            "solution": "$\\boxed{1}$ or $\\boxed{\\frac{1}{2}}$",
            "level": "Level 5",
            "type": "Algebra",
        },
        {"answer": "\\frac{1}{2}", "level": "5", "subject": "Algebra", "id": "math-test-0"},
    ),
    (
        "math500",
        "",
        {"problem": "Why?", "answer": "2", "subject": "Algebra", "level": 3, "unique_id": "test/algebra/1.json"},
        {"answer": "2", "level": "3", "subject": "Algebra", "id": "math500-test/algebra/1.json"},
    ),
    ("ocw", "file", {"problem": "Why?", "solution": "", "answer": "4.5e33", "id": "7"}, {"id": "ocw-test-7"}),
    ("ocw", "hub", {"question": "Why?", "answer": "4.5e33"}, {"question": "Why?", "answer": "4.5e33"}),
    (
        "sat",
        "file",
        {"id": "3", "question": "Pick.", "options": "A) set $B$ B) $x, y$ C) a B D) 4", "Answer": "C"},
        {"choices": ("set $B$", "$x, y$", "a B", "4"), "answer": "C", "id": "sat-test-3"},
    ),
    (
        "sat",
        "hub",
        {"Question": "Pick.", "Possible Answers": "A. 1,190 B. 1,900 C. 2,900 D. 19,000", "Answer": "B"},
        {"choices": ("1,190", "1,900", "2,900", "19,000"), "answer": "B"},
    ),
    (
        "mmlu_stem",
        "file",
        {"question": "Pick.", "options": ["0", "4", "2", "6"], "answer": "B", "topic": "abstract_algebra", "id": 5},
        {"choices": ("0", "4", "2", "6"), "answer": "B", "subject": "abstract_algebra", "id": "mmlu_stem-test-5"},
    ),
    (
        "mmlu_stem",
        "hub",
        {"question": "Pick.", "subject": "astronomy", "choices": ["0", "4", "2", "6"], "answer": 3},
        {"choices": ("0", "4", "2", "6"), "answer": "D", "subject": "astronomy"},
    ),
    ("cmath", "file", {"grade": 1, "question": "多少？", "golden": "3/5"}, {"answer": "3/5", "level": "grade 1"}),
    ("cmath", "input", {"grade": 6, "input": "多少？", "golden": "40%"}, {"question": "多少？", "language": "zh"}),
    (
        "gaokao_mathcloze",
        "file",
        {"passage": None, "question": "则 $a=(\\quad)$\\\\\n", "options": None, "label": None, "answer": "$5$;$10$"},
        {"question": "则 $a=(\\quad)$", "answer": "$5$;$10$", "choices": ()},
    ),
    (
        "gaokao_mathcloze",
        "hub",
        {"query": "问题：则 $a=$\n答案：", "answer": "2"},
        {"question": "则 $a=$", "answer": "2"},
    ),
    (
        "gaokao_mathqa",
        "file",
        {"passage": "甲", "question": "则\\\\\n", "options": ["(A)$1$", "(B)$2$", "(C)(0,1)"], "label": "A C"},
        {"question": "甲\n则", "choices": ("$1$", "$2$", "(0,1)"), "answer": "AC"},
    ),
    (
        "gaokao_mathqa",
        "hub",
        {"query": "问题：则 选项：(A)1 (B)2\n答案：从A到B, 我们应选择", "choices": ["(A)1", "(B)2"], "gold": [1]},
        {"question": "则", "choices": ("1", "2"), "answer": "B"},
    ),
    (
        "mgsm_zh",
        "file",
        {"id": "4", "messages": [{"role": "user", "content": "多少？"}, {"role": "assistant"}], "answer": "18"},
        {"question": "多少？", "answer": "18", "id": "mgsm_zh-test-4", "language": "zh"},
    ),
    (
        "mgsm_zh",
        "hub",
        {"question": "多少？", "answer": None, "answer_number": 18, "equation_solution": None},
        {"question": "多少？", "answer": "18"},
    ),
    (
        "svamp",
        "file",
        {"ID": "chal-1", "Body": "Dan has 3", "Question": "How many?", "Answer": 1.0, "Type": "Subtraction"},
        {"question": "Dan has 3. How many?", "answer": "1", "subject": "Subtraction", "id": "svamp-chal-1"},
    ),
    (
        "svamp",
        "hub",
        {"ID": "chal-2", "Body": "Dan has 3.", "Question": "How many?", "Answer": "145.0", "question_concat": "..."},
        {"question": "Dan has 3. How many?", "answer": "145"},
    ),
    (
        "asdiv",
        "",
        {"body": "Seven apples.", "question": "How many?", "answer": "9 (red apples)", "solution_type": "Sum"},
        {"question": "Seven apples. How many?", "answer": "9", "subject": "Sum"},
    ),
    (
        "mawps",
        "hub",
        {"Question": "N_00 nuts and N_01 and again N_00 , N_10 ?", "Numbers": "8.0 2.5" + " 7" * 9, "Answer": "10.50"},
        {"question": "8 nuts and 2.5 and again 8 , 7 ?", "answer": "10.50"},
    ),
    ("mawps", "file", {"sQuestion": "Why?", "lSolutions": [11.0], "iIndex": 6}, {"answer": "11", "id": "mawps-test-6"}),
    ("mawps", "other", {"input": "Why?", "target": 11}, {"question": "Why?", "answer": "11"}),
    ("aqua", "", MCQ, {"choices": ("1", "2", "3"), "answer": "C", "question": "Pick."}),
    (
        "mathqa",
        "file",
        {"problem": "pick .", "options": "a ) ( a + b ) / 2 , b ) 1,600 , c ) c ) 4", "correct": "b", "type": "gain"},
        {"choices": ("( a + b ) / 2", "1,600", "4"), "answer": "B", "subject": "gain"},
    ),
    (
        "mathqa",
        "hub",
        {"Problem": "pick .", "options": "['a ) 4 , 5 cm', 'b ) b ) none']", "correct": "a", "category": "geometry"},
        {"choices": ("4 , 5 cm", "none"), "answer": "A", "subject": "geometry"},
    ),
    *(
        (
            "theoremqa",
            kind,
            {"Question": "?", "Answer": value, "Picture": None, "id": "x/y.json", "field": "Math"},
            fields,
        )
        for kind, value, fields in (
            ("bool", True, {"answer": "True", "id": "theoremqa-x/y", "subject": "Math"}),
            ("integer", 11760, {"answer": "11760"}),
            ("float", 345.0, {"answer": "345.0"}),
            ("small float", 3e-36, {"answer": "3e-36"}),
            ("list", [0.333, 1], {"answer": "[0.333, 1]"}),
            ("option", "(c)", {"answer": "(c)"}),
            ("hub", "1.0", {"answer": "1.0"}),
        )
    ),
    ("gsm_hard", "whole", {"input": "?", "target": 109844510400.0}, {"answer": "109844510400"}),
    ("gsm_hard", "part", {"input": "?", "target": 9284017268534.4}, {"answer": "9284017268534.4"}),
    ("gsm_hard", "small", {"input": "?", "target": -2.0107e-06}, {"answer": "-0.0000020107"}),
    ("math23k", "", {"id": "35", "original_text": "多少？", "ans": "((2)/(3))"}, {"id": "math23k-test-35"}),
    (
        "gaokao_bench_cloze",
        "",
        {"question": "13. （5 分) 则 $a=$\n", "answer": "$\\frac{3}{10} \\# \\# 0.3$ .\n", "category": "（新课标ⅱ）"},
        {"question": "则 $a=$", "answer": "$\\frac{3}{10}$", "subject": "新课标ⅱ", "language": "zh"},
    ),
    (
        "gaokao_bench_choice",
        "",
        {"question": "7.点 A. 在哪\nA. $(0,2)$ B. 上\n\nC．左\nD、$C$ \n", "answer": ["D"], "category": "（全国甲卷）"},
        {"question": "点 A. 在哪", "choices": ("$(0,2)$", "上", "左", "$C$"), "answer": "D"},
    ),
    (
        "tal_scq5k_zh",
        "",
        TAL,
        {
            "choices": ("$$1$$", "星期一"),
            "answer": "B",
            "id": "tal_scq5k_zh-6afc",
            "subject": "应用题模块",
            "level": "2",
        },
    ),
    ("tal_scq5k_en", "no route", {**TAL, "knowledge_point_routes": []}, {"subject": "", "language": "en"}),
    (
        "mbpp",
        "full",
        {**MBPP, "text": "Return it.", "test_setup_code": "import math"},
        {
            "question": "Return it.\nYour code should pass these tests:\n\nassert f(1) == 1\nassert f(2) == 2",
            "tests": "import math\nassert f(1) == 1\nassert f(2) == 2\n",
            "id": "mbpp-test-11",
        },
    ),
    (
        "mbpp",
        "sanitized",
        {**MBPP, "prompt": "Return it.", "test_imports": ["import os"]},
        {"tests": "import os\nassert f(1) == 1\nassert f(2) == 2\n"},
    ),
    (
        "mmlu",
        "hub",
        {"question": "Who?", "choices": ["I", "You"], "answer": 1, "subject": "world_religions"},
        {"choices": ("I", "You"), "answer": "B", "subject": "world_religions", "language": "en"},
    ),
    (
        "bbh",
        "",
        {"input": "Which?\nOptions:\n(A) one\n(B) two", "target": "(B)"},
        {"question": "Which?\nOptions:\n(A) one\n(B) two", "answer": "(B)", "choices": (), "id": "bbh-test-0"},
    ),
]


@pytest.mark.parametrize(("name", "layout", "row", "fields"), LAYOUTS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_row_of_each_layout(
    tmp_path: Path, name: str, layout: str, row: dict[str, Any], fields: dict[str, Any]
) -> None:
    (problem,) = load(tmp_path, name, row).problems
    assert {key: getattr(problem, key) for key in fields} == fields
    assert (problem.source, problem.split) == (name, "test")


def test_big_bench_hard_is_read_from_its_authors_files(tmp_path: Path) -> None:
    (tmp_path / "bbh").mkdir()
    for name, target in (("web_of_lies", "Yes"), ("dyck_languages", "] ] )")):
        examples = [{"input": f"Of {name}?", "target": target}]
        (tmp_path / "bbh" / f"{name}.json").write_text(json.dumps({"canary": "not a row", "examples": examples}))
    problems = load_benchmark("bbh", tmp_path).problems
    assert [(p.question, p.answer) for p in problems] == [("Of dyck_languages?", "] ] )"), ("Of web_of_lies?", "Yes")]


def test_a_theorem_is_asked_with_its_informal_proof_and_keeps_the_header_of_its_theory(tmp_path: Path) -> None:
    row = {
        "problem_name": "mathd_algebra_1", "id": "test-0", "informal_statement": "Show it.", "informal_proof": "Easy.",
        "formal_statement": 'theorem mathd_algebra_1:\n  shows "1 + 1 = (2::nat)"',
        "header": "theory T imports Main\nbegin",
    }  # fmt: skip
    (problem,) = load(tmp_path, "minif2f", row).problems
    assert problem.theorem == f"{row['header']}\n\n{row['formal_statement']}"
    assert (problem.subject, problem.answer) == ("mathd", "")
    asked = build_prompt(problem, "tool", template="plain", shots=3, exemplars="proof_isabelle", tokenizer=None)
    assert asked.mode == "cot"
    assert asked.text.count("(*### Problem") == 4 and asked.text.count("\nqed\n\nQuestion") == 3
    assert asked.text.endswith('shows "1 + 1 = (2::nat)"\nAnswer:')
    alone = build_prompt(problem, "cot", template="deepseekmath", tokenizer=None)
    assert "```isabelle" in alone.text and "boxed" not in alone.text


def test_every_benchmark_has_a_layout_tested_here() -> None:
    tested = {name for name, *_ in LAYOUTS} | {"humaneval", "minif2f"}
    assert tested == set(BENCHMARKS)
    assert [name for name, benchmark in BENCHMARKS.items() if name != benchmark.name] == []


def test_the_reference_programs_pass_the_tests_they_come_with_and_wrong_ones_do_not(tmp_path: Path) -> None:
    prompt = 'def add(a, b):\n    """Sum.\n    >>> add(1, 2)\n    3\n    """\n'
    row = {
        "task_id": "HumanEval/0",
        "prompt": prompt,
        "entry_point": "add",
        "canonical_solution": "    return a + b\n",
        "test": "\n\ndef check(candidate):\n    assert candidate(1, 2) == 3\n",
    }
    (human,) = load(tmp_path, "humaneval", row).problems
    (mbpp,) = load(tmp_path, "mbpp", {**MBPP, "text": "Return it."}).problems
    assert (human.question, human.id) == (prompt, "humaneval-HumanEval/0")
    for problem, wrong in ((human, "def add(a, b):\n    return a - b\n"), (mbpp, "def f(x):\n    return 1\n")):
        exec(f"{problem.answer}\n{problem.tests}", {})
        with pytest.raises(AssertionError):
            exec(f"{wrong}\n{problem.tests}", {})


# --- fields -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1.0, "1"),
        (100.0, "100"),
        (1e22, "1" + "0" * 22),
        (0.1, "0.1"),
        (12, "12"),
        ("7.00", "7"),
        ("0.50", "0.50"),
        ("1/2", "1/2"),
        (-2.5e-07, "-0.00000025"),
    ],
)
def test_numbers_lose_nothing(value: Any, written: str) -> None:
    assert number_text(value) == written


@pytest.mark.parametrize("value", [True, None, [1], float("nan"), float("inf")])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(LayoutError, match="where a number is expected"):
        number_text(value)


@pytest.mark.parametrize(
    ("value", "letter"),
    [
        ("d", "D"),
        ("(B)", "B"),
        (0, "A"),
        (9, "J"),
        (["D"], "D"),
        ("A B D", "ABD"),
        ("CA", "AC"),
        ([2, 0], "AC"),
        ("x", "X"),
        (10, "10"),
        (-1, "-1"),
        ("", ""),
    ],
)
def test_answers_name_letters(value: Any, letter: str) -> None:
    assert letters(value) == letter


def test_letters_go_only_where_every_option_has_its_own() -> None:
    assert without_letters(["(A)1", "B. 2", "C：3"]) == ("1", "2", "3")
    assert without_letters(["A)A)59", "B)B)69"]) == ("59", "69")
    assert without_letters(["P(A) = 1", "(A) and (B)"]) == ("P(A) = 1", "(A) and (B)")
    assert without_letters(["A. thaliana", "E. coli"]) == ("A. thaliana", "E. coli")
    # pandas reads the word None in MMLU's tables as an empty cell
    assert without_letters([float("nan"), "One", None]) == ("None", "One", "None")


def test_an_option_may_be_empty_or_hold_the_next_letter() -> None:
    assert split_options("A) B) set B C) C)") == ("", "set B", "C)")
    assert split_options("a ) x , y , b ) b ) 3", separator=",") == ("x , y", "3")


@pytest.mark.parametrize("line", ["", "12", "A) 1", "B) 1 C) 2", "x A) 1 B) 2", "[1, 2", "['a ) 1' 'b"])
def test_options_that_cannot_be_told_apart_are_refused(line: str) -> None:
    with pytest.raises(LayoutError, match="options"):
        split_options(line)


def test_a_question_is_asked_with_its_options() -> None:
    problem = Problem(id="1", question="Pick?", answer="B", source="x", split="test", choices=("1", "$x$"))
    assert question_with_choices(problem) == "Pick?\n(A) 1\n(B) $x$"
    assert question_with_choices(Problem(id="1", question="Why?", answer="B", source="x", split="test")) == "Why?"
