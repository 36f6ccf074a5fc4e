"""How a row of each file of labelled or ranked solutions becomes a group: verdicts, or an order of merit.

The layout of a row is told by its columns (`LAYOUTS`). A reader takes one row and gives Labelled, or Dropped with the
reason why it compares nothing; it raises LayoutError where a column holds something else. docs/reward.md lists them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.problems.containers import data_rows
from mathwright.problems.fields import LayoutError, Row, field, items, label, text
from mathwright.problems.layouts import Dropped
from mathwright.problems.prompts import build_prompt
from mathwright.problems.templates import render
from mathwright.problems.turns import turn
from mathwright.records import JudgedGroup, Problem, Ranking, from_json
from mathwright.reward.examples import Group
from mathwright.run import Stage

Messages = tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """What a row asks and how its responses are labelled: by verdicts or by ranks, one of the two."""

    asked: str | Messages
    """A question, or the conversation up to the response."""
    responses: tuple[str, ...]
    correct: tuple[bool | None, ...] | None = None
    ranks: tuple[int, ...] | None = None
    id: str = ""


Read = Labelled | Group | Dropped


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout and how its rows are recognised."""

    name: str
    recognises: Callable[[Row], bool]
    read: Callable[[Row], Read]


# --- layouts --------------------------------------------------------------------------------------


def judged_group(row: Row) -> JudgedGroup:
    """A `JudgedGroup` record, such as samples.jsonl of a reward stage has: its prompt stands as the model read it."""
    group = _record(JudgedGroup, row)
    _require_lengths(responses=group.responses, correct=group.correct, truncated=group.truncated)
    return group


def ranking(row: Row) -> Ranking:
    """A `Ranking` record, such as rankings.jsonl of a reward stage has: its prompt stands as the model read it."""
    group = _record(Ranking, row)
    _require_lengths(responses=group.responses, ranks=group.ranks)
    return group


def ranked(row: Row) -> Labelled:
    """{"prompt", "responses", "ranks"}: a question, and ranks of which the lowest is the best."""
    responses, ranks = items(row, "responses"), items(row, "ranks")
    _require_lengths(responses=responses, ranks=ranks)
    if any(isinstance(rank, bool) or not isinstance(rank, int) for rank in ranks):
        raise LayoutError(f"has ranks {ranks!r}, which are no whole numbers")
    places = {rank: place for place, rank in enumerate(sorted(set(ranks)))}
    return Labelled(
        asked=_asked(field(row, "prompt")),
        responses=_texts(responses),
        ranks=tuple(places[rank] for rank in ranks),
        id=label(row, "id", "prompt_id"),
    )


def labelled(row: Row) -> Labelled:
    """{"prompt" or "question", "responses", "correct"}: a question and a verdict (or null) of each response."""
    responses, correct = items(row, "responses"), items(row, "correct")
    _require_lengths(responses=responses, correct=correct)
    if any(verdict is not None and not isinstance(verdict, bool) for verdict in correct):
        raise LayoutError(f"has verdicts {correct!r}, which are not true, false or null")
    asked = _asked(field(row, "prompt", "question"))
    return Labelled(asked=asked, responses=_texts(responses), correct=tuple(correct), id=label(row, "id"))


def gsm8k_solutions(row: Row) -> Labelled:
    """{"question", "ground_truth", and a column a model: {"is_correct", "solution"}} of openai/grade-school-math.

    They answer test problems: for `reward.judged_files`, never to train on.
    """
    solutions = [value for value in row.values() if _is_solution(value)]
    return Labelled(
        asked=text(row, "question"),
        responses=_texts([solution["solution"] for solution in solutions]),
        correct=tuple(solution["is_correct"] for solution in solutions),
    )


def rewardbench2(row: Row) -> Labelled:
    """{"prompt", "chosen": [text], "rejected": [text]}: several of each, of which all chosen are equally good."""
    chosen, rejected = _texts(items(row, "chosen")), _texts(items(row, "rejected"))
    return Labelled(
        asked=text(row, "prompt"),
        responses=(*chosen, *rejected),
        ranks=(0,) * len(chosen) + (1,) * len(rejected),
        id=label(row, "id"),
    )


