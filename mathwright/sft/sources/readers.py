"""How a row of each set of worked solutions is read. Each reader takes one row and gives Worked, or Dropped.

All raise LayoutError for a row that is not in the layout. What the columns mean, and their traps, stand with each
source in `catalogue.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mathwright.problems import layouts
from mathwright.problems.fields import LayoutError, Row, field, items, label, number_text, text
from mathwright.problems.layouts import Draft, Dropped
from mathwright.records import Part
from mathwright.sft.conversion.steps import without_marks
from mathwright.sft.sources.worked import (
    Worked,
    Working,
    final_answer,
    language_of,
    named_answer,
    without_thought,
    working_from,
    working_of,
)

Read = Worked | Dropped
NO_ANSWER = "no final answer"


def _worked(draft: Draft, solutions: Sequence[str], **more: Any) -> Worked:
    """A problem and the texts of its solutions."""
    language = more.pop("language", "") or language_of(draft.question)
    workings: list[Working] = []
    rejected: list[tuple[str, str]] = list(more.pop("rejected", ()))
    for solution in solutions:
        working = working_of(solution, draft.answer, language)
        if isinstance(working, str):
            rejected.append((working, solution))
        else:
            workings.append(working)
    return Worked(draft=draft, workings=tuple(workings), rejected=tuple(rejected), language=language, **more)


# --- the paper's ----------------------------------------------------------------------------------


def gsm8k(row: Row) -> Read:
    """The worked solution without its calculator marks; its equations are made into a program."""
    draft = layouts.gsm8k(row)
    marked = text(row, "answer").rpartition("####")[0]
    return _worked(draft, [without_marks(marked)], marked=marked)


def math(row: Row) -> Read:
    """The solution; the answer is in its last box."""
    draft = layouts.math(row)
    return _worked(draft, [text(row, "solution")]) if draft.answer else Dropped(reason=NO_ANSWER)


_ASKS_PROGRAM = re.compile(
    r"\s*(?:let'?s|please|write|use|create|solve|generate|answer)\b[^.?!\n]*\b(?:program|python|code)\b[^.?!\n]*[.!]?\s*\Z",
    re.IGNORECASE,
)


def mathinstruct(row: Row) -> Read:
    """The format is told by the folder in `source`; a program's answer is what it prints."""
    question, output, source = text(row, "instruction"), text(row, "output"), text(row, "source")
    subject = re.sub(r"^data/|\.json$", "", source)
    if "/pot/" in f"/{source.lower()}/".replace("//", "/"):
        draft = Draft(question=_ASKS_PROGRAM.sub("", question).strip(), answer="", subject=subject)
        code = re.sub(r"\A```(?:python)?\n|\n```\s*\Z", "", output).strip("\n")
        if not code:
            return Worked(draft=draft, rejected=(("empty solution", output),))
        return Worked(draft=draft, workings=(Working(format="pot", parts=(Part(kind="code", text=code),)),))
    answer = final_answer(output) or named_answer(output)
    return (
        _worked(Draft(question=question, answer=answer, subject=subject), [output])
        if answer
        else Dropped(reason=NO_ANSWER)
    )


def metamathqa(row: Row) -> Read:
    """The answer stands in the last line of the response, "The answer is: X"."""
    response = text(row, "response")
    answer = final_answer(response)
    draft = Draft(question=text(row, "query"), answer=answer, subject=label(row, "type"))
    return _worked(draft, [response]) if answer else Dropped(reason=NO_ANSWER)


def lila(row: Row) -> Read:
    """Each program of a row is a solution; the split is the row's own."""
    answers = field(row, "Output Answer", "output_answer")
    answers = list(dict.fromkeys(str(a).strip() for a in (answers if isinstance(answers, list) else [answers])))
    if len(answers) != 1:
        return Dropped(reason="several answers" if answers else NO_ANSWER)
    programs = row.get("Output Program") or row.get("output_program") or []
    programs = [programs] if isinstance(programs, str) else programs
    draft = Draft(
        question=text(row, "Input", "input"), answer=number_text(answers[0]), subject=label(row, "dataset", "Dataset")
    )
    workings = tuple(
        Working(format="pot", parts=(Part(kind="code", text=code.strip("\n")),)) for code in programs if code.strip()
    )
    return Worked(draft=draft, workings=workings, split=label(row, "split"))


