"""How a row of each file of labelled steps becomes solutions with a label a step.

The layout of a row is told by its columns (`STEP_LAYOUTS`). A reader takes one row and gives the solutions in it, or
Dropped with the reason why it has none; it raises LayoutError where a column holds something else. Some are made to
measure process reward models by: they are not trained on. docs/process_rewards.md lists them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mathwright.errors import MathwrightError
from mathwright.problems.fields import LayoutError, Row, field, items, label, text
from mathwright.problems.layouts import Dropped
from mathwright.problems.prompts import build_prompt
from mathwright.problems.tables import file_rows
from mathwright.problems.turns import turn
from mathwright.records import Problem, StepLabels, from_json
from mathwright.run import Log

Neutral = Literal["right", "wrong", "unlabelled"]
"""What a step counts as that people called neither right nor wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SteppedSolution:
    """A question and a solution cut into steps, each with its label."""

    question: str
    steps: tuple[str, ...]
    labels: tuple[float | None, ...]
    id: str = ""


Read = Sequence[SteppedSolution] | StepLabels | Dropped


@dataclass(frozen=True, slots=True)
class StepLayout:
    """A layout and how its rows are recognised."""

    name: str
    recognises: Callable[[Row], bool]
    read: Callable[[Row, Neutral], Read]
    for_evaluation: bool = False
    """Whether it is a test set."""


# --- what is trained on ---------------------------------------------------------------------------


def step_labels(row: Row, _: Neutral) -> StepLabels:
    """A `StepLabels` record, such as labels.jsonl of `mathwright reward label` has."""
    try:
        record = from_json(StepLabels, row)
    except ValueError as error:
        raise LayoutError(f"is not a StepLabels: {error}") from error
    for name, values in (("labels", record.labels), ("hits", record.hits), ("completions", record.completions)):
        if len(values) != len(record.step_ends) and (values or name == "labels"):
            raise LayoutError(f"has {len(record.step_ends)} steps but {len(values)} {name}")
    if [*record.step_ends] != sorted({*record.step_ends}) or not _inside(record.step_ends, len(record.response)):
        raise LayoutError("has ends of steps that overlap or lie outside the response")
    _require_shares(record.labels)
    return record


def prm800k(row: Row, neutral: Neutral) -> Sequence[SteppedSolution] | Dropped:
    """PRM800K: {"question": {"problem"}, "label": {"steps": [{"completions", "human_completion", "chosen_completion"}],
    "finish_reason"}, "is_quality_control_question", "is_initial_screening_question"}.

    The trajectory is what people went on with at each step: the completion they chose, or the one they wrote. Where
    neither is there, it ended: with its first completion, where that is called wrong.
    """
    if row.get("is_quality_control_question") or row.get("is_initial_screening_question"):
        return Dropped(reason="a question that controls or screens the labellers")
    question, found = _mapping(row, "question"), _mapping(row, "label")
    shares = {1: 1.0, 0: {"right": 1.0, "wrong": 0.0, "unlabelled": None}[neutral], -1: 0.0, None: None}
    steps: list[str] = []
    labels: list[float | None] = []
    for step in items(found, "steps"):
        completions = step.get("completions") or []
        chosen, human = step.get("chosen_completion"), step.get("human_completion")
        if chosen is not None:
            if not isinstance(chosen, int) or not 0 <= chosen < len(completions):
                raise LayoutError(f"chose completion {chosen!r} of {len(completions)}")
            steps.append(text(completions[chosen], "text"))
            labels.append(_share(completions[chosen].get("rating"), shares))
        elif human:
            steps.append(text(human, "text"))
            labels.append(1.0)  # people wrote it where nothing was right
        else:
            if completions and completions[0].get("rating") == -1:
                steps.append(text(completions[0], "text"))
                labels.append(0.0)
            break
    return _solutions(text(question, "problem"), steps, labels)


def math_shepherd(row: Row, _: Neutral) -> Sequence[SteppedSolution] | Dropped:
    """Math-Shepherd: {"input", "label", "task"}: question and steps, a "ки" after each step, for which the label has a
    "+" or a "-". The first step stands in one line with the question, from "Step 1:" on."""
    question, mark, rest = text(row, "input").partition("Step 1:")
    if not mark or not question.strip():
        return Dropped(reason="the first step cannot be told from the question")
    steps = [step.strip() for step in f"{mark}{rest}".split("ки")]
    if steps.pop():
        return Dropped(reason="a step without its mark")
    labels: list[float | None] = []
    place = len(text(row, "label").partition("Step 1:")[0])
    labelled = text(row, "label")
    for step in steps:
        found = labelled.find(step, place)
        sign = labelled[found + len(step) :].lstrip()[:1] if found >= 0 else ""
        if sign not in ("+", "-"):
            raise LayoutError(f"has no + or - after {step[:40]!r} in the field 'label'")
        labels.append(float(sign == "+"))
        place = found + len(step)
    return _solutions(question.strip(), steps, labels)


