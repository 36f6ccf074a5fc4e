"""What a model is asked: the one way from a problem to its prompt, for training, rewards, evaluation and chat.

    question, or the head of a function -> options, "choose the letter" -> suffix of the mode (§3.2) -> template

§3.2 asks fine-tuned models without exemplars, as they are trained; §2.3 measures base models after worked exemplars
(`problems.exemplars`), in chain of thought and as programs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.problems.exemplars import Exemplar, shown_exemplars
from mathwright.problems.fields import LETTERS
from mathwright.problems.formats import response_text
from mathwright.problems.programs import is_function_head
from mathwright.problems.templates import (
    DEEPSEEKMATH,
    SHORT,
    SUFFIXES,
    Prompt,
    TemplateRefusesError,
    render,
    unknown_template,
)
from mathwright.records import Part, Problem, Solution, SolutionFormat

__all__ = ["Prompt", "asked_mode", "build_prompt", "question_with_choices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The words around questions and answers in one language."""

    question: str
    answer: str
    gap: str
    """Between sentences, and between `answer` and what follows it."""
    choose: str
    """Line after the options of a question that is asked without exemplars."""
    program: str
    """After a question whose answer is a program; the paper's suffix would ask it to print something."""
    complete: str
    """Asks for the rest of a function."""
    prove: str
    """After a formal statement whose proof is asked for."""
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
        program="\n\nPlease write the whole program, with its imports, in one ```python block.",
        complete="Complete this Python function:\n\n{head}",
        prove="\n\nPlease write the formal proof of this statement, and nothing else, in one ```isabelle block.",
        boxed_ending="The answer is $\\boxed{{{answer}}}$.",
        stop=("\nQuestion:",),
    ),
    "zh": Wording(
        question="问题：",
        answer="解答：",
        gap="",
        choose="请选择正确选项的字母。",
        program="\n\n请在一个```python代码块中写出完整的程序，包括所需的import语句。",
        complete="请补全这个Python函数：\n\n{head}",
        prove="\n\n请在一个```isabelle代码块中只写出该命题的形式化证明。",
        boxed_ending="答案是 $\\boxed{{{answer}}}$。",
        # with either colon: a line of a solution may well begin with 问题
        stop=("\n问题：", "\n问题:"),
    ),
}

PROGRAM_START = "```python\n"
PROGRAM_STOP = ("\n```",)
FUNCTION_STOP = ("\nclass ", "\ndef ", "\n#", "\n@", "\nif ", "\nprint(", "\n```")
"""What follows a function when a base model, asked to complete it, has done so."""


def build_prompt(
    problem: Problem,
    mode: SolutionFormat,
    *,
    template: str,
    tokenizer: Any,
    shots: int = 0,
    exemplars: str = "",
    note: str = "",
) -> Prompt:
    """The prompt that asks for a response to `problem`.

    Args:
        problem: question, options, tests and language (`en` or `zh`; any other is asked in English).
        mode: cot, pot or tool; a problem with `tests` asks for a program in any mode (`asked_mode`).
        template: without exemplars one of `problems.templates.TEMPLATES`. With them `tokenizer` (exemplars are turns
            of the model's own chat template) or `plain`: no template, for base models. `plain` without exemplars
            leaves the head of a function (HumanEval) to be continued as it stands.
        tokenizer: the model's, read under `tokenizer` only. None for a server, which applies its template to
            `messages` itself; `text` is in the paper's layout then.
        shots: number of exemplars, the first ones of their set.
        exemplars: name of the set; not read where `shots` is 0.
        note: a sentence to the model behind all that is asked, in a layout without exemplars.

    Raises MathwrightError for an unknown template or set, for a set with fewer exemplars than asked for or without
    what `mode` needs, or where the model has no chat template.
    """
    mode = asked_mode(problem, mode)
    shown = shown_exemplars(exemplars, shots, mode)
    if problem.messages:
        return _as_it_stands(problem, mode, template, tokenizer)
    if template == "plain":
        return _plain(problem, mode, shown)
    if template == "tokenizer":
        return _chat(problem, mode, shown, tokenizer, note)
    if shown:
        raise MathwrightError(
            f"exemplars cannot be shown under the template {template!r}",
            hint="--template plain for a base model, tokenizer for one with a chat template, or --shots 0",
        )
    return _alone(problem, mode, template, note)


def asked_mode(problem: Problem, mode: SolutionFormat) -> SolutionFormat:
    """The format a problem is answered in where `mode` is wanted: one with tests by a program, a theorem in text."""
    return "pot" if problem.tests else "cot" if problem.theorem else mode


def question_with_choices(problem: Problem) -> str:
    """The question as it is asked: the options of a multiple-choice question follow, "(A) ..." each on its own line."""
    options = (f"({letter}) {choice}" for letter, choice in zip(LETTERS, problem.choices, strict=False))
    return "\n".join([problem.question, *options])


# --- layouts --------------------------------------------------------------------------------------