def chinese_equation(row: Row) -> Read:
    """Math23K and Ape210K: an equation with one unknown."""
    draft = layouts.math23k(row)
    return Worked(draft=draft, equation=label(row, "equation"), language="zh")


def cmath(row: Row) -> Read:
    """A question and its answer; there are no solutions."""
    return Worked(draft=layouts.cmath(row), language="zh")


def tal_scq5k(row: Row) -> Read:
    """The worked analyses of a multiple-choice question, which do not name the letter."""
    draft = layouts.tal_scq5k(row)
    analyses = [str(item).replace("$$", "$").strip() for item in row.get("answer_analysis") or []]
    return _worked(draft, ["\n".join(filter(None, analyses))])


# --- NuminaMath -----------------------------------------------------------------------------------


def numinamath(row: Row) -> Read:
    """CoT and TIR: the answer is in the last box of the solution."""
    solution = text(row, "solution")
    answer = final_answer(solution)
    draft = Draft(question=text(row, "problem"), answer=answer, subject=label(row, "source"))
    return _worked(draft, [solution]) if answer else Dropped(reason=NO_ANSWER)


def numinamath_1_5(row: Row) -> Read:
    """Validity is told by the words Yes and No; a proof is told by the answer or by the type of question."""
    for name in ("problem_is_valid", "solution_is_valid"):
        if label(row, name) not in ("", "Yes"):
            return Dropped(reason=f"{name} is {label(row, name)!r}")
    if label(row, "question_type") == "proof":
        return Dropped(reason="a proof has no final answer")
    draft = Draft(
        question=text(row, "problem"),
        answer=label(row, "answer"),
        subject=label(row, "problem_type"),
        level=label(row, "question_type"),
    )
    return _worked(draft, [label(row, "solution")])


# --- NVIDIA's -------------------------------------------------------------------------------------


def openmathinstruct_1(row: Row) -> Read:
    """The publisher judged each solution, and kept the wrong ones."""
    draft = _openmath(row, "question", "dataset")
    solution = text(row, "generated_solution")
    if str(row.get("is_correct", True)).strip().casefold() in ("false", "0", "no"):
        return Worked(draft=draft, rejected=(("wrong to its publisher", solution),))
    if label(row, "error_message") not in ("", "<not_executed>"):
        return Worked(draft=draft, rejected=(("program failed", solution),))
    return _worked(draft, [solution])


def openmathinstruct_2(row: Row) -> Read:
    """Questions are GSM8K's and MATH's, and new ones made from them."""
    return _worked(_openmath(row, "problem", "problem_source"), [text(row, "generated_solution")])


def _openmath(row: Row, question: str, subject: str) -> Draft:
    return Draft(question=text(row, question), answer=label(row, "expected_answer"), subject=label(row, subject))


def openmathreasoning(row: Row) -> Read:
    """Thinking is cut off; of tool-integrated solutions, which run their programs within it, only its marks."""
    mode = label(row, "inference_mode")
    if mode == "genselect":
        return Dropped(reason="chooses among solutions")
    rate = label(row, "pass_rate_72b_tir")
    draft = replace(
        _openmath(row, "problem", "problem_source"),
        level="" if rate in ("", "n/a") else f"pass rate {rate}",
    )
    solution = label(row, "generated_solution")
    if mode == "tir":
        return _worked(draft, [re.sub(r"</?think>\n?", "", solution)])
    return _thinking(draft, [solution] if solution else [])


def _thinking(draft: Draft, solutions: Sequence[str], rejected: Sequence[tuple[str, str]] = ()) -> Worked:
    """A problem with solutions that think first."""
    shown = [(solution, without_thought(solution)) for solution in solutions]
    open_ended = [("thinking that does not end", solution) for solution, after in shown if after is None]
    return _worked(draft, [after for _, after in shown if after is not None], rejected=[*rejected, *open_ended])


