"""A page for each stage: what it made, its curves, and everything it measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mathwright.report.compared import compared_parts
from mathwright.report.corpus import corpus_parts
from mathwright.report.evaluated import evaluation_parts
from mathwright.report.figures import heatmap
from mathwright.report.gathered import Run
from mathwright.report.metrics import METRICS, SHARE, metric
from mathwright.report.parts import Part, Table, is_number, part, square
from mathwright.report.plots import Line, Plot, curves, line_of
from mathwright.report.reward import judged_parts, process_parts
from mathwright.report.shown import cell, number, percent, words

ABOUT = {
    "problems": "What the model is asked, in training and in the evaluation.",
    "model": "The model that everything begins with.",
    "corpus": "Mathematical pages found in web archives by a classifier that learns from its own finds (§2.1).",
    "compare": "The same model trained on each corpus alone: which corpus teaches more mathematics (§2.2).",
    "pretrain": "The model continues to learn to predict text, now of the corpus (§2.3).",
    "sft": "The model learns to answer questions from worked solutions (§3).",
    "reward": "A model that learns to tell right answers from wrong ones, or right steps from wrong ones (§4.1).",
    "rl": "The model draws answers, each is given a reward, and it learns from what did better than the rest (§4).",
    "eval": "Every model of the run answers the same held-out problems (§2.3, §3.2).",
}
NOT_METRICS = frozenset({"step", "time", "kind", "iteration"})


def parts_of(run: Run, stage: str) -> list[Part]:
    """The parts of the page of a stage; those with nothing in them are left out."""
    manifest = run.manifests.get(stage)
    parts = [*_OWN.get(stage, _trained)(run, stage), _everything(run, _main_part(run, stage))]
    if manifest is not None:
        parts += [_funnel(manifest)] if stage == "eval" else [_funnel(manifest), _facts(manifest["summary"])]
    return [found for found in parts if not found.empty]


# --- kinds of stages ------------------------------------------------------------------------------


def _trained(run: Run, stage: str) -> list[Part]:
    """Curves of a training: loss, held-out loss, and how it was driven."""
    rows, held = run.metrics(stage), run.metrics(stage, "eval")
    losses = [line_of(rows, "loss", title="training"), line_of(held, "heldout_loss", title="held out")]
    loss = _lines("Loss", losses, unit=metric("loss").unit, about=metric("loss").about)
    if stage.startswith("reward") and loss is not None:
        loss = replace(loss, unit="", about="Low where right answers stand clearly above wrong ones.")
    return [
        part(
            "Curves",
            plots=[loss, curves(held, ["heldout_accuracy"]), *(curves(rows, [name]) for name in ("grad_norm", "lr"))],
        )
    ]


def _pretrained(run: Run, stage: str) -> list[Part]:
    summary = run.summary(stage)
    before, after = summary.get("bits_per_byte_before"), summary.get("bits_per_byte_after")
    rows = (
        [{"held-out text": "bits per byte", "before": before, "after": after, "change": after - before}]
        if after
        else []
    )
    note = (
        "Bits per byte say how well the model predicts text it has not seen: the fewer bits it needs for a byte, the "
        "better. They can be compared between models with different vocabularies."
    )
    return [part("What it brought", note, tables=[Table(rows=rows)]), *_trained(run, stage)]


def _corpus(run: Run, stage: str) -> list[Part]:
    manifest = run.manifests.get(stage)
    if manifest is None:
        return []
    texts = run.path / "report" / "texts.html"
    links = [("report/texts.html", "Read the corpus", "pages that were collected, and some that were not")]
    return [
        *([part("Texts", links=links)] if texts.is_file() else []),
        *corpus_parts(manifest, run.recipe),
    ]


def _rewarded(run: Run, stage: str) -> list[Part]:
    """The outcome model, the process model, or both, each in its folder."""
    outcome = _main_part(run, stage)
    return [
        *judged_parts(run.path / outcome),
        *process_parts(run.path / stage / "process"),
        *_trained(run, outcome),
        *(replace(found, title="Curves of the process model") for found in _trained(run, f"{stage}/process")),
    ]


def _reinforced(run: Run, stage: str) -> list[Part]:
    """Rewards beside correct answers, the policy, and the value model and iterations where there are any."""
    rows, held = run.metrics(stage), run.metrics(stage, "eval")
    terms = dict.fromkeys(
        name for row in rows for name in row if name.startswith("reward_") and name not in _OWN_REWARD
    )
    progress = part(
        "Does it learn?",
        "The reward is what training raises; correct answers are what it is for. Where the first rises and the second "
        "falls, the model games its reward.",
        plots=[
            curves(rows, ["reward_mean"]),
            curves(rows, ["accuracy"]),
            curves(held, ["accuracy"], "Correct answers to held-out problems"),
            _gaming(rows),
            *(curves(rows, [name], f"Reward: {words(name.removeprefix('reward_'))}") for name in terms),
        ],
        links=_rollout_links(run, stage),
    )
    policy = _changing(
        "The policy",
        "How far the model has moved, and whether it still tries different things.",
        rows,
        ("kl", "kl_initial"), ("entropy",), ("clip_fraction",), ("grad_norm",), ("logprob_gap",), ("lr",),
    )  # fmt: skip
    responses = _changing(
        "The responses", "", rows,
        ("response_tokens",), ("truncated",), ("tool_calls",), ("equal_reward_groups",), ("unscored",),
        ("steps_per_response",),
    )  # fmt: skip
    values = _changing(
        "The value model",
        "It foresees the reward while a response is being written. Explained variance of 1 is perfect foresight; at 0 "
        "it knows no more than the mean reward, below 0 less than that.",
        rows if any("explained_variance" in row for row in rows) else [],
        ("explained_variance", "explained_variance_after"), ("value_loss", "value_loss_after"), ("value_gated",),
        ("kl_coef",),
    )  # fmt: skip
    speed = part(
        "Speed",
        plots=[_seconds(rows), curves(rows, ["generated_tokens_per_s", "trained_tokens_per_s"], "Tokens a second")],
    )
    return [progress, policy, responses, values, *_iterated(run.summary(stage)), speed]


def _changing(title: str, note: str, rows: Sequence[Mapping[str, Any]], *plots: Sequence[str]) -> Part:
    """Curves of what changed; what was the same throughout is said in the note."""
    drawn, same = [], []
    for names in plots:
        values = {row[name] for row in rows for name in names if is_number(row.get(name))}
        if len(values) > 1:
            drawn.append(curves(rows, names))
        elif values:
            same.append(f"{metric(names[0]).title.lower()} {_shown(names[0], values.pop())}")
    said = f"The same at every step: {', '.join(same)}." if same else ""
    return part(title, " ".join(text for text in (note, said) if text), plots=drawn)


def _shown(name: str, value: float) -> str:
    """A measurement in its unit."""
    return percent(value) if metric(name).unit == SHARE else number(value)


_OWN_REWARD = frozenset({"reward_mean", "reward_std"})


def _rollout_links(run: Run, stage: str) -> list[tuple[str, str, str]]:
    if not (run.path / stage / "rollouts.jsonl").is_file():
        return []
    return [
        ("report/rollouts.html", "Read the responses", "questions, all answers to each, rewards and verdicts, by step")
    ]


def _gaming(rows: Sequence[Mapping[str, Any]]) -> Plot | None:
    """Reward against the share of right answers, where the reward is not the verdict itself."""
    both = [row for row in rows if is_number(row.get("reward_mean")) and is_number(row.get("accuracy"))]
    if not both or all(abs(row["reward_mean"] - row["accuracy"]) < 1e-9 for row in both):
        return None
    lines = [
        line_of(both, "reward_mean", title="mean reward"),
        line_of(both, "accuracy", title="share of right answers"),
    ]
    return _lines("Reward beside right answers", lines, about="Curves that part are a reward that is being gamed.")


def _seconds(rows: Sequence[Mapping[str, Any]]) -> Plot | None:
    names = {"seconds_generate": "drawing", "seconds_train": "training", "seconds_reward": "scoring"}
    return _lines("Time of a step", [line_of(rows, name, title=title) for name, title in names.items()], unit="s")


def _iterated(summary: Mapping[str, Any]) -> list[Part]:
    """What each iteration of Algorithm 1 came to, and how each reward model ranks the samples of each iteration."""
    names = {"reward_mean_begin": "reward at first", "reward_mean_end": "reward at last",
             "accuracy_begin": "right at first", "accuracy_end": "right at last", "kl_end": "distance at last",
             "truncated_end": "cut at last"}  # fmt: skip
    shares = {"accuracy_begin", "accuracy_end", "truncated_end"}
    rows = [
        {"iteration": k, "steps": found.get("num_steps")}
        | {
            title: percent(found[n]) if n in shares else found[n]
            for n, title in names.items()
            if found.get(n) is not None
        }
        for k, found in enumerate(summary.get("iterations") or [], start=1)
    ]
    matrix = summary.get("reward_matrix") or []
    return [
        part(
            "Iterations",
            "Each begins with a new reference and ends with a reward model trained further (Algorithm 1).",
            tables=[Table(rows=square(rows))],
        ),
        part(
            "Reward models of the iterations",
            "Share of held-out pairs of a right and a wrong response that each reward model orders rightly, on the "
            "samples of each iteration, with 95% intervals. A coin has 50%. A model that does well on old samples and "
            "not on new ones has been left behind by the policy.",
            extra=_matrix(matrix) if matrix else "",
        ),
    ]


def _matrix(rows: Sequence[Mapping[str, Any]]) -> Any:
    models = sorted({row["reward_model"] for row in rows})
    samples = sorted({row["samples"] for row in rows})
    found = {(row["reward_model"], row["samples"]): row for row in rows}
    written: list[list[str]] = [[f"samples of iteration {j}" if j else "samples of the SFT model" for j in samples]]
    shades: list[list[int | None]] = []
    for k in models:
        cells, line = [f"reward model {k}"], []
        for j in samples:
            row = found.get((k, j), {})
            accuracy, interval = row.get("pair_accuracy"), row.get("pair_accuracy_interval")
            said = "–" if accuracy is None else percent(accuracy)
            if interval:
                said += f" ({100 * interval[0]:.0f} to {100 * interval[1]:.0f})"
            cells.append(said)
            line.append(None if accuracy is None else round(min(max(2 * accuracy - 1, 0), 1) * 9))
        written.append(cells)
        shades.append(line)
    return heatmap(written, shades)


def _evaluated(run: Run, stage: str) -> list[Part]:
    return evaluation_parts(run)


_OWN = {
    "corpus": _corpus, "compare": compared_parts, "pretrain": _pretrained, "reward": _rewarded, "rl": _reinforced,
    "eval": _evaluated,
}  # fmt: skip


def _main_part(run: Run, stage: str) -> str:
    """Where the stage's own measurements are: a reward stage that makes both kinds of models has each in a folder."""
    return f"{stage}/outcome" if (run.path / stage / "outcome" / "metrics.jsonl").is_file() else stage


