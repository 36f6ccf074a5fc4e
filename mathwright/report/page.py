"""One self-contained HTML page of a run, made from its artefacts alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

from mathwright.errors import MathwrightError
from mathwright.lines import file_lines, readable
from mathwright.report.corpus import corpus_headline, corpus_section
from mathwright.report.plots import plot, reward_matrix
from mathwright.report.policy import csp_hash
from mathwright.run import read_manifests, read_metrics

STAGE_TITLES = {"model": "start", "pretrain": "before SFT", "sft": "after SFT", "rl": "after RL"}
NUM_ROLLOUT_GROUPS = 4
NUM_SAMPLES = 3
"""Held-out answers shown for each model and mode."""


def write_report(run: Path) -> Path:
    """Write RUN/report.html and return its path.

    Whatever stages have finished are shown. Raises MathwrightError where `run` is no run directory.
    """
    if not (run / "recipe.json").is_file():
        raise MathwrightError(f"{run} holds no run", hint="name the folder given to `mathwright run --out`")
    recipe = json.loads((run / "recipe.json").read_text(encoding="utf-8"))
    finished = read_manifests(run)
    in_order = [name for name in recipe["recipe"] if name in finished]
    manifests = {name: finished[name] for name in [*in_order, *sorted(finished.keys() - in_order)]}
    evaluation = manifests.get("eval", {}).get("summary", {})
    table = evaluation.get("table", [])
    sections = [s for s in (_training(run, manifests, name) for name in ("pretrain", "sft", "reward")) if s]
    if reinforcement := _reinforcement(run, manifests):
        sections.append(reinforcement)
    corpus = corpus_section(manifests.get("corpus"), recipe["recipe"])
    path = run / "report.html"
    html = _template().render(
        recipe_name=recipe["name"],
        recipe_json=json.dumps(recipe["recipe"], indent=1),
        model_source=manifests.get("model", {}).get("summary", {}).get("source", ""),
        plotly_js=_line_feeds(get_plotlyjs()),
        plots_js=_line_feeds(_drawing([*(corpus["parts"] if corpus else ()), *sections])),
        headline=_headline(evaluation, manifests.get("corpus")),
        contents=_contents(table, manifests, sections),
        accuracy=table,
        comparisons=evaluation.get("comparisons", []),
        num_samples=evaluation.get("num_samples", 0),
        pass_ks=sorted({k for row in table for k in row.get("pass_at", {})}, key=int),
        splits=sorted({split for row in table for split in row["by_split"]}),
        stage_titles=STAGE_TITLES,
        corpus=corpus,
        sections=sections,
        rollouts=_rollouts(run / "rl" / "rollouts.jsonl"),
        samples=_samples(run / "eval" / "records.jsonl"),
        stages=list(manifests.values()),
        total_seconds=sum(m["seconds"] for m in manifests.values()),
        peak_memory=max((m["peak_memory_bytes"] for m in manifests.values()), default=0),
    )
    path.write_text(readable(html), encoding="utf-8")
    return path


def _drawing(sections: Sequence[Mapping[str, Any]]) -> str:
    """The script that draws the plots of all sections."""
    options = "{displayModeBar: false, responsive: true}"
    return "".join(
        f"{{const figure = {plot['json']}; "
        f"Plotly.newPlot({json.dumps(plot['id'])}, figure.data, figure.layout, {options});}}\n"
        for section in sections
        for plot in section["plots"]
    )


def _line_feeds(script: str) -> str:
    """A script as a browser sees it, whose hash the policy names."""
    return script.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(
        percent=lambda x: f"{100 * x:.1f}%",
        signed=lambda x: f"{100 * x:+.1f}",
        thousands=lambda n: f"{n:,}",
        duration=lambda s: f"{s:.0f} s" if s < 120 else f"{s / 60:.1f} min",
        gib=lambda n: f"{n / 2**30:.2f} GiB",
        cell=_cell,
        csp_hash=csp_hash,
    )
    return environment.get_template("page.html.jinja")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value)
    return str(value)


def _headline(evaluation: Mapping[str, Any], corpus: Mapping[str, Any] | None) -> str:
    if not evaluation:
        return "No evaluation yet." if corpus is None else corpus_headline(corpus)
    models = evaluation["models"]
    parts = [
        f"{row['mode']} {100 * row['difference']:+.1f} points "
        f"({100 * row['interval'][0]:+.1f} to {100 * row['interval'][1]:+.1f})"
        for row in evaluation["comparisons"]
        if (row["before"], row["after"]) == (models[0], models[-1])
    ]
    first, last = STAGE_TITLES.get(models[0], models[0]), STAGE_TITLES.get(models[-1], models[-1])
    return f"Accuracy from “{first}” to “{last}”: " + ", ".join(parts) if parts else "One model evaluated."


def _contents(table: Sequence[Any], manifests: Mapping[str, Any], sections: Sequence[Any]) -> list[tuple[str, str]]:
    contents = [("accuracy", "Accuracy")] if table else []
    contents += [("corpus", "Corpus")] if "corpus" in manifests else []
    contents += [(s["anchor"], s["title"]) for s in sections]
    contents += [("rollouts", "Rollouts")] if "rl" in manifests else []
    contents += [("samples", "Held-out answers")] if table else []
    return [*contents, ("stages", "Stages")]


# --- curves ---------------------------------------------------------------------------------------


def _training(run: Path, manifests: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Loss curve and figures of pre-training, fine-tuning or the reward model."""
    if name not in manifests:
        return None
    titles = {"pretrain": "Pre-training (§2.3)", "sft": "Fine-tuning (§3)", "reward": "Reward model (§4.1)"}
    metrics = [m for m in read_metrics(run / name) if m.get("kind") == "train"]
    plots = [plot(f"{name}-loss", metrics, ["loss"], "loss (nats a token)" if name != "reward" else "ranking loss")]
    if any("lr" in m for m in metrics):
        plots.append(plot(f"{name}-lr", metrics, ["lr"], "learning rate"))
    facts = [(key.replace("_", " "), value) for key, value in manifests[name]["summary"].items() if _is_fact(value)]
    return {"anchor": name, "title": titles[name], "text": "", "facts": facts, "plots": plots}


