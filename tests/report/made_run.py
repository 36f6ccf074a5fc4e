"""A run as its stages leave it, with every kind of page a report can have: PPO with iterations, two reward models."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from mathwright.records import (
    Completion,
    EvalRecord,
    FinishReason,
    Problem,
    Rollout,
    RolloutGroup,
    StepLabels,
    Verdict,
    to_json,
    write_jsonl,
)
from mathwright.run import RunDirectory, Stage

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> $x<1$ {{ 7*7 }}"
)
TRANSCRIPT = "First $\\frac{1}{2}$.\n```python\nprint(2 + 2)\n```\n```output\n4\n```\nSo the answer is \\boxed{4}."
NUM_STEPS = 40


def make_run(folder: Path, *, seed: int = 0, gain: float = 0.125) -> Path:
    """`gain`: what reinforcement adds to accuracy."""
    run = RunDirectory(folder, recipe_name="made", recipe={"name": "made", "seed": seed, "rl": {"mode": "tool"}})
    problems = run.stage("problems")
    problems.finish(outputs={}, summary={"train": 600, "test": 40, "solutions": 1800})
    run.stage("model").finish(outputs={}, summary={"source": "scratch", "num_parameters": 886_400})
    _corpus(run.stage("corpus"))
    _compare(run.stage("compare"))
    _trained(run.stage("pretrain"), num_tokens=65_536, bits_per_byte_before=7.426, bits_per_byte_after=5.201)
    _trained(run.stage("sft"), num_examples=1200, num_steps=NUM_STEPS)
    _reward(run.stage("reward"))
    _reinforced(run.stage("rl"))
    _evaluated(run.stage("eval"), gain)
    return folder


def _trained(stage: Stage, **summary: Any) -> None:
    for step in range(NUM_STEPS):
        stage.log(step, kind="train", loss=2.0 / (1 + step / 4) + 0.1 * math.sin(7 * step), lr=1e-4, grad_norm=0.5)
        if step % 10 == 0:
            stage.log(step, kind="eval", heldout_loss=2.0 / (1 + step / 5))
    stage.finish(outputs={}, summary=summary)


def _corpus(stage: Stage) -> None:
    urls = [f"https://qa.org/{k}" for k in range(60)]
    documents = stage.path / "documents" / "documents.parquet"
    rows = [
        {"url": url, "title": HOSTILE if k == 0 else f"Page {k}", "text": f"Let $x_{{{k}}} = \\sqrt{{2}}$. {HOSTILE}",
         "num_words": 100 + k}
        for k, url in enumerate(urls)
    ]  # fmt: skip
    scores = [{"url": url, "score": 0.9 - k / 100, "collected": k < 40} for k, url in enumerate(urls)]
    for path, held in (
        (documents, rows[:40]),
        (stage.path / "pool" / "pool.parquet", rows),
        (stage.path / "iteration-2" / "pages.parquet", scores),
    ):
        path.parent.mkdir()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(held), path)
    stage.funnel("dedup", unit="pages", num_in=1234, num_out=1000, dropped={"same text": 234})
    stage.warn("the halves of the seed teach nothing: not measured by them")
    iteration = {"seed_pages": 21, "collected_tokens": 14_018, "lost": 0, "lowest_score": 0.51}
    iterations = [
        {"iteration": 1, "collected_pages": 23, "new": 23, "overlap": 0.0, **iteration},
        {"iteration": 2, "collected_pages": 40, "new": 17, "overlap": 0.575, **iteration},
    ]
    bins = [{"mean_score": s, "share": s, "share_low": s - 0.1, "share_high": s + 0.1} for s in (0.3, 0.5, 0.7)]
    stage.finish(
        outputs={"documents": documents},
        summary={
            "iterations": iterations,
            "tokens": {"train": {"num_tokens": 48_021}},
            "top_pages": [{"url": urls[0], "title": HOSTILE, "score": 0.98765}],
            "quality": {"calibration": bins},
        },
    )


def _compare(stage: Stage) -> None:
    table = []
    for name, bits in (("ours", 1.21), ("theirs", 1.34)):
        part = stage.part(name)
        _trained(part, num_tokens=1_000_000, bits_per_byte_before=1.9, bits_per_byte_after=bits)
        measures = {"gsm8k": {"bits_per_byte": bits - 0.1}}
        table.append({"corpus": name, "num_tokens": 1_000_000, "bits_per_byte_before": 1.9, "bits_per_byte_after": bits,
                      "measures": measures, "accuracy": [
                          {"task": "gsm8k", "mode": "cot", "num_problems": 80, "accuracy": 0.0625,
                           "interval": [0.02, 0.14], "at_floor": False}]})  # fmt: skip
    verdicts = {"gsm8k": [{"text": "ours ahead of theirs by 0.130 bits per byte (0.110 to 0.150)"}]}
    points = {"step": [0, 50, 100], "tokens": [0, 500_000, 1_000_000], "gsm8k/bits": [1.9, 1.4, 1.2]}
    curves = [{"arm": name, "rate": 1e-3, "seed": 0, "points": points} for name in ("ours", "theirs")]
    stage.finish(
        outputs={},
        summary={"table": table, "curves": curves, "signal_to_noise": {"gsm8k": 1.25}, "verdicts": verdicts},
    )


def _reward(stage: Stage) -> None:
    for step in range(30):
        stage.log(step, kind="train", loss=0.7 - step / 100, accuracy=0.5 + step / 100, lr=1e-4, grad_norm=1.0)
    judges = {"model": 0.71, "length": 0.55, "logprob": 0.58, "answer": 0.62}
    pairs = {
        "num_pairs": 512, "num_prompts": 90, "accuracy": judges,
        "interval": {name: [value - 0.05, value + 0.05] for name, value in judges.items()},
        "difference": {name: 0.71 - value for name, value in judges.items() if name != "model"},
        "difference_interval": {n: [0.71 - v - 0.06, 0.71 - v + 0.06] for n, v in judges.items() if n != "model"},
    }  # fmt: skip
    best = [
        {"n": n, "num_prompts": 90, "best_of": 0.5 + k / 20, "maj_at": 0.5 + k / 40, "weighted_vote": 0.5 + k / 30,
         "pass_at": 0.5 + k / 12, "best_of_interval": [0.4 + k / 20, 0.6 + k / 20]}
        for k, n in enumerate((1, 2, 4, 8, 16))
    ]  # fmt: skip
    calibration = [{"chance": c, "right": c + 0.05, "interval": [c - 0.05, c + 0.15]} for c in (0.2, 0.5, 0.8)]
    found = {
        "pairs": pairs, "equal_pairs": pairs, "by_solve_rate": [
            {"above": 0.0, "up_to": 0.25, "num_prompts": 20, "num_pairs": 60, "accuracy": 0.65,
             "interval": [0.55, 0.75]}
        ],
        "auc": 0.7412, "calibration_error": 0.081, "calibration": calibration,
        "length_correlation": {"right": -0.02, "wrong": 0.11}, "best_of_n": {"rows": best},
    }  # fmt: skip
    (stage.path / "evaluation.json").write_text(json.dumps({"heldout": found}))
    process = stage.part("process")
    for step in range(30):
        process.log(step, kind="train", loss=0.7 - step / 80, accuracy=0.6)
    response = "Two and two.\nIt is 5."
    labels = StepLabels(
        problem_id="p", prompt=f"What is 2 + 2? {HOSTILE}", response=response, step_ends=(13, len(response)),
        labels=(1.0, 0.0), hits=(5, 0), completions=(8, 8),
    )  # fmt: skip
    write_jsonl(process.path / "labels.jsonl", [labels])
    process.finish(
        outputs={},
        summary={"first_error_f1": 0.6125, "step_auc": 0.83, "right_share": 0.7, "one_response": 0.5,
                 "num_heldout_problems": 90, "best_of_n": {"min": 0.6, "last": 0.62}},
    )  # fmt: skip
    stage.finish(
        outputs={},
        summary={"pair_accuracy": 0.71, "pair_accuracy_interval": [0.66, 0.76], "pair_accuracy_of_length": 0.55},
    )


def group(step: int, text: str = TRANSCRIPT, *, question: str = "What is 2 + 2?") -> RolloutGroup:
    """A question with a right, a wrong and an unscored response."""
    problem = Problem(id=f"p{step % 4}", question=question, answer="4", source="toy", split="train", subject="sums")
    right = Verdict(status="correct", prediction="4", reference="4", method="number")
    wrong = Verdict(status="incorrect", prediction="5", reference="4", method="number")
    responses: list[tuple[str, Verdict | None, float | None, FinishReason]] = [
        (text, right, 1.0, "stop"), ("It is 5.", wrong, 0.0, "stop"), ("It is", None, None, "length"),
    ]  # fmt: skip
    rollouts = [
        Rollout(
            completion=Completion(tokens=(1, 2, 3), logprobs=(-1.0,) * 3, sampled=(True,) * 3, text=said, finish=finish,
                                  num_tool_calls=1),
            verdict=verdict, reward=reward, rewards_by_name={"answer": reward, "short": 0.5},
            step_ends=(1, 2) if reward is not None else (), step_rewards=(1.0, 0.0) if reward is not None else (),
        )
        for said, verdict, reward, finish in responses
    ]  # fmt: skip
    return RolloutGroup(problem=problem, prompt="Question: 2 + 2", prompt_tokens=(1,), rollouts=tuple(rollouts))


def write_rollouts(path: Path, groups: list[tuple[int, RolloutGroup]]) -> None:
    lines = (json.dumps({"step": step, "group": to_json(found)}) + "\n" for step, found in groups)
    path.write_text("".join(lines), encoding="utf-8")


def _reinforced(stage: Stage) -> None:
    for step in range(NUM_STEPS):
        wave = math.sin(step)
        stage.log(
            step, kind="train", iteration=1 + step // 20, reward_mean=0.3 + step / 100, accuracy=0.4 + 0.02 * wave,
            reward_std=0.4, response_tokens=40 + wave, truncated=0.02 + step / 100, kl=0.01 * step,
            kl_initial=0.02 * step,
            entropy=0.3, clip_fraction=0.0, grad_norm=0.4 + wave / 10, logprob_gap=3e-7,
            explained_variance=0.4 - 0.02 * step,
            explained_variance_after=0.5, value_loss=0.1, equal_reward_groups=0.4, unscored=0.0,
            seconds_generate=3.0 + wave,
            seconds_train=4.0, seconds_reward=0.1, generated_tokens_per_s=300.0, trained_tokens_per_s=200.0 + step,
        )  # fmt: skip
        if step % 20 == 0:
            stage.log(step, kind="eval", accuracy=0.5 + step / 200)
    stage.log(33, kind="warning", message="step 33: truncated 0.35 is above 0.3: many responses ran into the limit")
    found = [(step, group(step, TRANSCRIPT if step else HOSTILE)) for step in range(NUM_STEPS)]
    write_rollouts(stage.path / "rollouts.jsonl", found)
    iterations = [
        {"num_steps": 20, "reward_mean_begin": 0.3, "reward_mean_end": 0.5, "accuracy_begin": 0.40625, "kl_end": 0.19}
    ] * 2
    matrix = [
        {"reward_model": k, "samples": j, "pair_accuracy": None if j == 2 else 0.6125 + 0.1 * k, "num_problems": 9,
         "pair_accuracy_interval": None if j == 2 else [0.5, 0.75]}
        for k in range(2)
        for j in range(3)
    ]  # fmt: skip
    stage.finish(
        outputs={},
        summary={"method": "ppo", "num_steps": NUM_STEPS, "accuracy_begin": 0.40625, "accuracy_end": 0.5,
                 "iterations": iterations, "reward_matrix": matrix},
    )  # fmt: skip


def _evaluated(stage: Stage, gain: float) -> None:
    records, table, comparisons = [], [], []
    right = {"sft": 16, "rl": 16 + round(40 * gain)}
    for model, num_right in right.items():
        for k in range(40):
            problem = Problem(id=f"t{k}", question=HOSTILE if k == 0 else f"{k} + {k}", answer="4", source="toy",
                              split="test")  # fmt: skip
            correct = k < num_right
            verdict = Verdict(status="correct" if correct else "incorrect", prediction="4", reference="4")
            records.append(
                EvalRecord(model=model, task="toy", mode="tool", problem=problem, sample=-1, prompt="Q",
                           response=TRANSCRIPT, verdict=verdict, finish="stop", num_tokens=3)
            )  # fmt: skip
        share = num_right / 40
        table.append(
            {"model": model, "task": "toy", "mode": "tool", "num_problems": 40, "accuracy": share, "num_samples": 4,
             "accuracy_interval": [share - 0.15, share + 0.15], "unscored": 0, "truncated": 0.35, "unparsable": 0.0,
             "timeouts": 0.0, "used_tool": 1.0, "mean_tokens": 30.0, "maj_at_k": 0.4, "pass_at": {"1": 0.3, "4": 0.55},
             "by_split": {"test_numbers": {"num_problems": 30, "accuracy": 0.33}}, "by_level": {},
             "by_subject": {"sums": {"accuracy": 0.25}, "products": {"accuracy": 0.5}}}
        )  # fmt: skip
    low, high = gain - 0.075, gain + 0.075
    comparisons.append({"mode": "tool", "before": "sft", "after": "rl", "num_problems": 40, "difference": gain,
                        "interval": [low, high]})  # fmt: skip
    write_jsonl(stage.path / "records.jsonl", records)
    (stage.path / "table.json").write_text(json.dumps(table))
    stage.finish(
        outputs={},
        summary={"models": list(right), "num_samples": 4, "table": table, "comparisons": comparisons},
    )
