"""How a row of each published data set becomes a question with its reference.

A reader takes one row and gives a Draft, or Dropped with the reason why the row cannot be asked. It knows the layouts
in which its data set is found: the files of the authors, and the copy on the Hugging Face hub where that one differs.
`docs/benchmarks.md` lists them. All raise LayoutError for a row that is in none of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mathwright.problems.equations import plain_answer
from mathwright.problems.fields import (
    LETTERS,
    LayoutError,
    Row,
    field,
    items,
    label,
    last_boxed,
    letters,
    number_text,
    split_options,
    text,
    without_letters,
)
from mathwright.records import Problem, from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A problem before it has a name and a place; the fields mean what they mean in `records.Problem`."""

    question: str
    answer: str
    id: str = ""
    """The id the file gives it; "" where it gives none."""
    subject: str = ""
    level: str = ""
    choices: tuple[str, ...] = ()
    tests: str = ""
    theorem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A row that cannot be asked as text or has no single answer."""

    reason: str


def unusable(draft: Draft | Problem) -> str:
    """Why a problem cannot be asked or judged, or ""."""
    if not draft.question.strip():
        return "empty question"
    if not (draft.answer.strip() or draft.tests or draft.theorem):
        return "empty reference"
    if len(draft.choices) > len(LETTERS):
        return f"more than {len(LETTERS)} options"
    if draft.choices and not set(draft.answer.strip()) <= set(LETTERS[: len(draft.choices)]):
        return "answer names no option"
    return ""


# --- the paper's benchmarks -----------------------------------------------------------------------


def gsm8k(row: Row) -> Draft:
    """{"question", "answer"}: the worked solution, then "#### 72"."""
    question, (_, mark, answer) = text(row, "question"), text(row, "answer").rpartition("####")
    if not mark:
        raise LayoutError("no '####' before the final answer")
    return Draft(question=question, answer=answer.strip().replace(",", ""), subject="grade school")


def math(row: Row) -> Draft:
    r"""{"problem", "solution", "level", "type"}: the answer is in the last \boxed{} of the solution."""
    return _math(row, (last_boxed(text(row, "solution")) or "").strip())


def math500(row: Row) -> Draft:
    """{"problem", "answer", "subject", "level", "unique_id"}."""
    return _math(row, text(row, "answer"))


def _math(row: Row, answer: str) -> Draft:
    return Draft(
        question=text(row, "problem"),
        answer=answer,
        id=label(row, "unique_id"),
        subject=label(row, "type", "subject"),
        level=label(row, "level").removeprefix("Level "),
    )


def ocw(row: Row) -> Draft:
    """{"problem", "solution", "answer", "id"}; on the hub {"question", "answer"}."""
    return Draft(question=text(row, "problem", "question"), answer=text(row, "answer"), id=label(row, "id"))


def sat(row: Row) -> Draft:
    """{"question", "options", "Answer", "id"}; on the hub {"Question", "Possible Answers", "Answer"}."""
    options = split_options(text(row, "options", "Possible Answers"))
    return _choice(text(row, "question", "Question"), options, field(row, "Answer"), id=label(row, "id"))


def mmlu(row: Row) -> Draft:
    """{"question", "options", "answer": "B", "topic", "id"}; on the hub {..., "choices", "answer": 1, "subject"}."""
    return _choice(
        text(row, "question"),
        without_letters(items(row, "options", "choices")),
        field(row, "answer"),
        id=label(row, "id"),
        subject=label(row, "topic", "subject"),
    )


def cmath(row: Row) -> Draft:
    """{"grade", "question" or "input", "golden"}."""
    grade = label(row, "grade")
    answer = number_text(field(row, "golden"))
    return Draft(question=text(row, "question", "input"), answer=answer, level=f"grade {grade}" if grade else "")


def gaokao_mathcloze(row: Row) -> Draft:
    """{"question", "answer"}, answers of several blanks joined by ";"; on the hub {"query", "answer"}."""
    return Draft(question=_gaokao_question(row), answer=text(row, "answer"))


def gaokao_mathqa(row: Row) -> Draft:
    """{"question", "options", "label"}; on the hub {"query", "choices", "gold": [3]}. Some have several letters."""
    options = without_letters(items(row, "options", "choices"))
    return _choice(_gaokao_question(row), options, field(row, "label", "gold"))


def _gaokao_question(row: Row) -> str:
    if "query" not in row:
        passage = label(row, "passage")
        # the files end many questions with a TeX line break
        question = text(row, "question").removesuffix("\\\\").strip()
        return f"{passage}\n{question}" if passage else question
    asked = text(row, "query").removeprefix("问题：")
    return re.split(r"\s*(?:选项：|\n答案：)", asked)[0].removesuffix("\\\\").strip()


def mgsm(row: Row) -> Draft:
    """{"messages", "answer", "id"}; on the hub {"question", "answer_number"}, whose "answer" is null in the test."""
    if "messages" not in row:
        return Draft(question=text(row, "question"), answer=number_text(field(row, "answer_number")))
    messages = items(row, "messages")
    if not messages or not isinstance(messages[0], dict):
        raise LayoutError("has no message in the field 'messages'")
    answer = number_text(field(row, "answer"))
    return Draft(question=text(messages[0], "content"), answer=answer, id=label(row, "id"))


def humaneval(row: Row) -> Draft:
    """{"task_id", "prompt", "entry_point", "canonical_solution", "test"}: the test is called with the function."""
    prompt = text(row, "prompt", strip=False)  # the solution continues it
    tests, entry = text(row, "test"), text(row, "entry_point")
    return Draft(
        question=prompt,
        answer=f"{prompt}{field(row, 'canonical_solution')}",
        id=label(row, "task_id"),
        tests=f"{tests}\n\ncheck({entry})\n" if tests else "",
    )


MBPP_TEST = range(11, 511)
"""Task ids of the test problems; the authors' one file holds all splits."""