def rewardbench(row: Row) -> Labelled:
    """{"prompt" or "question", "chosen", "rejected"}, texts: RewardBench 1, and most files of preferences."""
    pair = (text(row, "chosen", strip=False), text(row, "rejected", strip=False))
    return Labelled(
        asked=_asked(field(row, "prompt", "question")), responses=pair, ranks=(0, 1), id=label(row, "id", "prompt_id")
    )


def conversations(row: Row) -> Labelled | Dropped:
    """{"chosen": messages, "rejected": messages}: each a whole conversation whose last turn is the response, or, beside
    a "prompt" of messages, that turn alone.

    UltraFeedback binarized is of this kind (its "prompt" repeats the first turn); where it scores both alike
    ("score_chosen", "score_rejected") neither is better.
    """
    prompt = row.get("prompt")
    before = _messages(prompt) if isinstance(prompt, list) else ()
    chosen, rejected = (before + _messages(items(row, name)) for name in ("chosen", "rejected"))
    if not all(turns and turns[-1]["role"] == "assistant" for turns in (chosen, rejected)):
        return Dropped(reason="does not end with the assistant's turn")
    if chosen[:-1] != rejected[:-1]:
        return Dropped(reason="chosen and rejected answer different prompts")
    if not chosen[:-1]:
        return Dropped(reason="no prompt")
    tie = "score_chosen" in row and row["score_chosen"] == row.get("score_rejected")
    return Labelled(
        asked=chosen[:-1],
        responses=(chosen[-1]["content"], rejected[-1]["content"]),
        ranks=(0, 0 if tie else 1),
        id=label(row, "prompt_id", "id"),
    )


def _has(*columns: str) -> Callable[[Row], bool]:
    return lambda row: all(column in row for column in columns)


def _lists_of(kind: type) -> Callable[[Row], bool]:
    def recognises(row: Row) -> bool:
        values = [row.get("chosen"), row.get("rejected")]
        return all(isinstance(v, list) and all(isinstance(item, kind) for item in v) for v in values)

    return recognises


def _is_solution(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("is_correct"), bool) and "solution" in value


LAYOUTS: tuple[Layout, ...] = (
    Layout("judged_group", _has("problem_id", "prompt", "responses", "correct", "truncated"), judged_group),
    Layout("ranking", _has("problem_id", "prompt", "responses", "ranks"), ranking),
    Layout("ranked", _has("prompt", "responses", "ranks"), ranked),
    Layout(
        "labelled", lambda row: _has("responses", "correct")(row) and ("prompt" in row or "question" in row), labelled
    ),
    Layout("gsm8k_solutions", lambda row: "question" in row and any(map(_is_solution, row.values())), gsm8k_solutions),
    Layout("rewardbench2", lambda row: "prompt" in row and _lists_of(str)(row), rewardbench2),
    Layout("conversations", _lists_of(dict), conversations),
    Layout(
        "rewardbench",
        lambda row: _has("chosen", "rejected")(row) and ("prompt" in row or "question" in row),
        rewardbench,
    ),
)
"""In the order in which they are tried: the ones with more columns first."""


# --- fields ---------------------------------------------------------------------------------------


def _record(cls: type[Any], row: Row) -> Any:
    try:
        return from_json(cls, row)
    except ValueError as error:
        raise LayoutError(f"is not a {cls.__name__}: {error}") from error


def _require_lengths(**columns: Sequence[Any]) -> None:
    if len(set(map(len, columns.values()))) > 1:
        told = ", ".join(f"{len(values)} {name}" for name, values in columns.items())
        raise LayoutError(f"has lists of different lengths: {told}")


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    if any(not isinstance(value, str) for value in values):
        raise LayoutError("has a response that is no text")
    return tuple(values)


