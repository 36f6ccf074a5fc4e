"""How a solution is written as the text a model is trained on, and read back.

    cot     lines of text, the final answer in \\boxed{}
    pot     one program in a ```python block
    tool    text and programs in turn; behind each program, in an ```output block, what it printed

The output blocks are put in by the tool, not by the model: they are never trained on (§3.1 after the transcripts of the
authors' evaluation code).
"""

from __future__ import annotations

import re

from mathwright.problems.templates import response_prefix
from mathwright.records import Part, Solution

# An opening fence may be indented: a response that begins with a program begins with the space behind the prompt.
_BLOCK = re.compile(r"^[ \t]*```(python|output)[ \t]*\n(.*?)^```[ \t]*(?:\n|\Z)", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)


def response_text(solution: Solution, template: str = "deepseekmath") -> str:
    """The response as a model writes it, the space it begins with included, the end token not.

    Raises ValueError where a part could not be read back: a line of it begins with a code fence.
    """
    return "".join(text for text, _ in response_segments(solution, template))


def response_segments(solution: Solution, template: str = "deepseekmath") -> list[tuple[str, bool]]:
    """The response cut where the writer changes: (text, trained), trained False for the output of programs.

    Each segment is tokenised on its own, because generation, too, continues from the tokens of an inserted output. The
    first one begins with the space that `template` asks for. Raises ValueError as `response_text` does.
    """
    segments: list[tuple[str, bool]] = []
    written = response_prefix(template)
    last = len(solution.parts) - 1
    for index, part in enumerate(solution.parts):
        text = _write_part(part, is_last=index == last)
        if part.kind == "output":
            segments += [(written, True), (text, False)] if written else [(text, False)]
            written = ""
        else:
            written += text
    return [*segments, (written, True)] if written else segments


def _write_part(part: Part, *, is_last: bool) -> str:
    if _FENCE.search(part.text):
        raise ValueError(f"a line of this {part.kind} part begins with ``` and would end the block: {part.text!r}")
    if part.kind == "text":
        return part.text if is_last or part.text.endswith("\n") else part.text + "\n"
    language = "python" if part.kind == "code" else "output"
    body = part.text if part.text.endswith("\n") or not part.text else part.text + "\n"
    return f"```{language}\n{body}```\n"


def parse_response(text: str) -> tuple[Part, ...]:
    """The parts of a response: what `response_text` wrote, or a transcript of a model.

    Text is stripped, empty text left out; programs and outputs lose their last line end. A block that is never closed
    (a response cut off) stays text.
    """
    parts: list[Part] = []
    end = 0
    for block in _BLOCK.finditer(text):
        parts += _text_part(text[end : block.start()])
        kind = "code" if block.group(1) == "python" else "output"
        parts.append(Part(kind=kind, text=block.group(2).removesuffix("\n")))
        end = block.end()
    return (*parts, *_text_part(text[end:]))


def _text_part(text: str) -> list[Part]:
    stripped = text.strip()
    return [Part(kind="text", text=stripped)] if stripped else []
