"""How good an outcome reward model is: pairs, verdicts and best-of-N, beside judges that know nothing.

The unit of every interval is the prompt: responses to one are not independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mathwright.answers import check_answer
from mathwright.records import JudgedGroup
from mathwright.reward.examples import CORRECT, WRONG, Group
from mathwright.reward.judges import Scores, final_answers
from mathwright.reward.scoring import truncated
from mathwright.run import Stage
from mathwright.selection import (
    best_of_k,
    cluster_answers,
    expected_majority,
    expected_weighted_vote,
    pass_at_k,
    vote_weights,
)
from mathwright.stats import mean_interval, paired_bootstrap, wilson_interval

MODEL = "model"
"""The reward model's name among the judges."""
MAX_N = 64
NUM_BINS = 10
"""Of the expected calibration error."""
COMPARISON_TIMEOUT_S = 1.0
"""For one comparison of two answers; they count as different then."""


def evaluation(groups: Sequence[Group], judges: Mapping[str, Scores]) -> dict[str, Any]:
    """All figures of the judge called `model` on some groups, and those of the other judges beside them.

    Responses that the model could not score are left out for every judge. Figures that need verdicts are made of the
    judged groups alone.
    """
    scored = [_Scored.of(group, {name: scores[g] for name, scores in judges.items()}) for g, group in enumerate(groups)]
    judged = [s for s in scored if s.judged and len(s.ranks)]
    return {
        "num_prompts": len(scored),
        "num_responses": sum(len(s.ranks) for s in scored),
        "unscored": sum(s.num_unscored for s in scored),
        "pairs": compared(scored, list(judges), equal_only=False),
        "equal_pairs": compared(scored, list(judges), equal_only=True),
        "by_solve_rate": _by_solve_rate(judged),
        **_verdict_figures(judged),
        "best_of_n": best_of_n([s for s in judged if s.num_unscored == 0]),
    }


def summary_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """What of an evaluation stands in the manifest; nothing of pairs where there are none."""
    pairs, equal, best = found["pairs"], found["equal_pairs"], found["best_of_n"]
    summary: dict[str, Any] = {}
    if pairs["num_pairs"]:
        summary["pair_accuracy"] = pairs["accuracy"][MODEL]
        summary["pair_accuracy_interval"] = pairs["interval"][MODEL]
        summary |= {f"pair_accuracy_of_{name}": pairs["accuracy"][name] for name in pairs["difference"]}
    if equal["num_pairs"]:
        summary["equal_pairs"] = equal
    summary |= {name: found[name] for name in ("auc", "calibration_error", "length_correlation") if name in found}
    if best:
        summary["best_of_n"] = {**best["rows"][-1], "ahead_at": best["n"], "ahead_of": best["ahead_of"]}
    return summary


def log_best_of_n(stage: Stage, found: Mapping[str, Any]) -> None:
    """A measurement a row of the curve over N, of kind "best_of_n", in place of earlier ones."""
    stage.rewind_metrics(0, "best_of_n")
    for row in found["best_of_n"].get("rows", ()):
        stage.log(row["n"], kind="best_of_n", **{k: v for k, v in row.items() if not k.endswith("_interval")})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    """A group with its numbers; responses without a verdict or a score are left out."""

    judged: bool
    responses: tuple[str, ...]
    ranks: np.ndarray
    has_answer: np.ndarray
    truncated: np.ndarray
    answers: tuple[str | None, ...]
    scores: Mapping[str, np.ndarray]
    num_unscored: int

    @classmethod
    def of(cls, group: Group, scores: Mapping[str, Sequence[float | None]]) -> _Scored:
        judged = isinstance(group, JudgedGroup)
        ranks = [None if v is None else CORRECT if v else WRONG for v in group.correct] if judged else group.ranks
        known = [k for k, rank in enumerate(ranks) if rank is not None]
        kept = [k for k in known if (value := scores[MODEL][k]) is not None and math.isfinite(value)]
        answers, cut = final_answers(group), truncated(group)
        return cls(
            judged=judged,
            responses=tuple(group.responses[k] for k in kept),
            ranks=np.array([ranks[k] for k in kept], dtype=int),
            has_answer=np.array([answers[k] is not None for k in kept], dtype=bool),
            truncated=np.array([cut[k] for k in kept], dtype=bool),
            answers=tuple(answers[k] for k in kept),
            # a judge that has no number for a response knows nothing of it: NaN is a tie with everything
            scores={
                name: np.array([math.nan if (v := values[k]) is None else v for k in kept])
                for name, values in scores.items()
            },
            num_unscored=len(known) - len(kept),
        )

    def pairs(self, *, equal_only: bool) -> np.ndarray:
        """[K, K], True at (i, j) where i ranks before j, each text once; of responses alike in having an answer and in
        being cut, where `equal_only`."""
        first = np.array([self.responses.index(response) == k for k, response in enumerate(self.responses)], dtype=bool)
        better = (self.ranks[:, None] < self.ranks[None, :]) & first[:, None] & first[None, :]
        if equal_only:
            better &= self.has_answer[:, None] == self.has_answer[None, :]
            better &= self.truncated[:, None] == self.truncated[None, :]
        return better