def mbpp(row: Row) -> Draft | Dropped:
    """{"task_id", "text" or "prompt", "code", "test_list", "test_setup_code" or "test_imports"}.

    The question shows the tests, as in the authors' prompt: without them nobody can know the function's name.
    """
    if field(row, "task_id") not in MBPP_TEST:
        return Dropped(reason="no test problem")
    shown = "\n".join(map(str, items(row, "test_list")))
    setup = [*row.get("test_imports", []), label(row, "test_setup_code")]
    return Draft(
        question=f"{text(row, 'text', 'prompt')}\nYour code should pass these tests:\n\n{shown}",
        answer=text(row, "code"),
        id=label(row, "task_id"),
        tests="\n".join([*filter(None, setup), shown, ""]) if shown else "",
    )


def bbh(row: Row) -> Draft:
    """{"input", "target"}: options, where there are any, stand in the input, and the target is "(B)", "Yes", a number,
    words or brackets."""
    return Draft(question=text(row, "input"), answer=text(row, "target"), subject=label(row, "task"))


def minif2f(row: Row) -> Draft:
    """{"informal_statement", "informal_proof", "formal_statement", "header", "problem_name", "id"}: Isabelle."""
    statement = text(row, "formal_statement")
    informal = f"### Problem\n\n{text(row, 'informal_statement')}\n\n### Solution\n\n{text(row, 'informal_proof')}"
    name = label(row, "problem_name")
    return Draft(
        question=f"Informal:\n(*{informal}*)\n\nFormal:\n{statement}",
        answer="",
        id=label(row, "id"),
        subject=name.split("_")[0],
        theorem=f"{text(row, 'header')}\n\n{statement}",
    )


# --- not in the paper -----------------------------------------------------------------------------


def svamp(row: Row) -> Draft:
    """{"Body", "Question", "Answer", "ID", "Type"}: the body often lacks its full stop."""
    return Draft(
        question=_joined(text(row, "Body"), text(row, "Question")),
        answer=number_text(field(row, "Answer")),
        id=label(row, "ID"),
        subject=label(row, "Type"),
    )


def asdiv(row: Row) -> Draft | Dropped:
    """{"body", "question", "answer": "9 (apples)", "solution_type"}; rows with several answers are dropped."""
    answer = re.sub(r"\s*\([^()]*\)", "", text(row, "answer")).strip()
    if ";" in answer:
        return Dropped(reason="several answers")
    grade = label(row, "grade")
    return Draft(
        question=_joined(text(row, "body"), text(row, "question")),
        answer=answer,
        subject=label(row, "solution_type"),
        level=f"grade {grade}" if grade else "",
    )


def _joined(body: str, question: str) -> str:
    return f"{body} {question}" if not body or body[-1] in ".?!,;:" else f"{body}. {question}"


def mawps(row: Row) -> Draft | Dropped:
    """{"Question": "... N_00 ...", "Numbers": "3 4", "Answer"} (hub), {"sQuestion", "lSolutions"} (authors), or
    {"question" or "input", "answer" or "target"}.
    """
    answer = field(row, "Answer", "lSolutions", "answer", "target")
    if isinstance(answer, list):
        if len(answer) != 1:
            return Dropped(reason="several answers")
        answer = answer[0]
    question = text(row, "Question", "sQuestion", "question", "input")
    if re.search(r"\bN_\d+", question):
        question = _with_numbers(question, field(row, "Numbers"))
    return Draft(question=question, answer=number_text(answer), id=label(row, "iIndex"))


def _with_numbers(question: str, numbers: Any) -> str:
    """The question with its numbers in the places N_00, N_01, ..."""
    values = numbers.replace(",", " ").split() if isinstance(numbers, str) else numbers
    if not isinstance(values, list):
        raise LayoutError(f"has no numbers in the field 'Numbers': {numbers!r}")

    def value(match: re.Match[str]) -> str:
        place = int(match.group(1))
        if place >= len(values):
            raise LayoutError(f"asks for the number {match.group()}, but has only {len(values)}")
        return number_text(values[place])

    return re.sub(r"\bN_(\d+)", value, question)


