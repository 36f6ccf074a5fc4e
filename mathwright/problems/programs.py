"""Programs in responses: which one answers the question, and the head of a function that a question may give."""

from __future__ import annotations

import re
from textwrap import dedent

from mathwright.problems.templates import Prompt
from mathwright.records import Problem

# no backtick after the language: "```x```" within a line opens nothing
_FENCE = re.compile(r"[ \t]*+```[ \t]*+(\w*+)[^`]*+\Z")
_CODE_START = re.compile(r"\s*(?:from \S+ import |import \S+|(?:async )?def \w+\s*\(|class \w+|@\w)")
_DEFINITION = re.compile(r"^[ \t]*(?:(?:async )?def|class) \w", re.MULTILINE)
_FUNCTION = re.compile(r"^(?:async )?def \w", re.MULTILINE)


def program_of(prompt: Prompt, response: str) -> str | None:
    """The program in a response to `prompt`, closed or not; None where there is none.

    After an opened program (`Prompt.response_prefix`) it ends with the first fence. Elsewhere it is the last ```python
    block, or the last unmarked one; for a problem with tests the last that defines something, because examples of use
    often follow. The head of a function is continued by the response, or stands before the program, which may leave out
    the head's imports and other functions.
    """
    problem = prompt.problem
    if is_function_head(problem) and prompt.text == problem.question:
        return problem.question + response
    blocks = _blocks(prompt.response_prefix + response)
    codes = [code for language, code in blocks if language in ("python", "python3", "py")]
    codes = codes or [code for language, code in blocks if not language]
    if not codes:
        return None
    defining = [code for code in codes if _DEFINITION.search(code)] if problem.tests else []
    code = codes[0] if prompt.response_prefix else (defining or codes)[-1]
    # a __future__ import may stand only at the top
    if is_function_head(problem) and "from __future__" not in code:
        return f"{problem.question.rstrip()}\n\n\n{code}"
    return code


def is_function_head(problem: Problem) -> bool:
    """Whether the question is Python that ends inside a function, as HumanEval's are."""
    question = problem.question
    return bool(
        problem.tests
        and _CODE_START.match(question)
        and _FUNCTION.search(question)
        and question.rstrip().rpartition("\n")[2].startswith((" ", "\t"))
    )


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