# --- reasoning models -----------------------------------------------------------------------------


def openr1_math(row: Row) -> Read:
    """The flags are lists as long as `generations`, or shorter; without a flag the answer decides."""
    draft = Draft(question=text(row, "problem"), answer=label(row, "answer"), subject=label(row, "problem_type"))
    kept: list[str] = []
    rejected: list[tuple[str, str]] = []
    for place, generation in enumerate(row.get("generations") or []):
        verdicts = [_flag(row, name, place) for name in ("correctness_math_verify", "correctness_llama")]
        if _flag(row, "is_reasoning_complete", place) is False:
            rejected.append(("thinking that does not end", str(generation)))
        elif False in verdicts and True not in verdicts:
            rejected.append(("wrong to its publisher", str(generation)))
        else:
            kept.append(str(generation))
    return _thinking(draft, kept, rejected)


def _flag(row: Row, name: str, place: int) -> bool | None:
    """The flag of one generation, None where there is none."""
    flags = row.get(name)
    flag = flags[place] if isinstance(flags, list) and place < len(flags) else None
    return flag if isinstance(flag, bool) else None


def deepmath(row: Row) -> Read:
    """Three solutions of DeepSeek-R1 a question."""
    draft = Draft(
        question=text(row, "question"),
        answer=label(row, "final_answer"),
        subject=label(row, "topic"),
        level=label(row, "difficulty"),
    )
    return _thinking(draft, [row[name] for name in sorted(row) if re.fullmatch(r"r1_solution_\d", name) and row[name]])


# --- questions without solutions ------------------------------------------------------------------


def big_math(row: Row) -> Read:
    """Questions with answers, and how often Llama-3.1-8B solves them."""
    rate = row.get("llama8b_solve_rate")
    domains = row.get("domain")
    return Worked(
        draft=Draft(
            question=text(row, "problem"),
            answer=label(row, "answer"),
            subject=str(domains[0]) if isinstance(domains, list) and domains else label(row, "domain"),
            level="" if not isinstance(rate, int | float) or rate != rate else f"solve rate {rate:g}",
        )
    )


_DAPO_FRAME = re.compile(
    r"\A\s*Solve the following math problem step by step\.[^\n]*\n+|\n+\s*Remember to put your answer[^\n]*\s*\Z"
)


def dapo_17k(row: Row) -> Read:
    """verl's layout; the words around the question are its prompt's."""
    prompt = field(row, "prompt")
    asked = prompt if isinstance(prompt, str) else _content(prompt, "user")
    reward = row.get("reward_model")
    answer = label(reward, "ground_truth") if isinstance(reward, dict) else label(row, "solution", "answer")
    return Worked(draft=Draft(question=_DAPO_FRAME.sub("", asked).strip(), answer=answer))


def orz(row: Row) -> Read:
    """A list of two messages; the second holds the answer alone."""
    asked = answer = ""
    for message in items(row, "messages"):
        who = label(message, "from", "role") if isinstance(message, dict) else ""
        if who in ("human", "user"):
            asked = label(message, "value", "content")
        elif isinstance(truth := message.get("ground_truth") if isinstance(message, dict) else None, dict):
            answer = label(truth, "value")
    if re.search(r"https?://", asked):
        return Dropped(reason="the question holds a link")
    return Worked(draft=Draft(question=asked, answer=answer))


# --- tools ----------------------------------------------------------------------------------------


def tora(row: Row) -> Read:
    """One message of the assistant holds programs and their outputs."""
    messages = items(row, "messages")
    draft = Draft(
        question=_content(messages, "user"), answer=str(field(row, "gt")).strip(), level=label(row, "level"),
        subject=label(row, "dataset"),
    )  # fmt: skip
    return _worked(draft, [_content(messages, "assistant")])


_BLOCKS = {"text": "text", "code": "code", "execution": "output", "output": "output"}