def _asked(value: Any) -> str | Messages:
    if isinstance(value, list):
        return _messages(value)
    if not isinstance(value, str):
        raise LayoutError("has a prompt that is neither a text nor a list of messages")
    return value.strip()


def _messages(values: Sequence[Any]) -> Messages:
    if any(not isinstance(m, Mapping) or not {"role", "content"} <= m.keys() for m in values):
        raise LayoutError('has messages without "role" and "content"')
    if any(not isinstance(m["role"], str) or not isinstance(m["content"], str) for m in values):
        raise LayoutError("has a message whose role or content is no text")
    return tuple({"role": m["role"], "content": m["content"]} for m in values)


# --- files ----------------------------------------------------------------------------------------


def read_files(
    paths: Sequence[str],
    *,
    template: str,
    tokenizer: Any,
    stage: Stage | None = None,
    fields: Sequence[tuple[str, str]] = (),
) -> list[Group]:
    """The groups of some files, their questions put into `template` as those of problems are, one group a row.

    Rows that compare nothing are counted by reason in a funnel of `stage`, one a file. Raises MathwrightError naming
    file and line for a row in no layout, and for a file that is missing, damaged or cut in the middle of a line.
    """
    groups: list[Group] = []
    for path in paths:
        dropped: Counter[str] = Counter()
        rows = list(_read(path, template, tokenizer, fields))
        dropped.update(row.reason for row in rows if isinstance(row, Dropped))
        kept = [row for row in rows if not isinstance(row, Dropped)]
        if stage is not None:
            stage.funnel(path, unit="rows", num_in=len(rows), num_out=len(kept), dropped=dropped)
        groups += kept
    return groups


def _read(path: str, template: str, tokenizer: Any, fields: Sequence[tuple[str, str]]) -> Iterator[Group | Dropped]:
    prefix = turn(template, tokenizer).require_prefix()
    for number, (where, row) in enumerate(data_rows(path, fields)):
        layout = layout_of(row, where)
        try:
            found = layout.read(row)
        except LayoutError as error:
            raise MathwrightError(
                f"{where}: {error} (read as {layout.name})", hint="correct or remove this row"
            ) from error
        if isinstance(found, Labelled):
            found = _group(found, f"{Path(path).name}:{number}", template, tokenizer, prefix)
        yield found


def layout_of(row: Row, where: str) -> Layout:
    """The layout a row is in; MathwrightError, naming `where`, for one that is in none."""
    for layout in LAYOUTS:
        if layout.recognises(row):
            return layout
    raise MathwrightError(
        f"{where}: no known layout has the columns {', '.join(sorted(row)) or '(none)'}",
        hint='write {"prompt", "chosen", "rejected"}, or a layout of docs/reward.md; --field chosen=NAME renames one',
    )


def _group(found: Labelled, place: str, template: str, tokenizer: Any, prefix: str) -> Group | Dropped:
    """The question put to the model as a problem is, its responses as the model would begin them."""
    prompt = _prompt(found.asked, place, template, tokenizer)
    if isinstance(prompt, Dropped):
        return prompt
    problem_id = found.id or place
    responses = tuple(prefix + response.strip() for response in found.responses)
    if found.correct is not None:
        whole = (False,) * len(responses)
        return JudgedGroup(
            problem_id=problem_id, prompt=prompt, responses=responses, correct=found.correct, truncated=whole
        )
    assert found.ranks is not None
    return Ranking(problem_id=problem_id, prompt=prompt, responses=responses, ranks=found.ranks)


def _prompt(asked: str | Messages, place: str, template: str, tokenizer: Any) -> str | Dropped:
    if not isinstance(asked, str):
        if template == "tokenizer":
            return render(tokenizer, asked, ask=True)
        if len(asked) != 1 or asked[0]["role"] != "user":
            return Dropped(reason=f"several turns, for which the template {template} has no place")
        asked = asked[0]["content"]
    if not asked.strip():
        return Dropped(reason="no prompt")
    problem = Problem(id=place, question=asked, answer="", source="file", split="train")
    return build_prompt(problem, "cot", template=template, tokenizer=tokenizer).text
