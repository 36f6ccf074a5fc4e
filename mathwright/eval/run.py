"""Evaluation of several models on one set of problems (§2.3, §3.2): greedy, Maj@K, Pass@K, with and without tools."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathwright.answers import check_answer, check_response, extract_answer
from mathwright.eval.metrics import majority_answer, mean_interval, paired_difference, pass_at_k, wilson_interval
from mathwright.eval.recipe import EvalRecipe
from mathwright.lm.generate import Generator
from mathwright.lm.load import LanguageModel, load
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.tokenise import encode
from mathwright.problems.templates import prompt_text
from mathwright.records import Completion, EvalRecord, Problem, SolutionFormat, Verdict, read_jsonl, write_jsonl
from mathwright.run import Stage
from mathwright.tools.loop import PythonTool, program_answer
from mathwright.tools.sandbox import Sandbox

GREEDY = -1
"""`EvalRecord.sample` of the greedy answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedModel:
    """A model to evaluate and the prompt template it was trained with."""

    path: str | Path
    template: str


def run(
    recipe: EvalRecipe,
    stage: Stage,
    *,
    models: Mapping[str, EvaluatedModel],
    problems: Sequence[Problem],
    dtype: str,
    seed: int,
    device: str = "cpu",
) -> None:
    """Evaluate every model in every mode on the same problems; writes records and the table, finishes the stage.

    Each (model, mode) is kept on disk when it is done, so that an interrupted evaluation goes on with the next one.
    The i-th sample of a problem has the same seed for every model.
    """
    chosen = list(problems[: recipe.num_problems])
    stage.funnel(
        "problems",
        unit="problems",
        num_in=len(problems),
        num_out=len(chosen),
        dropped={"over num_problems": len(problems) - len(chosen)},
    )
    parts: list[Path] = []
    for name, model in models.items():
        loaded: LanguageModel | None = None
        for mode in recipe.modes:
            part = stage.path / "records" / f"{name}-{mode}.jsonl"
            parts.append(part)
            if part.is_file():
                continue
            loaded = loaded or load(str(model.path), dtype=dtype, device=device)
            records = evaluate(recipe, stage, loaded, name, model.template, mode, chosen, seed)
            write_jsonl(part, records)
    records = [record for part in parts for record in read_jsonl(part, EvalRecord)]
    write_jsonl(stage.path / "records.jsonl", records)
    table = tabulate(records, recipe.num_samples)
    comparisons = compare_models(records, list(models))
    (stage.path / "table.json").write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    for row in table:
        stage.say(describe(row))
    stage.finish(
        outputs={"records": stage.path / "records.jsonl", "table": stage.path / "table.json"},
        summary={"models": list(models), "table": table, "comparisons": comparisons, "num_samples": recipe.num_samples},
    )


def evaluate(
    recipe: EvalRecipe,
    stage: Stage,
    lm: LanguageModel,
    name: str,
    template: str,
    mode: SolutionFormat,
    problems: Sequence[Problem],
    seed: int,
) -> list[EvalRecord]:
    """One model in one mode: a greedy answer to each problem, and K samples to the first ones of them."""
    greedy = SamplingRecipe(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=recipe.greedy_max_new_tokens)
    sampled = problems[: recipe.num_sampled_problems] if recipe.num_samples else []
    prompts = [prompt_text(problem, mode, template, lm.tokenizer) for problem in problems]
    tokens = [encode(lm.tokenizer, prompt) for prompt in prompts]
    records: list[EvalRecord] = []
    with Sandbox() if mode != "cot" else nullcontext() as sandbox:
        generator = Generator(lm, max_batch=recipe.batch_size)
        total = len(problems) + len(sampled) * recipe.num_samples
        with stage.progress(f"{name}, {mode}", total) as advance:
            rounds: list[tuple[SamplingRecipe, Sequence[Problem], list[list[int]]]] = [
                (greedy, problems, [[seed] for _ in problems]),
                (recipe.sampling, sampled, [_seeds(seed, i, recipe.num_samples) for i in range(len(sampled))]),
            ]
            for sampling, asked, seeds in rounds:
                if not asked:
                    continue
                completions = generator.generate(
                    tokens[: len(asked)],
                    sampling,
                    seeds=seeds,
                    tool=PythonTool(sandbox) if mode == "tool" and sandbox is not None else None,
                    max_tool_rounds=recipe.max_tool_rounds if mode == "tool" else 0,
                    on_finished=advance,
                )
                first = GREEDY if sampling is greedy else 0
                for problem, prompt, answers in zip(asked, prompts, completions, strict=False):
                    for index, completion in enumerate(answers):
                        records.append(
                            EvalRecord(
                                model=name,
                                task=problem.source,
                                mode=mode,
                                problem=problem,
                                sample=first + index,
                                prompt=prompt,
                                response=completion.text,
                                verdict=judge(completion, problem, mode, sandbox),
                                finish=completion.finish,
                                num_tokens=len(completion.tokens),
                                num_tool_calls=completion.num_tool_calls,
                            )
                        )
    return records


def _seeds(seed: int, problem_index: int, num_samples: int) -> list[int]:
    return [(seed + 1) * 1_000_003 + problem_index * 1_009 + k for k in range(num_samples)]


def judge(completion: Completion, problem: Problem, mode: SolutionFormat, sandbox: Sandbox | None) -> Verdict:
    """The verdict on a response: on its final answer, or in pot mode on the last line its program prints."""
    if mode != "pot" or sandbox is None:
        return check_response(completion.text, problem.answer)
    code = PythonTool(sandbox).pending(completion.text.rstrip("\n") + "\n")
    printed = program_answer(sandbox.run(code, timeout_s=5)) if code is not None else None
    return check_answer(printed or "", problem.answer)


