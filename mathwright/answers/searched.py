"""What of a response may hold its answer: its own words, not its thoughts, nor programs, nor what tools printed.

One pass over the text, each character looked at once: every pattern here is a fixed number of characters long or a run
that is taken whole (`+` behind a repeat: Python never gives characters of it back).
"""

from __future__ import annotations

import re

_THOUGHT_NAMES = "think|thinking|thought|thoughts|reasoning|reflection|scratchpad"
_TOOL_NAMES = (
    "tool_call|tool_calls|tool_response|tool_responses|tool_result|tool_results|tool_output|function_call"
    "|function_response|function_results|code_interpreter|interpreter|llm-code|llm-code-output"
)
_MARK = re.compile(  # begins with a set of characters: Python passes over all others at once
    r"[`<\[◁](?:(?P<fence>(?<=`)``(?:`)*+)"
    rf"|(?<=[<\[◁])(?i:(?P<close>/?+)(?:seed:)?+(?:(?P<thought>{_THOUGHT_NAMES})|(?P<tool>{_TOOL_NAMES}))[>\]▷]"
    r"|\|(?P<edge>begin|end)_of_thought\|>"
    r"|\|channel\|>(?P<channel>analysis|commentary|final)))"
)
_MAX_TAG_CHARS = 64  # with the blanks behind it
_RUN = re.compile(r"`{3,}+")
_LANGUAGE = re.compile(r"[ \t]*+(?P<name>[A-Za-z][\w+#.-]*+)(?P<rest>[ \t]*+(?:\n|\Z))?")
_RUN_LANGUAGES = frozenset({"python", "python3", "py", "output", "text-output"})
"""Programs and their output, also where the block begins on the line of the fence."""
_TEXT_LANGUAGES = frozenset(
    "text txt plain plaintext latex tex math katex asciimath markdown md json xml yaml html answer".split()  # noqa: SIM905
)
"""Marked blocks that hold text; a block marked as anything else is a program."""


def answering_text(response: str) -> str:
    """The response without thoughts, programs and the output of tools; a blank line stands where they stood.

    Thoughts stand between `<think>` and `</think>` or in tags like them; what stands before a closing tag that nothing
    opened is a thought (the prompt opened it), and one that is never closed reaches to the end. Programs are fenced
    blocks marked with a language that is not one of texts, closed or not, and the calls and replies of tools in tags.
    """
    kept: list[str] = []
    start = num_before = 0  # where what is kept goes on; how many pieces stand before the thought we may be in
    inside = ""  # the tag whose end is looked for
    marks = list(_MARK.finditer(response))
    if not marks:
        return response
    position = 0
    first = next((mark for mark in marks if not mark.group("fence") and not _quoted(mark)), None)
    if first is not None and _is_end(first) and not first.group("tool"):
        start = position = first.end()  # fences before it are of the thought, closed or not
    for mark in marks:
        if mark.start() < position:
            continue
        position = mark.end()
        if mark.group("fence") is not None:
            if not inside and (end := _end_of_program(response, mark)) is not None:
                kept.append(response[start : mark.start()])
                start = position = end
            continue
        if not inside and _quoted(mark):
            continue
        name, is_end = _name(mark), _is_end(mark)
        if inside:
            if is_end and name == inside:
                inside, start = "", position
                num_before = len(kept) if name != "tool" else num_before
        elif not is_end:
            kept.append(response[start : mark.start()])
            inside = name
        elif name != "tool":
            del kept[num_before:]
            start = position
    if not inside:
        kept.append(response[start:])
    return "\n\n".join(kept)


def opened_thought(prompt: str) -> str:
    """The tag of the thought that a prompt ends in, as of templates that write `<think>` for the model; else "".

    Put before a response it says where the response's thought begins.
    """
    tail = prompt[-_MAX_TAG_CHARS:].rstrip()
    for mark in _MARK.finditer(tail):
        if mark.end() == len(tail) and mark.group("thought") and not mark.group("close"):
            return mark.group()
    return ""


def _quoted(mark: re.Match[str]) -> bool:
    """Whether a tag is talked about: `<think>` between backticks."""
    return mark.string[mark.start() - 1 : mark.start()] == "`" == mark.string[mark.end() : mark.end() + 1]


def _name(mark: re.Match[str]) -> str:
    if mark.group("tool"):
        return "tool"
    return mark.group("thought").lower() if mark.group("thought") else "edge" if mark.group("edge") else "channel"


def _is_end(mark: re.Match[str]) -> bool:
    if edge := mark.group("edge") or mark.group("channel"):
        return edge.lower() in ("end", "final")
    return bool(mark.group("close"))


def _end_of_program(text: str, fence: re.Match[str]) -> int | None:
    """Where the program that a fence opens ends, its closing fence included; None where the fence opens none."""
    language = _LANGUAGE.match(text, fence.end())
    if language is None:
        return None
    name = language.group("name").lower()
    if name not in _RUN_LANGUAGES and (name in _TEXT_LANGUAGES or language.group("rest") is None):
        return None
    num_ticks = len(fence.group())
    for run in _RUN.finditer(text, language.end()):
        if len(run.group()) >= num_ticks:
            return run.end()
    return len(text)