def rlhflow(row: Row, _: Neutral) -> Sequence[SteppedSolution] | Dropped:
    """RLHFlow: {"conversations": [{"role": "user", "content": a step}, {"role": "assistant", "content": "+" or "-"}]};
    the first step stands behind the question, from "Step 1:" on."""
    turns = items(row, "conversations")
    if len(turns) % 2 or [m.get("role") for m in turns] != ["user", "assistant"] * (len(turns) // 2):
        raise LayoutError("has turns that are not a user's and an assistant's one after the other")
    written = [text(m, "content") for m in turns]
    question, mark, first = written[0].partition("Step 1:") if written else ("", "", "")
    if not mark or not question.strip():
        return Dropped(reason="the first step cannot be told from the question")
    signs = written[1::2]
    if wrong := [sign for sign in signs if sign not in ("+", "-")]:
        raise LayoutError(f"has {wrong[0]!r} where + or - is expected")
    return _solutions(question.strip(), [mark + first, *written[2::2]], [float(sign == "+") for sign in signs])


def math_aps(row: Row, _: Neutral) -> Sequence[SteppedSolution] | Dropped:
    """MATH-APS, flat: {"question", "final_answer", "reasoning_steps": [{"solution_prefix", "mc_value"}]}; a prefix
    holds the question and the steps so far. The prefix that another begins with is its step before."""
    question = text(row, "question")
    values = {
        text(step, "solution_prefix").strip(): _number(step, "mc_value") for step in items(row, "reasoning_steps")
    }
    values.pop(question, None)
    paths: list[list[str]] = []
    for prefix in sorted(values):  # what begins with another one follows it
        above = [p for p in (paths[-1] if paths else []) if prefix.startswith(p)]
        if paths and above == paths[-1]:
            paths[-1] = [*above, prefix]
        else:
            paths.append([*above, prefix])
    trajectories = [
        [(prefix.removeprefix(before), values[prefix]) for before, prefix in zip([question, *path], path, strict=False)]
        for path in paths
    ]
    return _tree_solutions(question, trajectories)


def math_aps_tree(row: Row, _: Neutral) -> Sequence[SteppedSolution] | Dropped:
    """MATH-APS, as a tree: {"question", "final_answer", "reasoning_steps": {"text", "mc_value", "children": [...]}};
    the root is the question. A step that several solutions share is labelled in the first of them alone."""
    root = _mapping(row, "reasoning_steps")
    trajectories: list[list[tuple[str, float]]] = []
    waiting: list[tuple[Mapping[str, Any], list[tuple[str, float]]]] = [(root, [])]
    while waiting:
        node, path = waiting.pop()
        children = node.get("children") or []
        if not children and path:
            trajectories.append(path)
        waiting += [(c, [*path, (text(c, "text"), _number(c, "mc_value"))]) for c in reversed(children)]
    return _tree_solutions(text(row, "question"), trajectories)


# --- what is measured by --------------------------------------------------------------------------


def processbench(row: Row, _: Neutral) -> Sequence[SteppedSolution] | Dropped:
    """ProcessBench: {"id", "problem", "steps", "label"}: the first wrong step, from 0, or -1."""
    first = field(row, "label")
    return _until_error(text(row, "problem"), items(row, "steps"), None if first == -1 else first, label(row, "id"))


def mr_gsm8k(row: Row, _: Neutral) -> Sequence[SteppedSolution] | Dropped:
    """MR-GSM8K: {"uuid", "question", "model_output_steps", "model_output_solution_correctness",
    "model_output_solution_first_error_step"}: the first wrong step, from 1."""
    first = row.get("model_output_solution_first_error_step")
    steps = items(row, "model_output_steps")
    if text(row, "model_output_solution_correctness") == "correct":
        first = None
    elif not isinstance(first, int):
        return Dropped(reason="wrong, but nobody says where")
    else:
        first -= 1
    return _until_error(text(row, "question"), steps, first, label(row, "uuid"))


def bigbench_mistake(row: Row, _: Neutral) -> Sequence[SteppedSolution] | Dropped:
    """BIG-Bench-Mistake: {"input", "steps", "target", "answer", "mistake_index"}: from 0, null where there is none."""
    return _until_error(text(row, "input"), items(row, "steps"), row.get("mistake_index"), "")


def prmbench(row: Row, _: Neutral) -> Sequence[SteppedSolution] | Dropped:
    """PRMBench: {"original_question", "modified_question", "original_process", "modified_process", "error_steps",
    "idx"}: the solution, all of it right, and the same with wrong steps, counted from 1."""
    wrong = items(row, "error_steps")
    changed = items(row, "modified_process")
    if any(not isinstance(step, int) or not 1 <= step <= len(changed) for step in wrong):
        return Dropped(reason="names wrong steps that it does not have")
    original = items(row, "original_process")
    pairs = (
        ("original_question", original, [1.0] * len(original)),
        ("modified_question", changed, [float(number not in wrong) for number in range(1, len(changed) + 1)]),
    )
    found: list[SteppedSolution] = []
    for question, steps, labels in pairs:
        solutions = _solutions(text(row, question), steps, labels, label(row, "idx"))
        if isinstance(solutions, Dropped):
            return solutions
        found += solutions
    return found


# --- pieces ---------------------------------------------------------------------------------------


def _solutions(
    question: str, steps: Sequence[Any], labels: Sequence[float | None], name: str = ""
) -> Sequence[SteppedSolution] | Dropped:
    """One solution; steps of nothing but white space are none."""
    if len(steps) != len(labels):
        raise LayoutError(f"has {len(steps)} steps but {len(labels)} labels")
    if any(not isinstance(step, str) for step in steps):
        raise LayoutError("has a step that is no text")
    kept = [(step.strip(), share) for step, share in zip(steps, labels, strict=True) if step.strip()]
    if not question.strip():
        return Dropped(reason="no question")
    if not kept:
        return Dropped(reason="no steps")
    _require_shares([share for _, share in kept])
    return [
        SteppedSolution(
            question=question, steps=tuple(step for step, _ in kept), labels=tuple(share for _, share in kept), id=name
        )
    ]


def _until_error(question: str, steps: Sequence[Any], first: Any, name: str) -> Sequence[SteppedSolution] | Dropped:
    """Right up to the first wrong step, and unlabelled after it."""
    if first is not None and (not isinstance(first, int) or isinstance(first, bool) or not 0 <= first < len(steps)):
        raise LayoutError(f"has {first!r} for the first wrong of {len(steps)} steps")
    stop = len(steps) if first is None else first
    labels = [1.0 if j < stop else 0.0 if j == stop else None for j in range(len(steps))]
    return _solutions(question, steps, labels, name)


def _tree_solutions(
    question: str, trajectories: Sequence[Sequence[tuple[str, float]]]
) -> Sequence[SteppedSolution] | Dropped:
    """A solution for each leaf; what it shares with an earlier one is not labelled again."""
    found: list[SteppedSolution] = []
    seen: set[tuple[str, ...]] = set()
    for trajectory in trajectories:
        steps = [step for step, _ in trajectory]
        labels: list[float | None] = []
        for depth, (_, share) in enumerate(trajectory, start=1):
            path = tuple(steps[:depth])
            labels.append(None if path in seen else share)
            seen.add(path)
        solutions = _solutions(question, steps, labels)
        if not isinstance(solutions, Dropped):
            found += solutions
    return found or Dropped(reason="no steps")


def _mapping(row: Row, name: str) -> Mapping[str, Any]:
    value = field(row, name)
    if not isinstance(value, Mapping):
        raise LayoutError(f"has no object in the field {name!r}")
    return value


def _number(row: Row, name: str) -> float:
    value = field(row, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LayoutError(f"has no number in the field {name!r}")
    return float(value)


def _share(rating: Any, shares: Mapping[Any, float | None]) -> float | None:
    if rating not in shares:
        raise LayoutError(f"has a rating {rating!r}, which is none of -1, 0, 1")
    return shares[rating]


def _require_shares(labels: Sequence[float | None]) -> None:
    if wrong := [share for share in labels if share is not None and not 0 <= share <= 1]:
        raise LayoutError(f"has a label {wrong[0]} outside 0 to 1")


def _inside(ends: Sequence[int], length: int) -> bool:
    return bool(ends) and ends[0] > 0 and ends[-1] <= length


def _has(*columns: str) -> Callable[[Row], bool]:
    return lambda row: all(column in row for column in columns)


STEP_LAYOUTS: tuple[StepLayout, ...] = (
    StepLayout("step_labels", _has("problem_id", "prompt", "response", "step_ends", "labels"), step_labels),
    StepLayout("prm800k", lambda row: isinstance(row.get("label"), Mapping) and "question" in row, prm800k),
    StepLayout("math_shepherd", _has("input", "label"), math_shepherd),
    StepLayout("rlhflow", _has("conversations"), rlhflow),
    StepLayout("math_aps_tree", lambda row: isinstance(row.get("reasoning_steps"), Mapping), math_aps_tree),
    StepLayout("math_aps", _has("question", "reasoning_steps"), math_aps),
    StepLayout("processbench", _has("problem", "steps", "label"), processbench, for_evaluation=True),
    StepLayout("mr_gsm8k", _has("question", "model_output_steps"), mr_gsm8k, for_evaluation=True),
    StepLayout("bigbench_mistake", _has("input", "steps", "mistake_index"), bigbench_mistake, for_evaluation=True),
    StepLayout("prmbench", _has("modified_process", "error_steps"), prmbench, for_evaluation=True),
)
"""In the order in which they are tried."""


# --- files ----------------------------------------------------------------------------------------


def read_step_files(
    paths: Sequence[str],
    *,
    template: str,
    tokenizer: Any,
    neutral: Neutral = "right",
    joint: str = "\n",
    for_training: bool = True,
    log: Log | None = None,
) -> list[StepLabels]:
    """The labelled solutions of some files, their questions put into `template` as those of problems are.

    Rows without a labelled solution, and solutions seen before, are counted by reason in a funnel of `log`, one a file.

    Args:
        paths: JSONL files, or JSON files that are a list; .gz too.
        template: of the prompts.
        tokenizer: the model's.
        neutral: what PRM800K's neutral steps count as.
        joint: what stands between two steps of a solution whose steps the file keeps apart.
        for_training: refuse test sets.
        log: for the counts.

    Raises MathwrightError naming file and line for a row in no layout, for a test set that is to be trained on, and for
    a file that is missing, damaged or cut in the middle of a line.
    """
    found: list[StepLabels] = []
    for path in paths:
        dropped: Counter[str] = Counter()
        seen: set[tuple[str, str, tuple[float | None, ...]]] = set()
        num_in = 0
        before = len(found)
        for place, read in _read(Path(path), neutral, for_training):
            if isinstance(read, Dropped):
                num_in += 1
                dropped[read.reason] += 1
                continue
            records = (
                [read]
                if isinstance(read, StepLabels)
                else [_record(solution, place, template, tokenizer, joint) for solution in read]
            )
            for record in records:
                num_in += 1
                key = record.prompt, record.response, record.labels
                if key in seen:
                    dropped["seen before"] += 1
                else:
                    seen.add(key)
                    found.append(record)
        if log is not None:
            log.funnel(path, unit="solutions", num_in=num_in, num_out=len(found) - before, dropped=dropped)
    return found


def _read(path: Path, neutral: Neutral, for_training: bool) -> Iterator[tuple[str, Read]]:
    for number, (where, row) in enumerate(file_rows(path)):
        layout = next((layout for layout in STEP_LAYOUTS if layout.recognises(row)), None)
        if layout is None:
            raise MathwrightError(
                f"{where}: no known layout of labelled steps has the columns {', '.join(sorted(row)) or '(none)'}",
                hint='write {"problem_id", "prompt", "response", "step_ends", "labels"}, or a layout of '
                "docs/process_rewards.md",
            )
        if layout.for_evaluation and for_training:
            raise MathwrightError(
                f"{path} is in the layout of {layout.name}, which is made to measure reward models by",
                hint="train on other labels; `mathwright reward judge MODEL FILE` measures a model on it",
            )
        try:
            yield f"{path.name}:{number}", layout.read(row, neutral)
        except LayoutError as error:
            raise MathwrightError(
                f"{where}: {error} (read as {layout.name})", hint="correct or remove this row"
            ) from error


def _record(solution: SteppedSolution, place: str, template: str, tokenizer: Any, joint: str) -> StepLabels:
    """The question put to the model as a problem is, its solution as the model would begin it."""
    prefix = turn(template, tokenizer).require_prefix()
    problem = Problem(id=solution.id or place, question=solution.question, answer="", source="file", split="train")
    response, ends = prefix, []
    for step in solution.steps:
        response += (joint if ends else "") + step
        ends.append(len(response))
    return StepLabels(
        problem_id=problem.id,
        prompt=build_prompt(problem, "cot", template=template, tokenizer=tokenizer).text,
        response=response,
        step_ends=tuple(ends),
        labels=solution.labels,
    )