def mathcodeinstruct(row: Row) -> Read:
    """Messages of typed blocks: text, code, execution."""
    asked, parts = "", ()
    for message in items(row, "messages"):
        who, content = label(message, "role"), message.get("content")
        blocks = [{"type": "text", "content": content}] if isinstance(content, str) else content or []
        if who == "user":
            asked = "\n".join(label(block, "content", "text") for block in blocks).strip()
        elif who == "assistant":
            parts = tuple(
                Part(kind=_BLOCKS[label(block, "type")], text=label(block, "content", "text"))  # type: ignore[arg-type]
                for block in blocks
                if label(block, "type") in _BLOCKS
            )
    answer = named_answer(parts[-1].text) if parts and parts[-1].kind == "text" else ""
    if not answer:
        return Dropped(reason=NO_ANSWER)
    draft = Draft(question=asked, answer=answer)
    working = working_from(parts, answer, language_of(asked))
    if isinstance(working, str):
        return Worked(draft=draft, rejected=((working, "\n".join(part.text for part in parts)),))
    return Worked(draft=draft, workings=(working,))


def _content(messages: Any, who: str) -> str:
    """What the first of the messages of that role says."""
    if not isinstance(messages, list) or not messages:
        raise LayoutError("has no list of messages")
    for message in messages:
        if isinstance(message, dict) and label(message, "role", "from") in (who, {"user": "human"}.get(who, "gpt")):
            return text(message, "content", "value")
    raise LayoutError(f"has no message of the {who}")


# --- anything else --------------------------------------------------------------------------------


def generic(row: Row, *, question: str = "", answer: str = "", solution: str = "", messages: str = "") -> Read:
    """Any row with question and answer, problem and solution, prompt and completion, or messages.

    A field that is named is the one that is read. What stands for both working and answer ("... #### 72", a box, "The
    answer is 72") is taken apart; a conversation of several questions is dropped.
    """
    conversation = row.get(messages or "messages") or row.get("conversations")
    if conversation is not None and not (question or solution):
        return _from_conversation(row, conversation, answer)
    asked = text(row, question) if question else text(row, "question", "problem", "prompt", "instruction", "query")
    if solution:
        working = text(row, solution)
    else:
        working = label(row, *(n for n in ("solution", "completion", "response", "output") if n != answer))
    given = _as_answer(field(row, answer)) if answer else _as_answer(_first(row, "answer", "final_answer"))
    if not working and _is_working(given):
        working, given = given, ""
    given = given or named_answer(working)
    if not given and working and "\n" not in working.strip() and len(working) <= 60:
        given, working = working.strip(), ""  # a completion that is the answer alone
    if not given:
        return Dropped(reason=NO_ANSWER)
    draft = Draft(question=asked, answer=given, id=label(row, "id", "uuid"), subject=label(row, "subject", "type"))
    return _worked(replace(draft, level=label(row, "level")), [working] if working else [], split=label(row, "split"))


def _from_conversation(row: Row, conversation: Any, answer: str) -> Read:
    asked = [m for m in conversation if isinstance(m, dict) and label(m, "role", "from") in ("user", "human")]
    if len(asked) > 1:
        return Dropped(reason="several questions in a conversation")
    question = _content(conversation, "user")
    working = _content(conversation, "assistant")
    given = _as_answer(field(row, answer)) if answer else _as_answer(_first(row, "answer", "expected_answer"))
    given = given if given and not _is_working(given) else named_answer(working)
    if not given:
        return Dropped(reason=NO_ANSWER)
    return _worked(Draft(question=question, answer=given, id=label(row, "id", "uuid")), [working])


def _first(row: Row, *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), "")


def _as_answer(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list | dict):
        raise LayoutError("the answer is a list or an object")
    return number_text(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value).strip()


def _is_working(value: str) -> bool:
    """Whether an "answer" is a worked solution that names its answer."""
    return bool(final_answer(value)) and value.strip() != f"\\boxed{{{final_answer(value)}}}"