def _is_fact(value: Any) -> bool:
    return isinstance(value, int | float | str)


RL_PLOTS = (
    (("reward_mean", "accuracy"), "mean reward, and share of correct answers"),
    (("kl", "kl_initial"), "KL to the reference, and to the first model (k3, nats a token)"),
    (("explained_variance",), "explained variance of the value model"),
    (("response_tokens",), "response length (tokens)"),
    (("truncated", "equal_reward_groups", "unscored"), "shares of rollouts and groups"),
    (("logprob_gap",), "log-probability gap, generator against training"),
    (("entropy",), "entropy (nats a token)"),
)


def _reinforcement(run: Path, manifests: Mapping[str, Any]) -> dict[str, Any] | None:
    if "rl" not in manifests:
        return None
    metrics = [m for m in read_metrics(run / "rl") if m.get("kind") == "train"]
    plots = [
        plot(f"rl-{names[0]}", metrics, names, title)
        for names, title in RL_PLOTS
        if any(name in m for m in metrics for name in names)
    ]
    summary = manifests["rl"]["summary"]
    if matrix := summary.get("reward_matrix"):
        plots.append(reward_matrix(matrix))
    facts = [(key.replace("_", " "), value) for key, value in summary.items() if _is_fact(value)]
    return {"anchor": "rl", "title": "Reinforcement (§4)", "text": "", "facts": facts, "plots": plots}


# --- texts ----------------------------------------------------------------------------------------


def _rollouts(path: Path) -> list[dict[str, Any]]:
    """A few groups from the beginning and the end of the training, the best and the worst rollout of each."""
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in file_lines(path)]
    half = NUM_ROLLOUT_GROUPS // 2
    chosen = rows[:half] + rows[max(half, len(rows) - half) :]
    return [
        {
            "step": row["step"],
            "reference": row["group"]["problem"]["answer"],
            "prompt": row["group"]["prompt"],
            "rollouts": [_rollout(r) for r in _best_and_worst(row["group"]["rollouts"])],
        }
        for row in chosen
    ]


def _best_and_worst(rollouts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    ordered = sorted(rollouts, key=lambda r: -(r["reward"] if r["reward"] is not None else float("-inf")))
    return [ordered[0], ordered[-1]] if len(ordered) > 1 else ordered


def _rollout(rollout: Mapping[str, Any]) -> dict[str, Any]:
    verdict = rollout["verdict"]
    return {
        "status": verdict["status"] if verdict else "not judged",
        "reward": rollout["reward"],
        "num_tokens": len(rollout["completion"]["tokens"]),
        "finish": rollout["completion"]["finish"],
        "text": rollout["completion"]["text"],
    }


def _samples(path: Path) -> list[dict[str, Any]]:
    """The first greedy answers of each model and mode: the same problems for all."""
    if not path.is_file():
        return []
    shown: dict[tuple[str, str], int] = {}
    samples = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            key = (row["model"], row["mode"])
            if row["sample"] != -1 or shown.get(key, 0) >= NUM_SAMPLES:
                continue
            shown[key] = shown.get(key, 0) + 1
            samples.append(
                {
                    "model": row["model"],
                    "mode": row["mode"],
                    "status": row["verdict"]["status"],
                    "reference": row["problem"]["answer"],
                    "question": row["problem"]["question"],
                    "response": row["response"].strip(),
                }
            )
    return samples