def gsm_hard(row: Row) -> Draft:
    """{"input", "target": 1.0}."""
    return Draft(question=text(row, "input"), answer=number_text(field(row, "target")))


def aqua(row: Row) -> Draft:
    """{"question", "options": ["A)36", ...], "correct"}."""
    return _choice(text(row, "question"), without_letters(items(row, "options")), field(row, "correct"))


def mathqa(row: Row) -> Draft:
    """{"problem", "options": "a ) 12 , b ) 16", "correct": "a", "type"}; on the hub {"Problem", ..., "category"}."""
    return _choice(
        text(row, "problem", "Problem"),
        split_options(text(row, "options"), separator=","),
        field(row, "correct"),
        subject=label(row, "type", "category"),
    )


def theoremqa(row: Row) -> Draft | Dropped:
    """{"Question", "Answer", "Answer_type", "Picture", "field", "subfield", "id"}; on the hub the answer is a text.

    Floats keep their point (345.0), for the authors' scorer allows them 4%, and integers nothing.
    """
    question, answer = text(row, "Question"), field(row, "Answer")
    if row.get("Picture"):
        return Dropped(reason="needs a picture")
    if isinstance(answer, list):
        written = f"[{', '.join(number_text(item, keep_point=True) for item in answer)}]"
    else:
        written = str(answer) if isinstance(answer, bool) else number_text(answer, keep_point=True)
    return Draft(
        question=question,
        answer=written,
        id=label(row, "id").removesuffix(".json"),
        subject=label(row, "field"),
    )


def math23k(row: Row) -> Draft:
    """{"original_text", "ans", "id"}; Ape210K alike. Fractions stand in parentheses: 5((7)/(10)) is 57/10."""
    answer = plain_answer(number_text(field(row, "ans", "answer")))
    return Draft(question=text(row, "original_text"), answer=answer, id=label(row, "id"))


def gaokao_bench_cloze(row: Row) -> Draft:
    r"""{"question": "13. (5 分) ...", "answer", "category"}: of two spellings (`0.3 \# \# ...`) the first stays."""
    answer, *others = re.split(r"\s*\\#\s*\\#\s*", text(row, "answer"))
    if others and answer.startswith("$") and answer.count("$") == 1:
        answer += "$"
    return Draft(
        question=_unnumbered(text(row, "question")),
        answer=re.sub(r"\s*[.．。]$", "", answer),
        subject=_exam(row),
    )


def gaokao_bench_choice(row: Row) -> Draft:
    """{"question": "1. (5 分) ... A. ... D. ...", "answer": ["D"], "category"}."""
    asked = text(row, "question")
    parts = re.fullmatch(r"(.*)" + "".join(rf"\s{letter}\s*[.．、]\s*(.*?)" for letter in "ABCD"), asked, re.DOTALL)
    if parts is None:
        raise LayoutError("has no options A to D in the field 'question'")
    question, *options = (part.strip() for part in parts.groups())
    return _choice(_unnumbered(question), options, field(row, "answer"), subject=_exam(row))


def _unnumbered(question: str) -> str:
    return re.sub(r"^\s*\d{1,2}\s*[.．]\s*(?:[(（]\s*\d+\s*分\s*[)）])?\s*", "", question)


def _exam(row: Row) -> str:
    return label(row, "category").strip("（）()")


def tal_scq5k(row: Row) -> Draft:
    """{"problem", "answer_option_list": [[{"aoVal": "A", "content"}], ...], "answer_value", "queId", "difficulty"}."""
    options = items(row, "answer_option_list")
    try:
        named = {item["aoVal"].strip(): item["content"] for option in options for item in option}
    except (TypeError, KeyError, AttributeError) as error:
        raise LayoutError("has no options with 'aoVal' and 'content' in 'answer_option_list'") from error
    routes = row.get("knowledge_point_routes") or [""]
    route = str(routes[0]).split("->")
    return _choice(
        text(row, "problem"),
        without_letters([named[letter] for letter in sorted(named)]),
        field(row, "answer_value"),
        # `qid` is not unique: it starts again in each of the sets that were put together
        id=label(row, "queId"),
        subject=route[2] if len(route) > 2 else route[-1],
        level=label(row, "difficulty"),
    )


def record(row: Row) -> Problem | Dropped:
    """One of our own Problem records; those to train on are no test."""
    try:
        problem = from_json(Problem, row)
    except ValueError as error:
        raise LayoutError(f"not a Problem: {error}") from error
    return Dropped(reason="training problem") if problem.split == "train" else problem


def _choice(question: str, options: Sequence[str], answer: Any, **fields: str) -> Draft:
    return Draft(question=question, choices=tuple(options), answer=letters(answer), **fields)
