"""Tables of an evaluation from its samples. Every figure is defined in docs/evaluation_metrics.md."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mathwright.answers import check_answer
from mathwright.eval.metrics import (
    best_of_k,
    cluster_answers,
    expected_majority,
    expected_weighted_vote,
    pass_at_k,
    vote_weights,
)
from mathwright.records import EvalRecord
from mathwright.stats import Interval, mcnemar, mean_interval, paired_bootstrap, paired_difference, wilson_interval

COMPARISON_TIMEOUT_S = 1.0
"""For one comparison of two sampled answers; they count as different then."""
MAX_TIMEOUTS = 2
"""An answer that was part of so many comparisons without an end is equal to its own exact copies only."""
MAX_GROUPS = 40
"""Subjects, levels or splits up to which `markdown` writes a table of them."""

ProblemKey = tuple[str, str]
"""Task and problem id: an id is unique within its task only."""


# --- rows -----------------------------------------------------------------------------------------


def tabulate(records: Sequence[EvalRecord], num_samples: int, *, by_task: bool = False) -> list[dict[str, Any]]:
    """A row for each model and mode, or with `by_task` for each model, task and mode, in the order of the records.

    Shares are between 0 and 1, each with its 95% interval. Problems whose reference cannot be read are counted as
    `unscored` and are in no other figure. Accuracy and rates are those of the greedy answers; where a row has none,
    those of its samples (`measured_on` says which). Maj@K, Pass@K, best-of-K and the weighted vote are given for K = 1,
    2, 4, ... and `num_samples` (0: as many as there are), each over the problems that have K samples.
    """
    groups: dict[tuple[str, str, str], list[EvalRecord]] = {}
    for record in records:
        groups.setdefault((record.model, record.task if by_task else "", record.mode), []).append(record)
    return [_row(model, mode, mine, num_samples) for (model, _, mode), mine in groups.items()]


def _row(model: str, mode: str, records: Sequence[EvalRecord], num_samples: int) -> dict[str, Any]:
    scored = [r for r in records if r.verdict.scored]
    greedy, samples = [r for r in scored if r.sample < 0], [r for r in scored if r.sample >= 0]
    measured = greedy or samples
    row: dict[str, Any] = {
        "model": model,
        "task": ", ".join(dict.fromkeys(r.task for r in records)),
        "mode": mode,
        "measured_on": "greedy" if greedy else "samples",
        **_accuracy(measured),
        "unscored": len(records) - len(scored),
        "truncated": _share(measured, lambda r: r.finish == "length"),
        "unparsable": _share(measured, lambda r: r.verdict.status == "unparsable_prediction"),
        "timeouts": _share(measured, lambda r: r.verdict.status == "timeout"),
        "used_tool": _share(measured, lambda r: r.num_tool_calls > 0),
        "mean_tool_calls": _mean([r.num_tool_calls for r in measured]),
        "mean_tokens": _mean([r.num_tokens for r in measured]),
        "by_split": _accuracy_by(measured, lambda r: r.problem.split),
        "by_subject": _accuracy_by(measured, lambda r: r.problem.subject),
        "by_level": _accuracy_by(measured, lambda r: r.problem.level),
    }
    checked = [r for r in measured if r.contaminated is not None]
    if checked:
        row["by_contamination"] = _accuracy_by(checked, lambda r: "contaminated" if r.contaminated else "clean")
        row["contaminated"] = row["by_contamination"].get("contaminated", {"num_problems": 0})["num_problems"]
    return row | _sampled_figures(samples, num_samples)


def _accuracy(records: Sequence[EvalRecord]) -> dict[str, Any]:
    """Problems, accuracy and interval; several samples of a problem count as their mean."""
    shares = [_share(mine, _correct) for mine in by_problem(records).values()]
    if all(share in (0, 1) for share in shares):
        interval = wilson_interval(sum(shares), len(shares))
    else:
        interval = mean_interval(shares)
    return {"num_problems": len(shares), "accuracy": _mean(shares), "accuracy_interval": interval}


def _accuracy_by(records: Iterable[EvalRecord], key: Callable[[EvalRecord], str]) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[EvalRecord]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return {name: _accuracy(groups[name]) for name in sorted(groups)}


def by_problem(records: Iterable[EvalRecord]) -> dict[ProblemKey, list[EvalRecord]]:
    """The records of each problem in the order of their samples; problems in the order of the records."""
    problems: dict[ProblemKey, list[EvalRecord]] = {}
    for record in records:
        problems.setdefault((record.task, record.problem.id), []).append(record)
    return {key: sorted(mine, key=lambda r: r.sample) for key, mine in problems.items()}


def _correct(record: EvalRecord) -> bool:
    return record.verdict.correct


def _share(records: Sequence[EvalRecord], holds: Callable[[EvalRecord], bool]) -> float:
    return _mean([holds(r) for r in records])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


# --- several samples a problem --------------------------------------------------------------------


def _sampled_figures(samples: Sequence[EvalRecord], num_samples: int) -> dict[str, Any]:
    problems = list(by_problem(samples).values())
    if not problems:
        return {}
    comparison = AnswerComparison()
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as threads:
        clusters = list(threads.map(lambda mine: answer_clusters(mine, comparison), problems))
    voted = list(zip(problems, clusters, strict=True))
    accuracy = _accuracy(samples)
    num_samples = num_samples or max(map(len, problems))
    # K of which no problem has so many samples yet (an unfinished evaluation) are left out.
    ks = [k for k in powers_of_two(num_samples) if any(len(mine) >= k for mine in problems)]
    majority = {k: [expected_majority(c, _verdicts(mine), k) for mine, c in voted if len(mine) >= k] for k in ks}
    passed = {k: [pass_at_k(len(mine), sum(_verdicts(mine)), k) for mine in problems if len(mine) >= k] for k in ks}
    figures: dict[str, Any] = {
        "num_sampled_problems": len(problems),
        "num_samples": num_samples,
        "num_unfinished": sum(len(mine) < num_samples for mine in problems),
        "sample_accuracy": accuracy["accuracy"],
        "sample_accuracy_interval": accuracy["accuracy_interval"],
        "comparison_timeouts": comparison.num_timeouts,
        **_curve("maj_at", majority),
        **_curve("pass_at", passed),
    }
    if ks:
        largest = str(ks[-1])
        figures["maj_at_k"] = figures["maj_at"][largest]
        figures["maj_at_k_interval"] = figures["maj_at_interval"][largest]
    scored = [(mine, c) for mine, c in voted if any(r.score is not None for r in mine)]
    if not scored:
        return figures
    best = {k: [best_of_k(_scores(mine), _verdicts(mine), k) for mine, _ in scored if len(mine) >= k] for k in ks}
    weighted = {
        k: [
            expected_weighted_vote(c, vote_weights(_scores(mine)), _verdicts(mine), k)
            for mine, c in scored
            if len(mine) >= k
        ]
        for k in ks
    }
    return figures | _curve("best_of", best) | _curve("weighted_vote", weighted)


def _curve(name: str, values: Mapping[int, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """A figure over K; JSON has strings for keys, so they are strings from the start."""
    known = {str(k): v for k, v in values.items() if v}
    return {
        name: {k: _mean(v) for k, v in known.items()},
        f"{name}_interval": {k: mean_interval(v) for k, v in known.items()},
    }


def _verdicts(records: Sequence[EvalRecord]) -> list[bool]:
    return [r.verdict.correct for r in records]


def _scores(records: Sequence[EvalRecord]) -> list[float]:
    """A sample without a score (too long for the reward model) or with NaN is chosen last."""
    return [r.score if r.score is not None and r.score == r.score else float("-inf") for r in records]


def powers_of_two(largest: int) -> list[int]:
    """1, 2, 4, ... and `largest` itself; nothing for 0."""
    return sorted({*(2**i for i in range(largest.bit_length()) if 2**i <= largest), *([largest] if largest else [])})


# --- which answers are the same -------------------------------------------------------------------


def answer_of(record: EvalRecord) -> str | None:
    """The answer a sample votes for; None where none was found or it cannot be read."""
    if record.verdict.status == "unparsable_prediction":
        return None
    return record.verdict.prediction or None


def answer_clusters(records: Sequence[EvalRecord], comparison: AnswerComparison) -> list[int | None]:
    """The cluster of each sample's answer, numbered by first answer; None for samples without an answer.

    Programs and option letters are one answer only if they are the same text; so are answers whose comparison
    with the reference did not end.
    """
    as_text = any(r.verdict.method in ("tests", "choice") for r in records)
    hung = {r.verdict.prediction for r in records if r.verdict.status == "timeout"}

    def equivalent(a: str, b: str) -> bool:
        return not as_text and a not in hung and b not in hung and comparison(a, b)

    cluster_of: list[int | None] = [None] * len(records)
    for number, members in enumerate(cluster_answers([answer_of(r) for r in records], equivalent)):
        for index in members:
            cluster_of[index] = number
    return cluster_of


class AnswerComparison:
    """`check_answer` with a short time limit: answers that keep hanging are not compared again. From any thread."""

    def __init__(self, timeout_s: float = COMPARISON_TIMEOUT_S) -> None:
        self.num_timeouts = 0
        self._timeout_s = timeout_s
        self._timeouts_of: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, a: str, b: str) -> bool:
        if max(self._timeouts_of.get(a, 0), self._timeouts_of.get(b, 0)) >= MAX_TIMEOUTS:
            return False
        verdict = check_answer(a, b, timeout_s=self._timeout_s)
        if verdict.status == "timeout":
            with self._lock:
                self.num_timeouts += 1
                for answer in (a, b):
                    self._timeouts_of[answer] = self._timeouts_of.get(answer, 0) + 1
        return verdict.correct


# --- two models -----------------------------------------------------------------------------------


def compare_records(
    before: Sequence[EvalRecord], after: Sequence[EvalRecord], name_before: str, name_after: str
) -> list[dict[str, Any]]:
    """Two evaluations on the problems that both have scored, a row for each task and mode that both have.

    Greedy answers where both have them for a shared problem (interval of the discordant pairs), else the shares of
    right samples (paired bootstrap over problems). `p_value` is McNemar's exact test on `n01` (only `after` is right,
    or more often right) and `n10` (only `before`).
    """
    rows: list[dict[str, Any]] = []
    old, new = _by_task_and_mode(before), _by_task_and_mode(after)
    for task, mode in old:
        figures = _difference(old[task, mode], new.get((task, mode), []))
        if figures:
            rows.append({"task": task, "mode": mode, "before": name_before, "after": name_after, **figures})
    return rows


def compare_models(records: Sequence[EvalRecord], models: Sequence[str]) -> list[dict[str, Any]]:
    """Each model against the one before it and the first against the last, all tasks together, a row a mode."""
    pairs = list(dict.fromkeys([*itertools.pairwise(models), (models[0], models[-1])])) if models else []
    mine: dict[tuple[str, str], list[EvalRecord]] = {}
    for record in records:
        mine.setdefault((record.model, record.mode), []).append(record)
    rows: list[dict[str, Any]] = []
    for mode in dict.fromkeys(mode for _, mode in mine):
        for before, after in pairs:
            figures = _difference(mine.get((before, mode), []), mine.get((after, mode), []))
            if before != after and figures:
                rows.append({"mode": mode, "before": before, "after": after, **figures})
    return rows


def _by_task_and_mode(records: Iterable[EvalRecord]) -> dict[tuple[str, str], list[EvalRecord]]:
    groups: dict[tuple[str, str], list[EvalRecord]] = {}
    for record in records:
        groups.setdefault((record.task, record.mode), []).append(record)
    return groups


def _difference(before: Sequence[EvalRecord], after: Sequence[EvalRecord]) -> dict[str, Any]:
    """The figures of a comparison; nothing where no problem is shared."""
    for kind, wanted in (("greedy", True), ("samples", False)):
        old, new = (
            by_problem(r for r in records if r.verdict.scored and (r.sample < 0) == wanted)
            for records in (before, after)
        )
        shared = [key for key in old if key in new]
        if not shared:
            continue
        first, second = ([_share(side[key], _correct) for key in shared] for side in (old, new))
        n01 = sum(b > a for a, b in zip(first, second, strict=True))
        n10 = sum(a > b for a, b in zip(first, second, strict=True))
        if wanted:
            difference, interval = paired_difference([a == 1 for a in first], [b == 1 for b in second])
        else:
            difference, interval = _mean(second) - _mean(first), paired_bootstrap(first, second)
        return {
            "measured_on": kind,
            "num_problems": len(shared),
            "difference": difference,
            "interval": interval,
            "n01": n01,
            "n10": n10,
            "p_value": mcnemar(n01, n10),
        }
    return {}


# --- for people -----------------------------------------------------------------------------------


def describe(row: Mapping[str, Any]) -> str:
    """A row of `tabulate` as one line of log."""
    low, high = row["accuracy_interval"]
    text = f"{row['model']}, {row['mode']}: accuracy {row['accuracy']:.1%} ({low:.1%} to {high:.1%})"
    if "maj_at_k" in row:
        largest = max(row["pass_at"], key=int)
        text += f", Maj@{largest} {row['maj_at_k']:.1%}, Pass@{largest} {row['pass_at'][largest]:.1%}"
    return text + f", truncated {row['truncated']:.1%}, no answer {row['unparsable']:.1%}"


def markdown(rows: Sequence[Mapping[str, Any]], *, breakdown: bool = True) -> str:
    """The rows of `tabulate` as GitHub tables in percent: one of all rows, then the accuracies by subject, level, split
    and contamination, each only where there is more than one group (and not with `breakdown` False).
    """
    if not rows:
        return "no samples\n"
    names = [*(["model"] if len({row["model"] for row in rows}) > 1 else []), "task", "mode"]
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        **{name: lambda row, name=name: str(row[name]) for name in names},
        "problems": lambda row: f"{row['num_problems']:,}",
        "accuracy": lambda row: _percent(row["accuracy"], row["accuracy_interval"]),
        **{
            title: lambda row, key=key: _last(row, key)
            for title, key in (
                ("Maj@K", "maj_at"),
                ("Pass@K", "pass_at"),
                ("best-of-K", "best_of"),
                ("weighted vote", "weighted_vote"),
            )
            if any(row.get(key) for row in rows)
        },
        "truncated": lambda row: f"{100 * row['truncated']:.1f}",
        "no answer": lambda row: f"{100 * row['unparsable']:.1f}",
        "tokens": lambda row: f"{row['mean_tokens']:.0f}",
    }
    parts = [_table(list(columns), [[cell(row) for cell in columns.values()] for row in rows])]
    for key in ("by_subject", "by_level", "by_split", "by_contamination") if breakdown else ():
        parts += _breakdown(rows, names, key)
    return "\n".join(parts)


def _breakdown(rows: Sequence[Mapping[str, Any]], names: Sequence[str], key: str) -> list[str]:
    title = key.removeprefix("by_")
    groups = [(row, row.get(key, {})) for row in rows]
    cells = [
        [*(str(row[name]) for name in names), group or "(none)", f"{figures['num_problems']:,}",
         _percent(figures["accuracy"], figures["accuracy_interval"])]
        for row, by in groups if 1 < len(by) <= MAX_GROUPS
        for group, figures in by.items()
    ]  # fmt: skip
    many = max((len(by) for _, by in groups), default=0)
    parts = [f"## By {title}\n", _table([*names, title, "problems", "accuracy"], cells)] if cells else []
    return parts + ([f"{many} {title}s: see table.json\n"] if many > MAX_GROUPS else [])


def _table(header: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *cells]
    return "".join("| " + " | ".join(_cell(text) for text in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _percent(value: float, interval: Interval | Sequence[float]) -> str:
    """49.2 (46.5 to 51.9)"""
    return f"{100 * value:.1f} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def _last(row: Mapping[str, Any], key: str) -> str:
    """The figure at the largest K; 49.2 (46.5 to 51.9) @64"""
    curve = row.get(key)
    if not curve:
        return ""
    k = max(curve, key=int)
    return f"{_percent(curve[k], row[f'{key}_interval'][k])} @{k}"
