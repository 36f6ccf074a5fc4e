"""Rows of one's own: questions, prompts and conversations, in the columns in which people keep them.

    question | problem | instruction (+ input)   a question, asked as our own are, with the suffix of the mode
    prompt (text or messages)                    put to the model as it stands
    messages | conversations                     a conversation: each turn of the assistant answers those before
    answer | ground_truth | ...                  the final answer, or working that ends in "#### 72" or a box
    solution | completion | response | ...       a worked solution, trained word for word
    id, split, choices, subject, level, language, tests   as in `records.Problem`

What is not there is made: an id by the question, a split by chance. docs/own_data.md is this table for users.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.lines import json_text, plain_json
from mathwright.problems.containers import HUB, SPLITS, data_rows
from mathwright.problems.fields import LayoutError, last_boxed, letters
from mathwright.problems.layouts import unusable
from mathwright.records import Message, Part, Problem, Solution, from_json

QUESTION = ("question", "problem", "instruction", "query")
CONVERSATION = ("messages", "conversations", "conversation")
ANSWER = ("answer", "final_answer", "ground_truth", "expected_answer", "reference_answer", "target")
RESPONSE = ("solution", "completion", "response", "output", "generation", "chosen")
NO_ANSWER = "empty reference"
RECORD = ("id", "question", "answer", "source", "split")
"""Fields that a whole `Problem` record has."""
ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "model": "assistant",
         "bot": "assistant", "system": "system", "developer": "system"}  # fmt: skip
TURN = "-turn"
"""In the id of a later turn of a conversation."""
_LATER_TURN = re.compile(rf"{TURN}\d+\Z")
MAX_HELDOUT, HELDOUT_SHARE = 200, 10
"""Of a file without splits one row in so many is held out, and no more than so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What a row asks, and the response it has, if any."""

    problem: Problem
    """Its id is "" where the row has none, its split where it says nothing."""
    response: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRows:
    """All rows of a source."""

    train: list[Problem]
    test: list[Problem]
    solutions: list[Solution]
    dropped: Counter[str]
    """Rows that were left out, by reason."""


def load_own(
    where: str, *, fields: Sequence[tuple[str, str]] = (), seed: int = 0, heldout: bool = True, answers: bool = True
) -> OwnRows:
    """Read rows of one's own; questions that stand there several times are one problem with all their solutions.

    Args:
        where: what `containers.data_rows` opens.
        fields: pairs (our name, the file's name).
        seed: of the split, where no row says its own.
        heldout: hold a tenth of the problems out, 200 at most, where no row says its split.
        answers: leave out what has no final answer.

    Raises MathwrightError naming file and line for a row that asks nothing, or an id of two questions, and where no row
    has a final answer but they are asked for.
    """
    known = _Known()
    solutions: list[Solution] = []
    dropped: Counter[str] = Counter()
    unanswered = ""
    name = source_name(where)
    for place, row in data_rows(where, fields):
        for own in _read(row, place, name):
            reason = unusable(own.problem)
            if reason and (answers or reason != NO_ANSWER):
                dropped[reason] += 1
                if reason == NO_ANSWER:
                    unanswered = unanswered or ", ".join(map(str, row))
                continue
            split = own.problem.split
            if split not in ("", "train") and not split.startswith("test"):
                dropped[f"split {split!r} is neither train nor test"] += 1
                continue
            problem, reason = known.add(own, place)
            if reason:
                dropped[reason] += 1
            elif own.response is not None and own.response.strip():
                part = Part(kind="raw", text=own.response)
                solutions.append(Solution(problem_id=problem.id, format="cot", parts=(part,), answer=problem.answer))
    if unanswered and not known.problems and set(dropped) == {NO_ANSWER}:
        raise MathwrightError(
            f"{where}: no row has a final answer: none of {', '.join(ANSWER)} among its fields ({unanswered})",
            hint="say which it is: --field answer=NAME, from Python fields={'answer': 'NAME'}",
        )
    splits = _split(known.problems, seed, heldout)
    kept = {problem.id for problem in splits["train"]}
    return OwnRows(
        train=splits["train"],
        test=splits["test"],
        solutions=[solution for solution in solutions if solution.problem_id in kept],
        dropped=dropped,
    )


def source_name(where: str) -> str:
    """A word for where rows come from: the file's or folder's name without its ending."""
    name = Path(where.removeprefix(HUB)).name.split(".")[0].replace("*", "").strip("-_ ")
    return name or "own"


class _Known:
    """The problems read so far, each under an id of its own."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._by_question: dict[str, Problem] = {}
        self._places: dict[str, str] = {}

    def add(self, own: Own, place: str) -> tuple[Problem, str]:
        """The problem under its id, or the one read before that the response is of; and why the row is left out."""
        problem = own.problem
        key = " ".join([problem.question, *problem.choices]).casefold()
        before = self._by_question.get(key)
        if before is not None and (own.response is not None or not problem.id):
            if before.answer != problem.answer:
                return before, "question asked before, with another answer"
            return before, "" if own.response is not None else "question asked before"
        if not problem.id:
            problem = replace(problem, id=f"{problem.source}-{_digest(key)}")
        if problem.id in self._places:
            raise MathwrightError(
                f"{place}: the id {problem.id!r} stands already at {self._places[problem.id]}",
                hint="give each problem an id of its own, or leave the field out",
            )
        self._places[problem.id] = place
        self._by_question.setdefault(key, problem)
        self.problems.append(problem)
        return problem, ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _split(problems: list[Problem], seed: int, heldout: bool) -> dict[str, list[Problem]]:
    """Train and test as the rows say; where none does, a tenth drawn by the seed is test."""
    if heldout and not any(problem.split for problem in problems):
        # by a hash of each id, so that rows added later move no other; the turns of a conversation stay together
        rows = {p.id: conversation_of(p.id.removeprefix(f"{p.source}-")) for p in problems}
        order = sorted(set(rows.values()), key=lambda row: _digest(f"{seed}:{row}"))
        chosen = set(order[: min(MAX_HELDOUT, len(order) // HELDOUT_SHARE)])
        problems = [replace(p, split="test" if rows[p.id] in chosen else "train") for p in problems]
    sorted_out: dict[str, list[Problem]] = {"train": [], "test": []}
    for problem in problems:
        split = problem.split or "train"
        sorted_out["train" if split == "train" else "test"].append(replace(problem, split=split))
    return sorted_out


# --- one row --------------------------------------------------------------------------------------


def _read(row: Mapping[str, Any], place: str, source: str) -> Iterator[Own]:
    try:
        yield from read_row(row, source)
    except LayoutError as error:
        raise MathwrightError(
            f"{place}: {error}",
            hint="docs/own_data.md has the columns; one of another name: --field question=NAME, from Python "
            "fields={'question': 'NAME'}",
        ) from error


def read_row(row: Mapping[str, Any], source: str) -> Iterator[Own]:
    """What a row asks: one problem, or one for each turn of the assistant. Raises LayoutError where it asks nothing."""
    if all(name in row for name in RECORD) and isinstance(row["answer"], str):
        known = {name: row[name] for name in Problem.__dataclass_fields__ if row.get(name) is not None}
        try:
            yield Own(problem=from_json(Problem, known), response=_response(row))
        except ValueError as error:
            raise LayoutError(f"not a Problem: {error}") from error
        return
    base = _base(row, source)
    conversation = next((row[name] for name in CONVERSATION if row.get(name) not in (None, "", [])), None)
    if conversation is not None:
        yield from _conversation(_messages(conversation), base)
        return
    question = next((row[name] for name in QUESTION if _is_text(row.get(name))), None)
    prompt = row.get("prompt")
    if question is not None:
        more = row.get("input")
        text = f"{question.strip()}\n\n{more.strip()}" if isinstance(more, str) and more.strip() else question.strip()
        response = _response(row)
        yield Own(problem=replace(base, question=text), response=response if response is not None else _working(row))
    elif prompt is not None and prompt != "":
        messages = _messages(prompt) if not isinstance(prompt, str) else (Message(role="user", content=prompt.strip()),)
        yield Own(problem=_asked(messages, base), response=_response(row))
    else:
        raise LayoutError(
            f"no question: none of {', '.join((*QUESTION, 'prompt', 'messages'))} among its fields "
            f"({', '.join(map(str, row)) or 'none'})"
        )


def _base(row: Mapping[str, Any], source: str) -> Problem:
    """All of a row's problem but what it asks."""
    options = row.get("choices") or row.get("options") or ()
    choices = tuple(str(option) for option in options) if isinstance(options, list | tuple) else ()
    answer = _answer(row)
    used = {*QUESTION, *CONVERSATION, "prompt", "input", "choices", "options", "id", "split"}
    return Problem(
        id=str(row["id"]) if row.get("id") not in (None, "") else "",
        question="",
        answer=letters(answer) if choices else answer,
        source=str(row.get("source") or row.get("data_source") or source),
        split=_split_word(row.get("split")),
        subject=str(row.get("subject") or row.get("type") or ""),
        level=str(row.get("level") or ""),
        language=str(row.get("language") or "en"),
        choices=choices,
        tests=row["tests"] if _is_text(row.get("tests")) else "",
        columns={str(name): plain_json(value) for name, value in row.items() if name not in used},
    )


def conversation_of(problem_id: str) -> str:
    """The id of the first turn of the conversation that a problem belongs to: its own, unless it is a later turn."""
    return _LATER_TURN.sub("", problem_id)


def _split_word(value: Any) -> str:
    word = str(value or "").strip().lower()
    return SPLITS.get(word, word)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _answer(row: Mapping[str, Any]) -> str:
    """The final answer: a field of its own, or the last box of the working."""
    value = next((row[name] for name in ANSWER if row.get(name) not in (None, "")), None)
    nested = row.get("reward_model")  # verl
    if value is None and isinstance(nested, Mapping):
        value = nested.get("ground_truth")
    if value is None:
        working = _response(row)
        return _final(working, alone=False) if working is not None else ""
    if isinstance(value, list | tuple) and len(value) == 1:
        [value] = value
    if isinstance(value, str):
        return _final(value, alone=True)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return json_text(plain_json(value))
    return str(int(value)) if float(value).is_integer() else repr(value)


def _final(text: str, *, alone: bool) -> str:
    """The answer at the end of a text: behind "####" (GSM8K), in its last box (MATH), or `alone` the text itself."""
    if "####" in text:
        return text.rpartition("####")[2].strip().replace(",", "")
    boxed = last_boxed(text)
    return boxed.strip() if boxed is not None else text.strip() if alone else ""


def _working(row: Mapping[str, Any]) -> str | None:
    """What `answer` says besides the answer: GSM8K's working; else the answer itself is the response."""
    value = next((row[name] for name in ANSWER if _is_text(row.get(name))), None)
    if value is None or "####" not in value:
        return value
    working, _, answer = value.rpartition("####")
    return f"{working.rstrip()}\nThe answer is $\\boxed{{{answer.strip().replace(',', '')}}}$."


def _response(row: Mapping[str, Any]) -> str | None:
    value = next((row[name] for name in RESPONSE if row.get(name) not in (None, "", [])), None)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return value[0]
        messages = _messages(value)
        if messages[-1].role == "assistant":
            return messages[-1].content
    raise LayoutError("its response is neither a text nor messages that end with the assistant's turn")


# --- conversations ----------------------------------------------------------------------------------


def _messages(value: Any) -> tuple[Message, ...]:
    """Turns {"role", "content"}, or ShareGPT's {"from", "value"}."""
    if isinstance(value, str):
        try:
            value = json.loads(value)  # CSV holds lists as text
        except ValueError as error:
            raise LayoutError("its messages are a text that is no JSON") from error
    if not isinstance(value, list) or not value:
        raise LayoutError("its messages are no list of turns")
    return tuple(_message(turn) for turn in value)


def _message(turn: Any) -> Message:
    if not isinstance(turn, Mapping):
        raise LayoutError(f"has a turn that is no object with role and content: {str(turn)[:60]!r}")
    role = ROLES.get(str(turn.get("role", turn.get("from"))).lower())
    content = turn.get("content", turn.get("value"))
    if isinstance(content, list):  # parts, as chat servers take them
        content = "".join(part.get("text", "") for part in content if isinstance(part, Mapping))
    if role is None:
        raise LayoutError(
            f"has a turn of {turn.get('role', turn.get('from'))!r}; turns are of system, user and assistant"
        )
    if not isinstance(content, str):
        raise LayoutError(f"has a turn of {role} without a text in content")
    return Message(role=role, content=content)


def _conversation(messages: tuple[Message, ...], base: Problem) -> Iterator[Own]:
    """A problem for each turn of the assistant, asked by all turns before it; the last turn may be still to come."""
    places = [index for index, message in enumerate(messages) if message.role == "assistant" and index]
    if not places or messages[-1].role != "assistant":
        places.append(len(messages))
    if not any(message.role == "user" for message in messages):
        raise LayoutError("has no turn of the user")
    own_id = base.id or f"{base.source}-{_digest(repr(messages))}"
    for number, place in enumerate(places, start=1):
        name = own_id if number == 1 else f"{own_id}{TURN}{number}"
        response = messages[place].content if place < len(messages) else None
        yield Own(problem=_asked(messages[:place], replace(base, id=name)), response=response)


def _asked(messages: tuple[Message, ...], base: Problem) -> Problem:
    """The conversation as a problem; its question, by which it is known, is what was said, in one text."""
    only_user = len(messages) == 1 and messages[0].role == "user"
    said = messages[0].content if only_user else "\n\n".join(f"{m.role}: {m.content}" for m in messages)
    return replace(base, question=said, messages=messages)
