"""What a reader must know before any figure: guards that fired, figures within noise, what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mathwright.report.evaluated import mode_title
from mathwright.report.gathered import Run, model_title, stage_title
from mathwright.report.shown import percent, points, signed_interval

TRUNCATED = 0.3
"""Share of cut answers of the last model that is worth a word."""
COIN = 0.5


@dataclass(frozen=True, slots=True)
class Warned:
    """A line of warning and the stage whose page says more."""

    stage: str
    text: str


def warnings_of(run: Run) -> list[Warned]:
    """In the order of the stages; what a stage said of itself, then what its figures say."""
    found = [Warned(name, "This stage has begun and not finished: its figures are missing.") for name in run.unfinished]
    for stage in run.manifests:
        texts = [*_said(run, stage), *_JUDGED.get(stage, lambda _: ())(run)]
        found += [Warned(stage, text) for text in dict.fromkeys(texts)]
    trained = [stage for stage in ("pretrain", "sft", "rl") if stage in run.manifests]
    if not run.evaluation and trained:
        model = f"{run.path.name}/{trained[-1]}/model"
        found.append(
            Warned(
                trained[-1],
                f"This run has no evaluation: `mathwright eval {model} --problems FILE` measures its model.",
            )
        )
    return found


def _said(run: Run, stage: str) -> Iterator[str]:
    """Warnings of the stage as it ran: those of its manifest, and those among its measurements."""
    yield from run.manifests[stage].get("warnings", [])
    for row in run.metrics(stage, "warning"):
        yield row["message"]
    for row in run.metrics(f"{stage}/process", "warning"):
        yield row["message"]


# --- what figures say -----------------------------------------------------------------------------


def _pretrain(run: Run) -> Iterator[str]:
    summary = run.summary("pretrain")
    before, after = summary.get("bits_per_byte_before"), summary.get("bits_per_byte_after")
    if before is not None and after is not None and after >= before:
        yield f"Held-out text is not predicted better than before: {before:.3f} bits per byte, now {after:.3f}."


def _corpus(run: Run) -> Iterator[str]:
    funnel = next((f for f in run.manifests["corpus"]["funnels"] if f["step"] == "recall"), None)
    if funnel and funnel["num_in"] and funnel["num_in"] == funnel["num_out"]:
        yield "Every page was collected: the budget is larger than what there was, so the classifier chose nothing."


def _reward(run: Run) -> Iterator[str]:
    summary = run.summary("reward")
    summary = summary.get("outcome", summary)
    interval = summary.get("pair_accuracy_interval")
    if interval is None:
        return
    accuracy = summary["pair_accuracy"]
    if interval[0] <= COIN:
        yield (
            f"The reward model orders {percent(accuracy)} of pairs rightly, which is not beyond a coin's 50% "
            f"(95% interval {100 * interval[0]:.1f} to {100 * interval[1]:.1f})."
        )
    judges = {n.removeprefix("pair_accuracy_of_"): v for n, v in summary.items() if n.startswith("pair_accuracy_of_")}
    better = [
        f"{_JUDGE_TITLES.get(name, name)} ({percent(value)})" for name, value in judges.items() if value >= accuracy
    ]
    if better:
        yield f"The reward model ({percent(accuracy)}) is no better than judging by {' or by '.join(better)}."


_JUDGE_TITLES = {"length": "length", "logprob": "the model's own probability", "answer": "the presence of an answer"}


def _rl(run: Run) -> Iterator[str]:
    rewards = run.rewards()
    if rewards is not None and rewards.last - rewards.first <= 2 * rewards.error:
        change = "fell" if rewards.first - rewards.last > 2 * rewards.error else "did not rise beyond noise"
        yield (
            f"The mean reward {change}: {rewards.first:.3g} in the first {rewards.steps}, {rewards.last:.3g} in the "
            f"last (standard error of the difference {rewards.error:.2g})."
        )


def _eval(run: Run) -> Iterator[str]:
    for row in run.steps_of_evaluation():
        low, high = row["interval"]
        stage = stage_title(row["after"])
        said = f"{points(row['difference'])} points, 95% interval {signed_interval(low, high)}"
        if high < 0:
            yield f"{stage} made answers worse ({mode_title(row['mode'])}): {said}."
        elif low <= 0:
            yield f"{stage} changed nothing beyond noise ({mode_title(row['mode'])}): {said}."
    models = run.evaluation.get("models", [])
    for row in run.table:
        if models and row["model"] == models[-1]:
            yield from _answers(row)


def _answers(row: Mapping[str, Any]) -> Iterator[str]:
    name = f"{model_title(row['model'])}, {mode_title(row['mode'])}"
    if row.get("truncated", 0) > TRUNCATED:
        yield f"{percent(row['truncated'])} of answers were cut at the limit of tokens ({name}): they count as wrong."
    if row.get("unscored"):
        yield f"{row['unscored']} problems could not be judged ({name}): they count neither as right nor as wrong."
    if row.get("timeouts"):
        yield f"{percent(row['timeouts'])} of answers took too long to judge ({name}): they count as wrong."


_JUDGED = {"pretrain": _pretrain, "corpus": _corpus, "reward": _reward, "rl": _rl, "eval": _eval}
