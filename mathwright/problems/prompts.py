"""The prompts of an evaluation: the question alone, as fine-tuned models are asked, or behind worked exemplars.

§2.3 measures base models with few-shot chain-of-thought and program prompts, §3.2 fine-tuned models without exemplars.
The exemplars (`fewshot/*.toml`) are ours, not those of the published prompts, and none stands in a benchmark.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from textwrap import dedent
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.problems.benchmarks import question_with_choices
from mathwright.problems.formats import response_text
from mathwright.problems.templates import DEEPSEEKMATH, SUFFIXES, prompt_text
from mathwright.records import Part, Problem, Solution, SolutionFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a model is given, and where its response begins and ends."""

    text: str
    stop: tuple[str, ...]
    """Strings that end the response; they are no part of it."""
    response_prefix: str = ""
    """End of `text` that belongs to the response: the opening fence of a program."""
    messages: tuple[Mapping[str, str], ...] | None = None
    """The same as chat messages, for servers with a chat endpoint; None where the layout is no chat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """A worked problem that is shown before the question."""

    problem: Problem
    cot: str = ""
    """The working in words, without the last sentence; "" where the answer is a program."""
    lead: str = ""
    """What the program does: the words before it in tool-integrated reasoning."""
    program: str = ""
    """Prints the answer, or is the answer; "" where there is none."""
    output: str = ""
    """What the program prints."""
    ending: str = ""
    """The last sentence, which names the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The words around questions and answers in one language."""

    question: str
    answer: str
    gap: str
    """Between sentences, and between `answer` and what follows it."""
    choose: str
    """Line behind the options of a question that is asked without exemplars."""
    boxed_ending: str
    """Last sentence under a chat template, whose suffix asks for a box."""
    stop: tuple[str, ...]
    """What a base model writes when it goes on with a question of its own."""


WORDING: Mapping[str, Wording] = {
    "en": Wording(
        question="Question: ",
        answer="Answer:",
        gap=" ",
        choose="Choose the letter of the right option.",
        boxed_ending="The answer is $\\boxed{{{answer}}}$.",
        stop=("\nQuestion:",),
    ),
    "zh": Wording(
        question="问题：",
        answer="解答：",
        gap="",
        choose="请选择正确选项的字母。",
        boxed_ending="答案是 $\\boxed{{{answer}}}$。",
        # with either colon: a line of a solution may well begin with 问题
        stop=("\n问题：", "\n问题:"),
    ),
}

PROGRAM_START = "```python\n"
PROGRAM_STOP = ("\n```",)
FUNCTION_STOP = ("\nclass ", "\ndef ", "\n#", "\n@", "\nif ", "\nprint(", "\n```")
"""What follows a function when a base model, asked to complete it, has done so."""

COMPLETE_FUNCTION = "Complete this Python function:\n\n{head}"
CODE_SUFFIX = "\n\nPlease write the whole program, with its imports, in one ```python block."
"""Behind a question whose answer is a program; the paper's suffix would ask it to print something."""


def build_prompt(
    problem: Problem, mode: SolutionFormat, *, template: str, shots: int, exemplars: str, tokenizer: Any
) -> Prompt:
    """The prompt that asks for a response to `problem`.

    Args:
        mode: cot, pot or tool; a problem with `tests` asks for a program in any mode.
        template: without exemplars one of `problems.templates.TEMPLATES`. With them `tokenizer` (exemplars are turns
            of the model's own chat template) or `plain`: no template, for base models. `plain` without exemplars
            leaves the head of a function (HumanEval) to be continued as it stands.
        shots: number of exemplars, the first ones of their set.
        exemplars: name of the set; not read where `shots` is 0.
        tokenizer: the model's, read under `tokenizer` only. None for a server, which applies its template to
            `messages` itself; `text` is in the paper's layout then.

    Raises MathwrightError for an unknown template or set, for a set with fewer exemplars than asked for or without
    what `mode` needs, or where the model has no chat template.
    """
    mode = "pot" if problem.tests else mode
    shown = _shown(exemplars, shots, mode)
    if template == "plain":
        return _plain(problem, mode, shown)
    if template == "tokenizer":
        return _chat(problem, mode, shown, tokenizer)
    if shown:
        raise MathwrightError(
            f"exemplars cannot be shown under the template {template!r}",
            hint="--template plain for a base model, tokenizer for one with a chat template, or --shots 0",
        )
    return _alone(problem, mode, template)


# --- exemplars ------------------------------------------------------------------------------------

_FOLDER = files("mathwright.problems") / "fewshot"