def _plain(problem: Problem, mode: SolutionFormat, shown: Sequence[Exemplar]) -> Prompt:
    """Questions and answers one after another, which a base model goes on with."""
    if not shown and is_function_head(problem):
        return Prompt(problem=problem, mode=mode, text=problem.question, stop=FUNCTION_STOP)
    words = _wording(shown[0].problem if shown else problem)
    opening = "" if mode == "pot" else words.answer + words.gap
    blocks = (
        f"{words.question}{_question(exemplar.problem)}\n{opening}{_response(exemplar, mode, exemplar.ending)}\n\n"
        for exemplar in shown
    )
    asked = f"{''.join(blocks)}{words.question}{_question(problem)}\n"
    if mode == "pot":
        text = asked + PROGRAM_START
        return Prompt(problem=problem, mode=mode, text=text, stop=PROGRAM_STOP, response_prefix=PROGRAM_START)
    # no space at the end: tokenizers put it into the next token
    return Prompt(problem=problem, mode=mode, text=asked + words.answer, stop=words.stop)


def _chat(problem: Problem, mode: SolutionFormat, shown: Sequence[Exemplar], tokenizer: Any, note: str) -> Prompt:
    messages: list[Mapping[str, str]] = []
    for exemplar in shown:
        ending = _wording(exemplar.problem).boxed_ending.format(answer=exemplar.problem.answer)
        messages.append({"role": "user", "content": _request(exemplar.problem, mode, is_code=bool(problem.tests))})
        messages.append({"role": "assistant", "content": _response(exemplar, mode, ending)})
    messages.append({"role": "user", "content": _request(problem, mode, is_code=bool(problem.tests)) + note})
    return Prompt(problem=problem, mode=mode, text=_chat_text(messages, tokenizer), messages=tuple(messages))


def _as_it_stands(problem: Problem, mode: SolutionFormat, template: str, tokenizer: Any) -> Prompt:
    """A conversation of other people: nothing is added to their words but the template's."""
    messages = tuple({"role": message.role, "content": message.content} for message in problem.messages)
    if template == "tokenizer":
        return Prompt(problem=problem, mode=mode, text=_chat_text(messages, tokenizer), messages=messages)
    if any(message["role"] == "system" for message in messages):
        raise TemplateRefusesError(
            f"problem {problem.id!r} has a system prompt, for which the template {template} has no place",
            hint="use template tokenizer with a model that has a chat template, or take the turn out",
        )
    if template in ("short", "plain"):
        text = SHORT["cot"].format(question="\n\n".join(message["content"] for message in messages))
        return Prompt(problem=problem, mode=mode, text=text)
    if template != "deepseekmath":
        raise unknown_template(template)
    return Prompt(problem=problem, mode=mode, text=_paper_text(messages, tokenizer), messages=messages)


def _alone(problem: Problem, mode: SolutionFormat, template: str, note: str) -> Prompt:
    """The layouts without exemplars: the paper's, and the short one, which has no suffix."""
    if template == "short":
        question = _request(problem, mode, is_code=True) if problem.tests else _question(problem, choose=True)
        return Prompt(problem=problem, mode=mode, text=SHORT[mode].format(question=question + note))
    if template != "deepseekmath":
        raise unknown_template(template)
    request = _request(problem, mode, is_code=bool(problem.tests)) + note
    message = {"role": "user", "content": request}
    return Prompt(problem=problem, mode=mode, text=DEEPSEEKMATH.format(request=request), messages=(message,))


def _paper_text(messages: Sequence[Mapping[str, str]], tokenizer: Any) -> str:
    """A conversation in the paper's layout: each response ends with the end token, as it did when it was given."""
    end = getattr(tokenizer, "eos_token", None)
    if end is None:  # a server's, which writes its own
        return _chat_text(messages, None)
    before, after = {"user": "User: ", "assistant": "Assistant: "}, {"user": "\n\n", "assistant": end}
    turns = (before[m["role"]] + m["content"] + after[m["role"]] for m in messages)
    return "".join(turns) + "Assistant:"


def _chat_text(messages: Sequence[Mapping[str, str]], tokenizer: Any) -> str:
    if tokenizer is None:
        names = {"system": "System", "user": "User", "assistant": "Assistant"}
        turns = [f"{names[message['role']]}: {message['content']}" for message in messages]
        return "\n\n".join([*turns, "Assistant:"])
    if not getattr(tokenizer, "chat_template", None):
        raise MathwrightError(
            "the model's tokenizer has no chat template",
            hint='use template "plain" with exemplars, or "deepseekmath", which needs none',
        )
    return render(tokenizer, messages, ask=True)


# --- words ----------------------------------------------------------------------------------------


def _request(problem: Problem, mode: SolutionFormat, *, is_code: bool) -> str:
    """The question with what is asked of the response."""
    if problem.theorem:
        return _question(problem) + _wording(problem).prove
    if is_code:
        return _question(problem) + _wording(problem).program
    return _question(problem, choose=True) + SUFFIXES["zh" if problem.language == "zh" else "en", mode]


def _question(problem: Problem, *, choose: bool = False) -> str:
    if is_function_head(problem):
        return _wording(problem).complete.format(head=problem.question.strip("\n"))
    question = question_with_choices(problem)
    return f"{question}\n{_wording(problem).choose}" if choose and problem.choices else question


def _response(exemplar: Exemplar, mode: SolutionFormat, ending: str) -> str:
    """The exemplar's response in the format of `problems.formats`, without a last line end."""
    code = Part(kind="code", text=exemplar.program)
    parts: Mapping[SolutionFormat, tuple[Part, ...]] = {
        "cot": (Part(kind="text", text=(exemplar.cot + _wording(exemplar.problem).gap + ending).rstrip()),),
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


def _wording(problem: Problem) -> Wording:
    return WORDING["zh" if problem.language == "zh" else "en"]