# --- pairs ----------------------------------------------------------------------------------------


def compared(scored: Sequence[_Scored], judges: Sequence[str], *, equal_only: bool) -> dict[str, Any]:
    """Pair accuracy of each judge, the mean over prompts with a pair, and how far the model is ahead of the others.

    A tie counts half. `difference` is the model's accuracy less another judge's, with the interval of a bootstrap over
    prompts.
    """
    accuracies: dict[str, list[float]] = {name: [] for name in judges}
    num_pairs = 0
    for group in scored:
        pairs = group.pairs(equal_only=equal_only)
        if not pairs.any():
            continue
        num_pairs += int(pairs.sum())
        for name in judges:
            values = group.scores[name]
            right = values[:, None] > values[None, :]
            wrong = values[:, None] < values[None, :]
            accuracies[name].append(float((right[pairs].mean() + 1 - wrong[pairs].mean()) / 2))
    num_prompts = len(accuracies[MODEL])
    figures: dict[str, Any] = {"num_prompts": num_prompts, "num_pairs": num_pairs}
    if not num_prompts:
        return figures
    ours = accuracies[MODEL]
    figures["accuracy"] = {name: float(np.mean(values)) for name, values in accuracies.items()}
    figures["interval"] = {name: mean_interval(values) for name, values in accuracies.items()}
    others = [name for name in judges if name != MODEL]
    figures["difference"] = {name: float(np.mean(ours) - np.mean(accuracies[name])) for name in others}
    figures["difference_interval"] = {name: paired_bootstrap(accuracies[name], ours) for name in others}
    return figures


def _by_solve_rate(judged: Sequence[_Scored]) -> list[dict[str, Any]]:
    """Pair accuracy of the model over prompts of which a like share of the responses is right."""
    rows = []
    for low, high in ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)):
        mine = [s for s in judged if low < (s.ranks == CORRECT).mean() <= high]
        figures = compared(mine, [MODEL], equal_only=False)
        if figures["num_prompts"]:
            rows.append(
                {
                    "above": low,
                    "up_to": high,
                    "num_prompts": figures["num_prompts"],
                    "num_pairs": figures["num_pairs"],
                    "accuracy": figures["accuracy"][MODEL],
                    "interval": figures["interval"][MODEL],
                }
            )
    return rows


# --- verdicts -------------------------------------------------------------------------------------


def _verdict_figures(judged: Sequence[_Scored]) -> dict[str, Any]:
    """AUC, calibration and correlation with length, over the responses of all judged groups."""
    if not judged:
        return {}
    scores = np.concatenate([s.scores[MODEL] for s in judged])
    right = np.concatenate([s.ranks == CORRECT for s in judged])
    lengths = np.array([len(response) for s in judged for response in s.responses], dtype=float)
    return {
        "auc": auc(scores, right),
        "calibration_error": calibration_error(scores, right),
        "calibration": reliability(scores, right),
        "length_correlation": {
            "right": spearman(scores[right], lengths[right]),
            "wrong": spearman(scores[~right], lengths[~right]),
        },
    }


def auc(scores: np.ndarray, right: np.ndarray) -> float | None:
    """Area under the ROC curve: how often a right response scores above a wrong one, of any prompt; a tie is half.

    scores [N]; right [N] bool. None unless both kinds are there.
    """
    from scipy.stats import rankdata

    num_right, num_wrong = int(right.sum()), int((~right).sum())
    if not num_right or not num_wrong:
        return None
    ranks = rankdata(scores)
    return float((ranks[right].sum() - num_right * (num_right + 1) / 2) / (num_right * num_wrong))


