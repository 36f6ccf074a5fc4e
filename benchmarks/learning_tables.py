"""The tables that `learning_curves.py` prints: figures of each training, and which method is ahead of which."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mathwright.eval.table import AnswerComparison, answer_clusters, by_problem, powers_of_two, tabulate
from mathwright.records import EvalRecord
from mathwright.rl.trust import Trust
from mathwright.selection import best_of_k, expected_majority, pass_at_k
from mathwright.stats import crossed_effects, paired_bootstrap


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def print_tables(rows: dict[str, dict[str, dict[str, Any]]], curves: dict[str, dict[int, float]]) -> None:
    print("\n| model | problems | greedy | one sample | Maj@16 | Pass@16 |\n|---|---|---|---|---|---|")
    for name, kinds in rows.items():
        for kind, row in kinds.items():
            figures = [
                (row["accuracy"], row["accuracy_interval"]),
                (row["pass_at"]["1"], row["pass_at_interval"]["1"]),
                (row["maj_at"]["16"], row["maj_at_interval"]["16"]),
                (row["pass_at"]["16"], row["pass_at_interval"]["16"]),
            ]
            cells = (f"{percent(mean)} ({percent(low)} to {percent(high)})" for mean, (low, high) in figures)
            print(f"| {name} | {kind} | {' | '.join(cells)} |")
    steps = sorted({step for curve in curves.values() for step in curve})
    print("\n| greedy accuracy after step | " + " | ".join(map(str, steps)) + " |\n|---|" + "---|" * len(steps))
    for name, curve in curves.items():
        print(f"| {name} | " + " | ".join(percent(curve[s]) if s in curve else "" for s in steps) + " |")


def print_trainings(trainings: Mapping[str, Mapping[str, Any]]) -> None:
    print(
        "\n| training | steps | minutes | peak GB | reward | correct | KL | explained variance |\n" + "|---" * 8 + "|"
    )
    for name, t in trainings.items():
        shown = (
            "" if t[key] is None else f"{t[key]:.3f}" for key in ("reward", "accuracy", "kl", "explained_variance")
        )
        cost = f"{t['num_steps']} | {t['seconds'] / 60:.1f} | {t['peak_memory_bytes'] / 1e9:.2f}"
        print(f"| {name} | {cost} | {' | '.join(shown)} |")
    for name, t in trainings.items():
        for row in t["reward_matrix"] or ():
            if row["pair_accuracy"] is not None:
                low, high = row["pair_accuracy_interval"]
                print(
                    f"{name}: reward model {row['reward_model']} on samples of iteration {row['samples']}: "
                    f"{percent(row['pair_accuracy'])} ({percent(low)} to {percent(high)}) of pairs"
                )


def print_trust(found: Mapping[str, Trust]) -> None:
    """The values of PPO beside Monte-Carlo completions of its policy."""
    if found:
        print("\n| values of | correlation | explained | bias | next steps in order |\n" + "|---" * 5 + "|")
    for name, one in found.items():
        order = "" if one.ordered is None else f"{percent(one.ordered)} of {one.num_pairs}"
        print(f"| {name} | {_figure(one.correlation)} | {_figure(one.explained)} | {one.bias:+.3f} | {order} |")


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def print_verdicts(arms: Mapping[str, Sequence[Sequence[EvalRecord]]], title: str) -> None:
    """Each pair of arms on the same questions, the records of each arm being of one seed after another.

    The interval has questions and seeds as crossed random effects. "Ahead" is said where it lies above 0 and every seed
    is on that side.
    """
    if min(map(len, arms.values())) < 2:
        return
    print(f"\n{title}, difference in points\n\n| arm | beside | greedy | one sample | verdict |\n|---|---|---|---|---|")
    for (name, one), (other_name, other) in itertools.combinations(arms.items(), 2):
        cells, verdicts = [], []
        for measure, greedy in (("greedy", True), ("one sample", False)):
            values = _right(other, greedy=greedy) - _right(one, greedy=greedy)
            found, seeds = crossed_effects(values), values.mean(0)
            low, high = found.interval
            each = ", ".join(f"{100 * seed:+.1f}" for seed in seeds)
            cells.append(f"{100 * found.mean:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}; {each})")
            if low > 0 < seeds.min():
                verdicts.append(f"{other_name} ahead, {measure}")
            elif high < 0 > seeds.max():
                verdicts.append(f"{name} ahead, {measure}")
        print(f"| {other_name} | {name} | {' | '.join(cells)} | {'; '.join(verdicts) or 'no difference shown'} |")


def print_best_of(records: Sequence[EvalRecord]) -> None:
    """Best-of-K by the scores of a reward model beside the vote weighted by them, Maj@K and Pass@K; and how far it is
    ahead of the vote and of one sample at the largest K."""
    samples = [r for r in records if r.sample >= 0 and r.verdict.scored]
    (row,) = tabulate(samples, 0)
    names = ("best_of", "weighted_vote", "maj_at", "pass_at")
    print("\n| K | best-of-K | weighted vote | Maj@K | Pass@K |\n" + "|---" * 5 + "|")
    for k in row["best_of"]:
        cells = ((row[name][k], *row[f"{name}_interval"][k]) for name in names)
        shown = (f"{percent(mean)} ({percent(low)} to {percent(high)})" for mean, low, high in cells)
        print(f"| {k} | {' | '.join(shown)} |")
    best, majority, one = [], [], []
    comparison = AnswerComparison()
    for mine in by_problem(samples).values():
        right = [r.verdict.correct for r in mine]
        scores = [float("-inf") if r.score is None else r.score for r in mine]
        best.append(best_of_k(scores, right, len(mine)))
        majority.append(expected_majority(answer_clusters(mine, comparison), right, len(mine)))
        one.append(sum(right) / len(right))
    for name, other in (("the vote", majority), ("one sample", one)):
        low, high = paired_bootstrap(other, best)
        ahead = float(np.mean(best) - np.mean(other))
        print(f"ahead of {name} by {100 * ahead:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})")


def print_at_k(sft: Sequence[EvalRecord], arms: Mapping[str, Sequence[Sequence[EvalRecord]]]) -> None:
    """Figure 7: Maj@K and Pass@K of the fine-tuned model, and what each arm (a seed after another) adds to them.

    "Ahead" as in `print_verdicts`.
    """
    before = _at_k(sft)
    after = {name: [_at_k(records) for records in seeds] for name, seeds in arms.items() if len(seeds) > 1}
    print(
        "\n| K | figure | sft |"
        + "".join(f" {name} | difference |" for name in after)
        + "\n|---|---|---|"
        + "---|---|" * len(after)
    )
    for figure, k in before:
        cells = []
        for seeds in after.values():
            own = np.array([seed[figure, k] for seed in seeds]).T
            found = crossed_effects(own - np.array(before[figure, k])[:, None])
            low, high = found.interval
            each = (own - np.array(before[figure, k])[:, None]).mean(0)
            shown = "ahead" if low > 0 < each.min() else "behind" if high < 0 > each.max() else "not shown"
            cells.append(
                f"{percent(own.mean())} | {100 * found.mean:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}), {shown}"
            )
        print(f"| {k} | {figure} | {percent(float(np.mean(before[figure, k])))} | {' | '.join(cells)} |")


def _at_k(records: Sequence[EvalRecord]) -> dict[tuple[str, int], list[float]]:
    """Maj@K and Pass@K of each problem, in the order of their ids."""
    comparison = AnswerComparison()
    found: dict[tuple[str, int], list[float]] = {}
    grouped = by_problem(r for r in records if r.sample >= 0 and r.verdict.scored)
    for _, mine in sorted(grouped.items()):
        clusters, right = answer_clusters(mine, comparison), [r.verdict.correct for r in mine]
        for k in powers_of_two(len(mine)):
            found.setdefault(("Maj@K", k), []).append(expected_majority(clusters, right, k))
            found.setdefault(("Pass@K", k), []).append(pass_at_k(len(mine), sum(right), k))
    return found


def _right(seeds: Sequence[Sequence[EvalRecord]], *, greedy: bool) -> np.ndarray:
    """[problems, seeds]: whether the greedy answer to each problem is right, or the share of its samples that are."""
    columns = []
    for records in seeds:
        mine: dict[str, list[bool]] = {}
        for record in records:
            if record.verdict.scored and (record.sample < 0) == greedy:
                mine.setdefault(record.problem.id, []).append(record.verdict.correct)
        columns.append({problem: sum(right) / len(right) for problem, right in mine.items()})
    shared = [problem for problem in columns[0] if all(problem in column for column in columns)]
    return np.array([[column[problem] for column in columns] for problem in shared])
