"""The first page of a report: what the run is worth, what each stage did for it, what to be careful about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mathwright.report.corpus import corpus_headline
from mathwright.report.evaluated import CONTRIBUTION, MODE_TITLES, contributions, results, within_noise
from mathwright.report.gathered import Run, model_title, stage_title
from mathwright.report.parts import Part, part
from mathwright.report.shown import duration, gib, number, percent, points, signed_interval


def headline(run: Run) -> str:
    """What the run came to, in a sentence or two."""
    if not run.evaluation:
        return _last_stage(run)
    last = run.evaluation["models"][-1]
    rows = {row["mode"]: row for row in run.table if row["model"] == last}
    if not rows:
        return "An evaluation without a figure."
    best = max(rows, key=lambda mode: rows[mode]["accuracy"])
    said = (
        f"The last model ({model_title(last)}) answers {percent(rows[best]['accuracy'])} of "
        f"{rows[best]['num_problems']:,} held-out problems, {MODE_TITLES.get(best, best)}."
    )
    changes = [
        f"{stage_title(row['after'])} changed it by {points(row['difference'])} points "
        f"({signed_interval(*row['interval'])}{', within noise' if within_noise(row['interval']) else ''})"
        for row in run.steps_of_evaluation()
        if row["mode"] == best
    ]
    return f"{said} {'; '.join(changes)}." if changes else said


def _last_stage(run: Run) -> str:
    """What the last stage of a run without an evaluation came to."""
    made = [stage for stage in run.manifests if stage not in ("problems", "model")]
    if not made:
        return "Nothing has been made yet."
    if made[-1] == "corpus":
        return corpus_headline(run.manifests["corpus"])
    said = [_came_to(run, made[-1])]
    if made[-1] == "rl" and (rewards := run.rewards()) is not None:
        said.append(f"mean reward {rewards.first:.3g} in the first {rewards.steps}, {rewards.last:.3g} in the last")
    return f"{stage_title(made[-1])}: {'; '.join(filter(None, said)) or 'finished'}."


def overview_parts(run: Run) -> list[Part]:
    """Result and contributions."""
    problems = {row["num_problems"] for row in run.table}
    note = (
        f"Right answers to {number(max(problems))} held-out problems that no stage has seen, with 95% intervals."
        if problems
        else ""
    )
    parts = [
        part("The result", note, plots=results(run)),
        part("What each stage contributed to it", CONTRIBUTION, plots=contributions(run)),
    ]
    return [found for found in parts if not found.empty]


def stage_rows(run: Run) -> list[dict[str, Any]]:
    """A row a stage: what it is, what it came to in its own terms, how long it took."""
    rows = []
    for stage in run.stages:
        manifest = run.manifests.get(stage)
        rows.append(
            {
                "stage": stage,
                "title": stage_title(stage),
                "came_to": _came_to(run, stage) if manifest else "not finished",
                "seconds": duration(manifest["seconds"]) if manifest else "",
                "memory": gib(manifest["peak_memory_bytes"]) if manifest else "",
            }
        )
    return rows


def _came_to(run: Run, stage: str) -> str:
    """The stage's own result, in its own unit."""
    summary = run.summary(stage)
    try:
        return _CAME_TO[stage](summary) if stage in _CAME_TO else ""
    except (KeyError, IndexError, TypeError):  # of a stage that another version has written
        return ""


def _pretrained(summary: Mapping[str, Any]) -> str:
    before, after = summary["bits_per_byte_before"], summary["bits_per_byte_after"]
    return f"held-out text at {before:.3f} bits per byte before, {after:.3f} after, {summary['num_tokens']:,} tokens"


def _tuned(summary: Mapping[str, Any]) -> str:
    said = f"{summary['num_examples']:,} worked solutions, {summary['num_steps']:,} steps"
    if "heldout_loss_after" not in summary:
        return said
    before, after = summary["heldout_loss_before"], summary["heldout_loss_after"]
    return f"{said}; held-out loss {before:.3f} nats a token before, {after:.3f} after"


def _rewarded(summary: Mapping[str, Any]) -> str:
    said = []
    outcome = summary.get("outcome", summary)
    if "pair_accuracy" in outcome:
        low, high = outcome["pair_accuracy_interval"]
        said.append(
            f"{percent(outcome['pair_accuracy'])} of pairs ordered rightly ({100 * low:.1f} to {100 * high:.1f})"
        )
    elif "heldout_accuracy_after" in outcome:
        said.append(
            f"{percent(outcome['heldout_accuracy_after'])} of {outcome['num_heldout_pairs']} pairs ordered rightly"
        )
    process = summary.get("process", summary)
    if process.get("first_error_f1") is not None:
        said.append(f"first wrong step found with F1 {process['first_error_f1']:.3f}")
    return "; ".join(said)


def _reinforced(summary: Mapping[str, Any]) -> str:
    begin, end = summary["accuracy_begin"], summary["accuracy_end"]
    if begin is None or end is None:
        return f"{summary['num_steps']} steps of {summary['method']}"
    return (
        f"{summary['num_steps']} steps of {summary['method']}: {percent(begin)} of drawn answers right at first, "
        f"{percent(end)} at last"
    )


_CAME_TO = {
    "problems": lambda s: f"{s['train']:,} to learn from, {s['test']:,} held out",
    "model": lambda s: f"{s['source']}, {s['num_parameters'] / 1e6:,.1f} million parameters",
    "corpus": lambda s: corpus_headline({"summary": s}).removesuffix("."),
    "compare": lambda s: f"{len(s['table'])} corpora",
    "pretrain": _pretrained,
    "sft": _tuned,
    "reward": _rewarded,
    "rl": _reinforced,
    "eval": lambda s: f"{len(s['models'])} models on the same problems",
}


def facts(run: Run) -> list[tuple[str, str]]:
    """Where the run comes from: what one needs to make it again, or to doubt it."""
    manifests = list(run.manifests.values())
    made = [m["made"] for m in manifests if "made" in m]
    found = [
        ("recipe", run.name),
        ("seed", number(run.recipe["seed"]) if "seed" in run.recipe else ""),
        ("start model", str(run.summary("model").get("source", ""))),
        ("finished", max((m["finished"] for m in made), default="").replace("T", " ").replace("Z", " UTC")),
        ("time of all stages", duration(sum(m["seconds"] for m in manifests)) if manifests else ""),
        ("peak memory", gib(max(m["peak_memory_bytes"] for m in manifests)) if manifests else ""),
        ("mathwright", _all(m.get("version", "") for m in manifests)),
        *((name, _all(m.get(name, "") for m in made)) for name in ("torch", "python", "system", "machine")),
        ("commands", "\n".join(dict.fromkeys(m["command"] for m in made))),
        ("folder", str(run.path.absolute())),
    ]
    return [(name, value) for name, value in found if value]


def _all(values: Any) -> str:
    return "; ".join(dict.fromkeys(value for value in values if value))