def calibration_error(scores: np.ndarray, right: np.ndarray) -> float | None:
    """Expected calibration error of sigma(score) as the chance of being right, in NUM_BINS bins of equal width.

    The mean over responses of |share right - mean chance| of their bin (Guo et al. 2017, Eq. 3). None for no response.
    """
    if not len(scores):
        return None
    chances = np.array(vote_weights(scores.tolist()))
    bins = np.minimum((chances * NUM_BINS).astype(int), NUM_BINS - 1)
    gaps = [abs(float((right[bins == b] - chances[bins == b]).sum())) for b in range(NUM_BINS)]
    return sum(gaps) / len(scores)


def reliability(scores: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """The bins of `calibration_error` that hold a response: mean chance, share right with its interval, how many."""
    if not len(scores):
        return []
    chances = np.array(vote_weights(scores.tolist()))
    bins = np.minimum((chances * NUM_BINS).astype(int), NUM_BINS - 1)
    rows = []
    for b in range(NUM_BINS):
        mine = bins == b
        if num := int(mine.sum()):
            num_right = int(right[mine].sum())
            rows.append(
                {
                    "chance": float(chances[mine].mean()),
                    "right": num_right / num,
                    "interval": wilson_interval(num_right, num),
                    "num_responses": num,
                }
            )
    return rows


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """Spearman's rank correlation; None where fewer than three values, or all alike, leave it undefined."""
    from scipy.stats import rankdata

    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


# --- best of N ------------------------------------------------------------------------------------


def best_of_n(judged: Sequence[_Scored]) -> dict[str, Any]:
    """Accuracy of the best of N by the model, beside Pass@N, Maj@N and the vote weighted by sigma(score).

    For N = 1, 2, 4, ... up to MAX_N, over the groups that have N responses; and, at the largest N that all have, how
    far best-of-N is ahead of one sample and of Maj@N (bootstrap over prompts).
    """
    if not judged:
        return {}
    most = max(len(s.ranks) for s in judged)
    all_have = min(len(s.ranks) for s in judged)
    clusters = [_clusters(s) for s in judged]
    rows, values = [], {}
    for n in (2**i for i in range(MAX_N.bit_length()) if 2**i <= min(most, MAX_N)):
        values[n] = [_at_n(s, c, n) for s, c in zip(judged, clusters, strict=True) if len(s.ranks) >= n]
        row: dict[str, Any] = {"n": n, "num_prompts": len(values[n])}
        for name in values[n][0]:
            column = [value[name] for value in values[n]]
            row |= {name: float(np.mean(column)), f"{name}_interval": mean_interval(column)}
        rows.append(row)
    largest = max(n for n in values if n <= all_have)
    best = [value["best_of"] for value in values[largest]]
    ahead = {}
    for name, others in (
        ("one_sample", [value["best_of"] for value in values[1]]),
        ("maj_at", [value["maj_at"] for value in values[largest]]),
    ):
        ahead[name] = float(np.mean(best) - np.mean(others))
        ahead[f"{name}_interval"] = paired_bootstrap(others, best)
    return {"rows": rows, "n": largest, "ahead_of": ahead}


def _at_n(scored: _Scored, clusters: Sequence[int | None], n: int) -> dict[str, float]:
    right = (scored.ranks == CORRECT).tolist()
    scores = scored.scores[MODEL].tolist()
    return {
        "best_of": best_of_k(scores, right, n),
        "maj_at": expected_majority(clusters, right, n),
        "weighted_vote": expected_weighted_vote(clusters, vote_weights(scores), right, n),
        "pass_at": pass_at_k(len(right), sum(right), n),
    }


def _clusters(scored: _Scored) -> list[int | None]:
    """Which answer each response gives, numbered; None for none."""

    def equivalent(a: str, b: str) -> bool:
        return check_answer(a, b, timeout_s=COMPARISON_TIMEOUT_S).correct

    of: list[int | None] = [None] * len(scored.answers)
    for number, members in enumerate(cluster_answers(scored.answers, equivalent)):
        for index in members:
            of[index] = number
    return of
