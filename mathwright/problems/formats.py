"""How a solution is written as the text a model is trained on, and read back.

    cot     lines of text, the final answer in \\boxed{}
    pot     one program in a ```python block
    tool    text and programs in turn; after each program, in an ```output block, what it printed

The output blocks are put in by the tool, not by the model: they are never trained on (§3.1 after the transcripts of the
authors' evaluation code).
"""

from __future__ import annotations

import re
from typing import Literal

from mathwright.errors import MathwrightError
from mathwright.problems.templates import response_prefix
from mathwright.records import Part, Solution
from mathwright.tools.fences import places

_FENCE = re.compile(r"^[ \t]*(`{3,}+)", re.MULTILINE)
_KINDS: dict[str, Literal["code", "output"]] = {"python": "code", "output": "output"}


def response_text(solution: Solution, template: str = "deepseekmath") -> str:
    """The response as a model writes it, the space it begins with included, the end token not.

    A program or output in which a line begins with a code fence stands between longer ones. Raises MathwrightError
    where prose could not be read back: it holds a program, or a fence that it does not close.
    """
    return "".join(text for text, _ in response_segments(solution, template))


def response_segments(solution: Solution, template: str = "deepseekmath") -> list[tuple[str, bool]]:
    """The response cut where the writer changes: (text, trained), trained False for the output of programs.

    Each segment is tokenised on its own, because generation, too, continues from the tokens of an inserted output. The
    first one begins with the space that `template` asks for. Raises MathwrightError as `response_text` does.
    """
    segments: list[tuple[str, bool]] = []
    written = response_prefix(template)
    last = len(solution.parts) - 1
    for index, part in enumerate(solution.parts):
        if part.kind == "text":
            _check_prose(part.text, f"the solution of problem {solution.problem_id}, part {index + 1}")
        text = _write_part(part, is_last=index == last)
        if part.kind == "output":
            segments += [(written, True), (text, False)] if written else [(text, False)]
            written = ""
        else:
            written += text
    return [*segments, (written, True)] if written else segments


def _check_prose(text: str, where: str) -> None:
    for place in places(text):
        line = text.count("\n", 0, place.start) + 1
        if place.close < 0:
            raise MathwrightError(
                f"{where}: the code fence in line {line} of its text is not closed, and would hide what follows",
                hint="close it, or take it out of the solution",
            )
        if place.language in _KINDS:
            raise MathwrightError(
                f"{where}: line {line} of its text begins a ```{place.language} block, which would be read as such",
                hint=f"give it as a part of its own, of kind {_KINDS[place.language]}, or leave out its mark",
            )


def _write_part(part: Part, *, is_last: bool) -> str:
    if part.kind == "raw":
        return part.text
    if part.kind == "text":
        return part.text if is_last or part.text.endswith("\n") else part.text + "\n"
    language = "python" if part.kind == "code" else "output"
    body = part.text if part.text.endswith("\n") or not part.text else part.text + "\n"
    longest = max((len(fence.group(1)) for fence in _FENCE.finditer(body)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{body}{fence}\n"


def parse_response(text: str) -> tuple[Part, ...]:
    """The parts of a response: what `response_text` wrote, or a transcript of a model.

    Text is stripped, empty text left out; programs and outputs lose their last line end. A block that is never closed
    (a response cut off) stays text, and so does a block of another language. Fences are read as the tool reads them
    (`mathwright.tools.fences`).
    """
    parts: list[Part] = []
    end = 0
    for place in places(text):
        if place.close < 0 or place.language not in _KINDS:
            continue
        parts += _text_part(text[end : place.start])
        body = text[place.content : place.close].removesuffix("\n")
        parts.append(Part(kind=_KINDS[place.language], text=body))
        end = place.end
    return (*parts, *_text_part(text[end:]))


def _text_part(text: str) -> list[Part]:
    stripped = text.strip()
    return [Part(kind="text", text=stripped)] if stripped else []
