"""What a server replied, and what follows from it: the response is finished, calls its tool, or goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mathwright.records import FinishReason
from mathwright.tools.fences import FenceReader
from mathwright.tools.loop import TAIL_CHARS, PythonTool

FENCE = "```\n"
"""End of a program, and the stop string that interrupts a completion there."""
CHARS_PER_TOKEN = 3
"""Of text a server does not count: mathematics and code are at 2.5 to 3.5 in the tokenizers we have seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A server's reply to one request."""

    text: str
    finish: Literal["stop", "length"]
    num_tokens: int
    """As the server counts them, or estimated."""
    stopped_by: str | None
    """The stop string, as far as the server says it (vLLM, SGLang); "" for the end token; None where it does not."""
    unreadable: bool = False
    """No text was found in it."""
    num_prompt_tokens: int = 0
    """As the server counts them; 0 where it does not."""
    num_cached_tokens: int = 0
    """Of the prompt, those it had computed before."""
    model: str = ""
    """The model that wrote it, as the server names it."""


def estimate_tokens(text: str) -> int:
    """Tokens of a text, roughly."""
    return -(-len(text) // CHARS_PER_TOKEN)


def parse_reply(body: bytes) -> Reply:
    """The reply in a response body, whatever is in it; without text it is "length": the answer is not all there."""
    try:
        value = json.loads(body.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        value = None
    choices = _get(value, "choices", list) or [None]
    choice = choices[0]
    text = _text(choice)
    reason = _get(choice, "finish_reason", str)
    usage = _get(value, "usage", dict)
    counted = _get(usage, "completion_tokens", int)
    cached = _get(_get(usage, "prompt_tokens_details", dict), "cached_tokens", int)
    return Reply(
        text=text or "",
        # An unknown reason (content_filter, eos_token, ...) still means that the model was done.
        finish="length" if reason == "length" or (text is None and reason is None) else "stop",
        num_tokens=counted if counted is not None and counted >= 0 else estimate_tokens(text or ""),
        stopped_by=_stopped_by(choice),
        unreadable=text is None,
        num_prompt_tokens=max(0, _get(usage, "prompt_tokens", int) or 0),
        num_cached_tokens=max(0, cached or 0),
        model=_get(value, "model", str) or "",
    )


def _get(value: Any, name: str, kind: type) -> Any:
    """A field of a JSON object, None where there is none or it is something else."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, kind) and not isinstance(found, bool) else None


def _text(choice: Any) -> str | None:
    message = _get(choice, "message", dict)
    text = _get(choice, "text", str)
    if text is None:
        text = _get(message, "content", str)
    if text is None and (parts := _get(message, "content", list)) is not None:
        text = "".join(_get(part, "text", str) or "" for part in parts)
    # Lone surrogates, which JSON can spell, could not be sent back.
    return text.encode("utf-8", errors="replace").decode("utf-8") if text is not None else None


def _stopped_by(choice: Any) -> str | None:
    """vLLM gives `stop_reason` (null at the end token), SGLang `matched_stop` (a token id there)."""
    for name in ("stop_reason", "matched_stop"):
        if isinstance(choice, dict) and name in choice:
            return choice[name] if isinstance(choice[name], str) else ""
    return None


# --- what follows ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finish:
    """The response is finished."""

    text: str
    finish: FinishReason


@dataclass(frozen=True, slots=True)
class RunTool:
    """The response ends in a program to run."""

    text: str
    code: str


@dataclass(frozen=True, slots=True)
class GoOn:
    """It was interrupted at a fence that ends no program."""

    text: str


def advance(
    before: str, reply: Reply, *, stop: Sequence[str], tool: PythonTool | None, is_chat: bool
) -> Finish | RunTool | GoOn:
    """What follows from a reply, as `mathwright.lm.generate` decides token by token.

    Args:
        before: the response so far.
        reply: what the server wrote after it; a stop string that ended it is missing.
        stop: strings that end the response.
        tool: what it may call.
        is_chat: whether the reply was a whole turn of a chat.

    A completion that was interrupted at FENCE gets it back. Where a server does not say what ended a reply, an open
    block means that it was FENCE. A chat turn that ends right after a program calls the tool, though its last line end
    is missing: that is how chat models hand over.
    """
    text = before + reply.text
    ended = _first_stop(text, len(before), stop)
    called = _first_call(text, len(before), tool) if tool is not None else None
    if ended is not None and (called is None or ended[1] <= called[0]):
        return Finish(text[: ended[0]], "stop")
    at_limit = reply.finish == "length"
    if called is not None and not (at_limit and called[0] == len(text)):
        return RunTool(text[: called[0]], called[1])
    if tool is None or at_limit:
        return Finish(text, reply.finish)
    if is_chat:
        code = tool.pending(text + "\n")
        return RunTool(text + "\n", code) if code is not None else Finish(text, "stop")
    return _after_completion(text, reply, tool)


def _after_completion(text: str, reply: Reply, tool: PythonTool) -> Finish | RunTool | GoOn:
    if reply.stopped_by not in (None, FENCE):
        return Finish(text, "stop")
    fenced = text if reply.text.endswith(FENCE) else text + FENCE
    if (code := tool.pending(fenced)) is not None:
        return RunTool(fenced, code)
    return GoOn(fenced) if reply.stopped_by == FENCE or in_block(text) else Finish(text, "stop")


def _first_stop(text: str, start: int, stop: Sequence[str]) -> tuple[int, int] | None:
    """Begin and end of the first stop string that is completed after `start`."""
    found = [
        (place, place + len(mark)) for mark in stop if (place := text.find(mark, max(0, start - len(mark) + 1))) >= 0
    ]
    return min(found, default=None)


def _first_call(text: str, start: int, tool: PythonTool) -> tuple[int, str] | None:
    """Where the first program that is finished after `start` ends, and the program."""
    for line in re.finditer("\n", text[start:]):
        end = start + line.end()
        if text.find("```", max(0, end - TAIL_CHARS - 1), end) < 0:
            continue  # a copy of the text is made for a fence alone, not for every line
        if (code := tool.pending(text[:end])) is not None:
            return end, code
    return None


def in_block(text: str) -> bool:
    """Whether a block is open, of any language, at the end of a text: then a fence closes one."""
    return FenceReader().closed_at_end(f"{text}\n{'`' * 80}\n") is not None