# --- of every stage -------------------------------------------------------------------------------


def _everything(run: Run, stage: str) -> Part:
    """A table of all measurements: first, last, least and most, with units and healthy ranges."""
    rows = run.metrics(stage)
    names = list(dict.fromkeys(name for row in rows for name in row if name not in NOT_METRICS))
    found = [row for name in names if (row := _measured(name, [row.get(name) for row in rows])) is not None]
    table = Table(rows=found, title=f"Every measurement of {len(rows):,} steps", folded=True)
    return part("All measurements", tables=[table])


def _measured(name: str, values: Sequence[Any]) -> dict[str, Any] | None:
    known = [value for value in values if is_number(value)]
    if not known:
        return None
    described = metric(name)
    outside = sum(not described.is_healthy(value) for value in known)
    state = f"outside in {outside} of {len(known)} steps" if outside else "healthy"
    return {
        "measurement": described.title,
        "unit": described.unit,
        "first": _shown(name, float(known[0])),
        "last": _shown(name, float(known[-1])),
        "least": _shown(name, float(min(known))),
        "most": _shown(name, float(max(known))),
        "healthy": described.healthy,
        "state": state if described.healthy else "",
        "what it is": described.about,
        "name in metrics.jsonl": name,
    }


def _funnel(manifest: Mapping[str, Any]) -> Part:
    """What went in, what came out, and why the rest did not."""
    rows = [
        {
            "step": row["step"],
            "of": row["unit"],
            "in": row["num_in"],
            "out": row["num_out"],
            "left out, by reason": "; ".join(f"{reason} {count:,}" for reason, count in row["dropped"].items()),
        }
        for row in manifest["funnels"]
    ]
    return part("What went in and what came out", tables=[Table(rows=rows)])


def _facts(summary: Mapping[str, Any]) -> Part:
    facts = [_fact(name, value) for name, value in summary.items() if isinstance(value, int | float | str)]
    return part("Figures of the stage", facts=facts)


def _fact(name: str, value: float | str) -> tuple[str, str]:
    """A figure of a summary under a name for people: reward_mean_end as Mean reward, last fifth of the steps."""
    for ending, moment in (("_begin", "first fifth of the steps"), ("_end", "last fifth of the steps")):
        measured = name.removesuffix(ending)
        if measured != name and is_number(value):
            return f"{metric(measured).title}, {moment}", _shown(measured, float(value))
    if name in METRICS and is_number(value):
        return METRICS[name].title, _shown(name, float(value))
    return words(name.removeprefix("num_")).capitalize(), cell(value)


def _lines(title: str, lines: Iterable[Line | None], *, unit: str = "", about: str = "") -> Plot | None:
    kept = [line for line in lines if line is not None]
    return Plot(title=title, lines=kept, unit=unit, about=about) if kept else None


def page_of(stage: str) -> Path:
    """Where the page of a stage lies in the run's folder."""
    return Path("report") / f"{stage}.html"