def answer_of(record: EvalRecord) -> str | None:
    """The answer for Maj@K, None where none was found."""
    if record.verdict.status == "unparsable_prediction":
        return None
    return record.verdict.prediction or extract_answer(record.response)


# --- the table ------------------------------------------------------------------------------------


def tabulate(records: Sequence[EvalRecord], num_samples: int) -> list[dict[str, Any]]:
    """A row for each model and mode: shares between 0 and 1, each with its 95% interval."""
    rows: list[dict[str, Any]] = []
    keys = list(dict.fromkeys((record.model, record.mode) for record in records))
    for model, mode in keys:
        mine = [r for r in records if (r.model, r.mode) == (model, mode) and r.verdict.scored]
        greedy = [r for r in mine if r.sample == GREEDY]
        right = sum(r.verdict.correct for r in greedy)
        row: dict[str, Any] = {
            "model": model,
            "mode": mode,
            "num_problems": len(greedy),
            "accuracy": right / len(greedy) if greedy else 0.0,
            "accuracy_interval": wilson_interval(right, len(greedy)),
            "unscored": sum((r.model, r.mode) == (model, mode) and not r.verdict.scored for r in records),
            "truncated": _share(greedy, lambda r: r.finish == "length"),
            "unparsable": _share(greedy, lambda r: r.verdict.status == "unparsable_prediction"),
            "timeouts": _share(greedy, lambda r: r.verdict.status == "timeout"),
            "used_tool": _share(greedy, lambda r: r.num_tool_calls > 0),
            "mean_tokens": sum(r.num_tokens for r in greedy) / max(1, len(greedy)),
            "by_split": _accuracy_by(greedy, lambda r: r.problem.split),
            "by_subject": _accuracy_by(greedy, lambda r: r.problem.subject),
        }
        row.update(_sampled_figures([r for r in mine if r.sample != GREEDY], num_samples))
        rows.append(row)
    return rows


def _sampled_figures(samples: Sequence[EvalRecord], num_samples: int) -> dict[str, Any]:
    by_problem: dict[str, list[EvalRecord]] = {}
    for record in samples:
        by_problem.setdefault(record.problem.id, []).append(record)
    if not by_problem:
        return {}
    majority: list[bool] = []
    passed: dict[int, list[float]] = {k: [] for k in _powers_of_two(num_samples)}
    for answers in by_problem.values():
        index = majority_answer([answer_of(a) for a in answers], lambda a, b: check_answer(a, b).correct)
        majority.append(index is not None and answers[index].verdict.correct)
        for k, values in passed.items():
            values.append(pass_at_k(len(answers), sum(a.verdict.correct for a in answers), min(k, len(answers))))
    return {
        "num_sampled_problems": len(majority),
        "maj_at_k": sum(majority) / len(majority),
        "maj_at_k_interval": wilson_interval(sum(majority), len(majority)),
        "pass_at": {str(k): sum(v) / len(v) for k, v in passed.items()},
        "pass_at_interval": {str(k): mean_interval(v) for k, v in passed.items()},
    }


def _powers_of_two(largest: int) -> list[int]:
    return sorted({largest, *(2**i for i in range(largest.bit_length()) if 2**i <= largest)})


def _share(records: Sequence[EvalRecord], holds: Any) -> float:
    return sum(bool(holds(r)) for r in records) / max(1, len(records))


def _accuracy_by(records: Sequence[EvalRecord], key: Any) -> dict[str, dict[str, float]]:
    groups: dict[str, list[EvalRecord]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return {
        name: {"num_problems": len(group), "accuracy": _share(group, lambda r: r.verdict.correct)}
        for name, group in sorted(groups.items())
    }


def compare_models(records: Sequence[EvalRecord], models: Sequence[str]) -> list[dict[str, Any]]:
    """Each model against the one before it and the first against the last, greedy, on the same problems, per mode."""
    pairs = list(dict.fromkeys([*itertools.pairwise(models), (models[0], models[-1])])) if models else []
    verdicts: dict[tuple[str, str], dict[str, bool]] = {}
    for r in records:
        if r.sample == GREEDY and r.verdict.scored:
            verdicts.setdefault((r.model, r.mode), {})[r.problem.id] = r.verdict.correct
    rows = []
    for mode in dict.fromkeys(mode for _, mode in verdicts):
        for before, after in pairs:
            first, second = verdicts.get((before, mode), {}), verdicts.get((after, mode), {})
            shared = [problem for problem in first if problem in second]
            if before == after or not shared:
                continue
            difference, interval = paired_difference([first[p] for p in shared], [second[p] for p in shared])
            rows.append(
                {
                    "mode": mode,
                    "before": before,
                    "after": after,
                    "num_problems": len(shared),
                    "difference": difference,
                    "interval": interval,
                }
            )
    return rows


def describe(row: Mapping[str, Any]) -> str:
    """A row of the table as one line of log."""
    low, high = row["accuracy_interval"]
    text = f"{row['model']}, {row['mode']}: accuracy {row['accuracy']:.1%} ({low:.1%} to {high:.1%})"
    if "maj_at_k" in row:
        largest = max(row["pass_at"], key=int)
        text += f", Maj@{largest} {row['maj_at_k']:.1%}, Pass@{largest} {row['pass_at'][largest]:.1%}"
    return text + f", truncated {row['truncated']:.1%}, no answer {row['unparsable']:.1%}"
