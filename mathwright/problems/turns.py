"""Where a response begins and ends: what a template writes around it, and the one token that ends it.

    <|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n          R          <|im_end|>\n
    └───────────────────── prompt ─────────────────────┘└ prefix ┘     └ gap ┘└─ end ──┘

Under `tokenizer` all of it is read off the model's own chat template, by rendering a conversation with a known answer:
the template that asks and the one that shows an answer are two branches of one program, and they differ in a space, in
an empty `<think>` block, in which token ends a turn. So what is trained is what every other tool renders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.problems.formats import response_segments
from mathwright.problems.templates import render, response_prefix
from mathwright.records import Solution

_QUESTION = "What is 1 + 1?"
_ANSWER = "Rq7vK"
"""Stands nowhere in a chat template."""
_WHITESPACE = " \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What stands around a response under a template."""

    prefix: str | None
    """Between the prompt and the response: a space, an empty thinking block. None where the template asks for a
    response with words that no conversation of it has (DeepSeek-R1 opens `<think>`)."""
    gap: str
    """Between the response and the end token: a space under Llama-2."""
    end: int
    """The token that ends a response: what is trained, and what generation stops at."""
    strip_start: str = ""
    """Characters that the template takes away from the beginning of a response."""
    strip_end: str = ""

    def segments(self, solution: Solution) -> list[tuple[str, bool]]:
        """`formats.response_segments` of a solution without prefix, gap and what the template takes away."""
        segments = response_segments(solution, "tokenizer")  # under which a response begins with nothing of ours
        text, trained = segments[0]
        segments[0] = (text.lstrip(self.strip_start), trained)
        text, trained = segments[-1]
        segments[-1] = (text.rstrip(self.strip_end), trained)
        return segments

    def require_prefix(self) -> str:
        """The prefix, for training on given responses. Raises MathwrightError where the template has none."""
        if self.prefix is None:
            raise MathwrightError(
                "the model's chat template asks for a response in other words than those it shows one in "
                "(it may open a block such as <think>): a given response has no place after its prompt",
                hint='fine-tune with template "deepseekmath", or correct the chat template of the tokenizer',
            )
        return self.prefix


def turn(template: str, tokenizer: Any) -> Turn:
    """What stands around a response of a model with this tokenizer under `template`.

    Raises MathwrightError for an unknown template, or where nothing ends a response: a model cannot learn to stop.
    """
    if template == "tokenizer":
        return _own_turn(tokenizer)
    return Turn(prefix=response_prefix(template), gap="", end=_end_of_sequence(tokenizer))


def end_of_own_turn(tokenizer: Any) -> int | None:
    """The token that ends a response under the model's chat template; None where there is no template or no token."""
    if not getattr(tokenizer, "chat_template", None):
        return None
    try:
        return _own_turn(tokenizer).end
    except MathwrightError:
        return None


# --- the model's own template ---------------------------------------------------------------------


def _own_turn(tokenizer: Any) -> Turn:
    asked = render(tokenizer, [{"role": "user", "content": _QUESTION}], ask=True)
    shown = _shown(tokenizer, _ANSWER)
    if shown.count(_ANSWER) != 1:
        raise MathwrightError(
            f"the model's chat template writes a response {shown.count(_ANSWER)} times",
            hint='correct the chat template of the tokenizer, or use template "deepseekmath"',
        )
    before, after = shown.split(_ANSWER)
    gap, end = _ending(tokenizer, after)
    return Turn(
        prefix=before.removeprefix(asked) if before.startswith(asked) else None,
        gap=gap,
        end=end,
        strip_start=_stripped(lambda character: _shown(tokenizer, character + _ANSWER) == shown),
        strip_end=_stripped(lambda character: _shown(tokenizer, _ANSWER + character) == shown),
    )


def _shown(tokenizer: Any, answer: str) -> str:
    turns = [{"role": "user", "content": _QUESTION}, {"role": "assistant", "content": answer}]
    return render(tokenizer, turns, ask=False)


def _stripped(is_taken_away: Any) -> str:
    taken = [character for character in " \n" if is_taken_away(character)]
    return _WHITESPACE if len(taken) == 2 else "".join(taken)


def _ending(tokenizer: Any, after: str) -> tuple[str, int]:
    """The text up to the end token, and the token, of what a template writes after a response."""
    found = [(after.find(text), -len(text), text) for text in control_tokens(tokenizer) if text in after]
    if found:
        place, _, text = min(found)
        return after[:place], control_tokens(tokenizer)[text]
    if not after.strip():
        return after, _end_of_sequence(tokenizer)
    tokens = tokenizer.encode(after.strip(), add_special_tokens=False)
    if len(tokens) != 1:
        raise MathwrightError(
            f"the model's chat template ends a response with {after.strip()!r}, which is not one token of its "
            "tokenizer: nothing could stop at it",
            hint='add it to the tokenizer as a special token, or use template "deepseekmath"',
        )
    return after[: len(after) - len(after.lstrip())], int(tokens[0])


def control_tokens(tokenizer: Any) -> Mapping[str, int]:
    """The tokens of a tokenizer that are written by templates and never part of a word, by their text."""
    added = {token.content: int(number) for number, token in tokenizer.added_tokens_decoder.items()}
    named = dict(zip(tokenizer.all_special_tokens, map(int, tokenizer.all_special_ids), strict=True))
    # Gemma has runs of line ends and HTML tags among them
    return {text: number for text, number in {**added, **named}.items() if text.strip()}


def _end_of_sequence(tokenizer: Any) -> int:
    if tokenizer.eos_token_id is None:
        raise MathwrightError(
            "the model's tokenizer has no end-of-sequence token: nothing would end a response",
            hint="set eos_token in its tokenizer_config.json",
        )
    return int(tokenizer.eos_token_id)