def exemplar_sets() -> tuple[str, ...]:
    """Names of the sets of exemplars."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _FOLDER.iterdir() if file.name.endswith(".toml")))


@cache
def load_exemplars(name: str) -> tuple[Exemplar, ...]:
    """The exemplars of a set, in the order in which they are shown; MathwrightError for an unknown name."""
    if name not in exemplar_sets():
        raise MathwrightError(f"no set of exemplars is called {name!r}", hint=f"one of {', '.join(exemplar_sets())}")
    table = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    return tuple(_exemplar(f"{name}-{number}", table, row) for number, row in enumerate(table["exemplars"], start=1))


def _exemplar(name: str, table: Mapping[str, Any], row: Mapping[str, Any]) -> Exemplar:
    texts = {key: row.get(key, "").strip() for key in ("question", "cot", "lead", "program", "output", "answer")}
    answer = texts["answer"] or texts["program"]
    return Exemplar(
        problem=Problem(
            id=name,
            question=texts["question"],
            answer=answer,
            source="exemplars",
            split="train",
            language=table["language"],
            choices=tuple(row.get("choices", ())),
        ),
        cot=texts["cot"],
        lead=texts["lead"],
        program=texts["program"],
        output=texts["output"],
        # not str.format: TeX is full of braces
        ending=table.get("ending", "").replace("{answer}", answer),
    )


def _shown(name: str, shots: int, mode: SolutionFormat) -> tuple[Exemplar, ...]:
    if shots < 0:
        raise MathwrightError(f"{shots} exemplars were asked for", hint="--shots must be at least 0")
    if shots == 0:
        return ()
    found = load_exemplars(name)
    if shots > len(found):
        raise MathwrightError(
            f"{shots} exemplars were asked for, but {name} has {len(found)}", hint=f"--shots {len(found)} or fewer"
        )
    needed = {"cot": "cot", "pot": "program", "tool": "output"}[mode]
    if not all(getattr(exemplar, needed) for exemplar in found[:shots]):
        wording = "worked solutions in words" if mode == "cot" else "programs that print an answer"
        raise MathwrightError(
            f"the exemplars {name} have no {wording}, which mode {mode} needs", hint="--shots 0, or another --mode"
        )
    return found[:shots]


def _response(exemplar: Exemplar, mode: SolutionFormat, ending: str) -> str:
    """The exemplar's response in the format of `problems.formats`, without a last line end."""
    code = Part(kind="code", text=exemplar.program)
    parts: Mapping[SolutionFormat, tuple[Part, ...]] = {
        "cot": (Part(kind="text", text=exemplar.cot + _wording(exemplar.problem).gap + ending),),
        "pot": (code,),
        "tool": (
            Part(kind="text", text=exemplar.lead),
            code,
            Part(kind="output", text=exemplar.output),
            Part(kind="text", text=ending),
        ),
    }
    problem = exemplar.problem
    solution = Solution(problem_id=problem.id, format=mode, parts=parts[mode], answer=problem.answer)
    # under `tokenizer` a response begins with no space
    return response_text(solution, "tokenizer").removesuffix("\n")


# --- layouts --------------------------------------------------------------------------------------


def _plain(problem: Problem, mode: SolutionFormat, shown: Sequence[Exemplar]) -> Prompt:
    """Questions and answers one after another, which a base model goes on with."""
    if not shown and _is_function_head(problem):
        return Prompt(text=problem.question, stop=FUNCTION_STOP)
    words = _wording(shown[0].problem if shown else problem)
    opening = "" if mode == "pot" else words.answer + words.gap
    blocks = (
        f"{words.question}{_question(exemplar.problem)}\n{opening}{_response(exemplar, mode, exemplar.ending)}\n\n"
        for exemplar in shown
    )
    asked = f"{''.join(blocks)}{words.question}{_question(problem)}\n"
    if mode == "pot":
        return Prompt(text=asked + PROGRAM_START, stop=PROGRAM_STOP, response_prefix=PROGRAM_START)
    # no space at the end: tokenizers put it into the next token
    return Prompt(text=asked + words.answer, stop=words.stop)


def _chat(problem: Problem, mode: SolutionFormat, shown: Sequence[Exemplar], tokenizer: Any) -> Prompt:
    messages: list[Mapping[str, str]] = []
    for exemplar in shown:
        ending = _wording(exemplar.problem).boxed_ending.format(answer=exemplar.problem.answer)
        messages.append({"role": "user", "content": _request(exemplar.problem, mode, is_code=bool(problem.tests))})
        messages.append({"role": "assistant", "content": _response(exemplar, mode, ending)})
    messages.append({"role": "user", "content": _request(problem, mode, is_code=bool(problem.tests))})
    return Prompt(text=_chat_text(messages, tokenizer), stop=(), messages=tuple(messages))


