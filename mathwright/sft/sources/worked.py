"""What a reader makes of a row: the problem, and its solutions as parts."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from mathwright.answers import extract_answer
from mathwright.errors import MathwrightError
from mathwright.problems.fields import last_boxed
from mathwright.problems.formats import parse_response, response_text
from mathwright.problems.layouts import Draft
from mathwright.problems.prompts import WORDING
from mathwright.records import Part, Solution, SolutionFormat

SENTINELS = frozenset({"proof", "notfound", "not found", "n/a", "na", "none", "null", "nan", "unknown", "no answer"})
"""What stands in the place of an answer where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """A worked solution as parts, not yet compared with the answer."""

    format: SolutionFormat
    parts: tuple[Part, ...]
    unboxed: str = ""
    """Its words as they were before the reference answer was put in a box behind them; "" where they had one."""

    @property
    def text(self) -> str:
        """Its prose and programs, for comparisons."""
        return "\n".join(part.text for part in self.parts if part.kind != "output")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """A problem with its solutions, as a row gives them."""

    draft: Draft
    workings: tuple[Working, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    """(reason, text) of the row's solutions that its own columns or its text rule out."""
    language: str = ""
    """en or zh; "" to be told from the question."""
    split: str = ""
    """Where the row itself says it; "" is that of the file."""
    equation: str = ""
    """Arithmetic that gives the answer, to be made into a program."""
    marked: str = ""
    """A solution whose equations are to be made into a program."""


def is_sentinel(answer: str) -> bool:
    """Whether an answer says that there is none."""
    bare = answer.strip().strip(".$ ")
    while (wrapped := _WRAPPED.fullmatch(bare)) is not None:
        bare = wrapped[1].strip(".$ ")
    return bare.casefold() in SENTINELS


_WRAPPED = re.compile(r"\\(?:boxed|text|textbf|mathrm|mbox)\s*\{(.*)\}", re.DOTALL)


def language_of(text: str) -> str:
    """zh for a text with Chinese characters, else en."""
    return "zh" if re.search(r"[\u4e00-\u9fff]", text) else "en"


def normalised_question(question: str) -> str:
    """A question as it is compared between sources: no white space, dollars, capitals or full stop at the end."""
    plain = unicodedata.normalize("NFKC", question).casefold()
    return re.sub(r"\s+|\$|\\[()\[\]]", "", plain).rstrip(".?!。")


# --- texts into parts -----------------------------------------------------------------------------

_TAGS = (
    (re.compile(r"<llm-code>\n?(.*?)\n?</llm-code>", re.DOTALL), "python"),
    (re.compile(r"<llm-code-output>\n?(.*?)\n?</llm-code-output>", re.DOTALL), "output"),
    (re.compile(r"<tool_call>\n?(.*?)\n?</tool_call>", re.DOTALL), "python"),
    (re.compile(r"<code>\n?(.*?)\n?</code>", re.DOTALL), "python"),
    (re.compile(r"<execution>\n?(.*?)\n?</execution>", re.DOTALL), "output"),
)
_LEFT_OPEN = re.compile(r"</?(?:llm-code|llm-code-output|tool_call)>")
_PYTHON_FENCE = re.compile(r"^([ \t]*```+)(?:py|python3)[ \t]*$", re.MULTILINE | re.IGNORECASE)


def working_of(text: str, answer: str, language: str) -> Working | str:
    """A solution with its programs and outputs as parts, whichever marks stand around them, or why it is none.

    Read are ```python and ```output fences, `<llm-code>` (OpenMathInstruct-1) and `<tool_call>` (OpenMathReasoning).
    Words alone end with the answer in a box.
    """
    for pattern, fence in _TAGS:
        text = pattern.sub(lambda found, fence=fence: f"\n```{fence}\n{found[1]}\n```\n", text)
    if _LEFT_OPEN.search(text):
        return "unbalanced fences"
    parts = parse_response(_PYTHON_FENCE.sub(r"\1python", text))
    return working_from(parts, answer, language)


def working_from(parts: tuple[Part, ...], answer: str, language: str) -> Working | str:
    """A solution of given parts in the format they make, or why it is none."""
    parts = tuple(part for part in parts if part.text.strip() or part.kind == "output")
    if not any(part.kind != "output" for part in parts):
        return "empty solution"
    kinds = [part.kind for part in parts]
    unboxed = ""
    if "code" not in kinds:
        if "output" in kinds:
            return "output without a program"
        text = "\n\n".join(part.text for part in parts)
        boxed = with_box(text, answer, language)
        if boxed != text.rstrip() and boxed.startswith(text.rstrip()):
            unboxed = text
        parts, made = (Part(kind="text", text=boxed),), "cot"
    elif "output" not in kinds:
        if kinds.count("code") > 1:
            return "several programs without their output"
        parts, made = tuple(part for part in parts if part.kind == "code"), "pot"
    else:
        made = "tool"
    working = Working(format=made, parts=parts, unboxed=unboxed)  # type: ignore[arg-type]
    try:
        response_text(Solution(problem_id="", format=working.format, parts=parts, answer=answer))
    except MathwrightError:
        return "unbalanced fences"
    return working


_PERCENT = re.compile(r"(?<!\\)%")
"""In TeX the rest of the line behind it is a comment."""
_ENDING = re.compile(
    r"(?:^|(?<=\s))(?:####\s*|(?:so |thus |therefore |hence )?,?\s*the (?:final )?answer is:?\s*)"
    r"(?P<answer>[^\n]+?)\s*\.?\s*\Z",
    re.IGNORECASE,
)


def with_box(text: str, answer: str, language: str) -> str:
    r"""The words of a solution with the answer in \boxed{} at their end, where no box is yet.

    A last line such as "#### 72" or "The answer is: 72" becomes the boxed sentence.
    """
    text = text.rstrip()
    if not answer or last_boxed(text) is not None:
        return text
    window = text[-400:]
    ending = _ENDING.search(window)
    if ending is not None and ending["answer"].strip("$ .").replace(",", "") == answer.strip("$ .").replace(",", ""):
        text = text[: len(text) - len(window) + ending.start()].rstrip()
    sentence = WORDING["zh" if language == "zh" else "en"].boxed_ending.format(answer=_PERCENT.sub(r"\\%", answer))
    return f"{text}\n{sentence}" if text else sentence


def without_thought(text: str) -> str | None:
    """What is written after the thinking; None where it does not end."""
    if "<think>" in text and "</think>" not in text:
        return None
    return text.rpartition("</think>")[2].strip()


def final_answer(text: str) -> str:
    """The answer that a solution names: its last box, or what it says is the answer; "" where it names none."""
    boxed = last_boxed(text)
    if boxed is not None:
        return boxed.strip()
    mark = re.search(r"(?:^|\n)\s*####\s*([^\n]+)\s*\Z", text)
    if mark:
        return mark[1].strip()
    ending = _ENDING.search(text[-400:].rstrip())
    if ending:
        return ending["answer"].strip().strip("$").strip()
    return ""


def named_answer(text: str) -> str:
    """`final_answer`, or what the judge would take for the answer."""
    return final_answer(text) or extract_answer(text) or ""