def _alone(problem: Problem, mode: SolutionFormat, template: str) -> Prompt:
    """The paper's layouts, without exemplars."""
    request = _request(problem, mode, is_code=bool(problem.tests))
    message = {"role": "user", "content": request}
    if template == "deepseekmath" and problem.tests:
        return Prompt(text=DEEPSEEKMATH.format(question=request, suffix=""), stop=(), messages=(message,))
    question = request if problem.tests else _question(problem, choose=True)
    text = prompt_text(replace(problem, question=question), mode, template, tokenizer=None)
    return Prompt(text=text, stop=(), messages=None if template == "short" else (message,))


def _chat_text(messages: Sequence[Mapping[str, str]], tokenizer: Any) -> str:
    if tokenizer is None:
        names = {"user": "User", "assistant": "Assistant"}
        turns = [f"{names[message['role']]}: {message['content']}" for message in messages]
        return "\n\n".join([*turns, "Assistant:"])
    if not getattr(tokenizer, "chat_template", None):
        raise MathwrightError(
            "the model's tokenizer has no chat template",
            hint='use template "plain" with exemplars, or "deepseekmath", which needs none',
        )
    return tokenizer.apply_chat_template([*map(dict, messages)], tokenize=False, add_generation_prompt=True)


def _request(problem: Problem, mode: SolutionFormat, *, is_code: bool) -> str:
    """The question with what is asked of the response."""
    if is_code:
        return _question(problem) + CODE_SUFFIX
    return _question(problem, choose=True) + SUFFIXES["zh" if problem.language == "zh" else "en", mode]


def _question(problem: Problem, *, choose: bool = False) -> str:
    if _is_function_head(problem):
        return COMPLETE_FUNCTION.format(head=problem.question.strip("\n"))
    question = question_with_choices(problem)
    return f"{question}\n{_wording(problem).choose}" if choose and problem.choices else question


def _wording(problem: Problem) -> Wording:
    return WORDING["zh" if problem.language == "zh" else "en"]


# --- programs -------------------------------------------------------------------------------------

# no backtick behind: "```x```" within a line opens nothing
_FENCE = re.compile(r"[ \t]*+```[ \t]*+(\w*+)[^`]*+\Z")
_CODE_START = re.compile(r"\s*(?:from \S+ import |import \S+|(?:async )?def \w+\s*\(|class \w+|@\w)")
_DEFINITION = re.compile(r"^[ \t]*(?:(?:async )?def|class) \w", re.MULTILINE)
_FUNCTION = re.compile(r"^(?:async )?def \w", re.MULTILINE)


def program_of(problem: Problem, prompt: Prompt, response: str) -> str | None:
    """The program in a response, closed or not; None where there is none.

    Behind an opened program (`response_prefix`) it ends with the first fence. Elsewhere it is the last ```python block,
    or the last unmarked one; of a problem with tests the last that defines something, because examples of use often
    follow. The head of a function is continued by the response, or stands before the program, which may leave out
    the head's imports and other functions.
    """
    if _is_function_head(problem) and prompt.text == problem.question:
        return problem.question + response
    blocks = _blocks(prompt.response_prefix + response)
    codes = [code for language, code in blocks if language in ("python", "python3", "py")]
    codes = codes or [code for language, code in blocks if not language]
    if not codes:
        return None
    defining = [code for code in codes if _DEFINITION.search(code)] if problem.tests else []
    code = codes[0] if prompt.response_prefix else (defining or codes)[-1]
    # a __future__ import may stand only at the top
    if _is_function_head(problem) and "from __future__" not in code:
        return f"{problem.question.rstrip()}\n\n\n{code}"
    return code


def _blocks(text: str) -> list[tuple[str, str]]:
    """Language ("" where unmarked) and content of the fenced blocks; the last one need not be closed."""
    blocks: list[tuple[str, list[str]]] = []
    is_open = False
    for line in text.split("\n"):
        if fence := _FENCE.match(line):
            language = fence.group(1).lower()
            # a marked fence always opens: the block before it was left open
            is_open = not is_open or bool(language)
            if is_open:
                blocks.append((language, []))
        elif is_open:
            blocks[-1][1].append(line)
    # blocks in a list are indented
    return [(language, dedent("\n".join(lines))) for language, lines in blocks]


def _is_function_head(problem: Problem) -> bool:
    """Whether the question is Python that ends inside a function, as HumanEval's are."""
    question = problem.question
    return bool(
        problem.tests
        and _CODE_START.match(question)
        and _FUNCTION.search(question)
        and question.rstrip().rpartition("\n")[2].startswith((" ", "\t"))
    )
