"""Evaluation of the models of a run on its held-out problems (§2.3, §3.2): greedy, Maj@K, Pass@K."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mathwright.engines.local import LocalEngine
from mathwright.eval.collect import GREEDY, Work, collect, greedy, sample_seed
from mathwright.eval.recipe import EvalRecipe
from mathwright.eval.store import Key, Store, key_of
from mathwright.eval.table import compare_models, describe, tabulate
from mathwright.lm.load import load
from mathwright.problems.prompts import asked_mode, build_prompt
from mathwright.records import EvalRecord, Problem, SolutionFormat, write_jsonl
from mathwright.run import Stage


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

    Each sample is on disk when it is judged, so that an interrupted evaluation goes on with the next one. The i-th
    sample of a problem has the same seed for every model.
    """
    chosen = list(problems[: recipe.num_problems])
    stage.funnel(
        "problems",
        unit="problems",
        num_in=len(problems),
        num_out=len(chosen),
        dropped={"over num_problems": len(problems) - len(chosen)},
    )
    records: list[EvalRecord] = []
    for name, model in models.items():
        records += evaluate(recipe, stage, name, model, chosen, dtype=dtype, seed=seed, device=device)
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
    name: str,
    model: EvaluatedModel,
    problems: Sequence[Problem],
    *,
    dtype: str,
    seed: int,
    device: str,
) -> list[EvalRecord]:
    """One model in every mode: a greedy answer to each problem, and K samples to the first ones of them."""
    store = Store(stage.path / "samples" / name)
    store.mend()
    done = store.done()
    planned = _plan(recipe, problems)
    missing = [piece for piece in planned if piece.key not in done]
    if missing:
        lm = load(str(model.path), dtype=dtype, device=device)
        asked = {(piece.mode, piece.problem.id): piece for piece in missing}
        prompts = {
            place: build_prompt(piece.problem, piece.mode, template=model.template, tokenizer=lm.tokenizer)
            for place, piece in asked.items()
        }
        work = [
            Work(
                task=piece.key.task,
                prompt=prompts[piece.mode, piece.problem.id],
                sample=piece.key.sample,
                seed=seed if piece.key.sample == GREEDY else sample_seed(seed, piece.index, piece.key.sample),
                sampling=greedy(recipe.greedy_max_new_tokens) if piece.key.sample == GREEDY else recipe.sampling,
            )
            for piece in missing
        ]
        engine = LocalEngine(lm, max_batch=recipe.batch_size)
        with stage.progress(name, len(work)) as advance:
            collect(
                work,
                engine,
                store,
                model=name,
                max_tool_rounds=recipe.max_tool_rounds,
                on_record=lambda record: advance(1),
            )
        engine.close()
    kept = {key_of(record): record for record in store.records()}
    return [kept[piece.key] for piece in planned]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A sample that is planned."""

    key: Key
    index: int
    """Of the problem."""
    mode: SolutionFormat
    problem: Problem


def _plan(recipe: EvalRecipe, problems: Sequence[Problem]) -> list[_Piece]:
    """All samples, each once: a problem with tests is asked for a program whatever the modes are."""
    pieces: dict[Key, _Piece] = {}
    for mode in recipe.modes:
        for index, problem in enumerate(problems):
            num_samples = recipe.num_samples if index < recipe.num_sampled_problems else 0
            for sample in (GREEDY, *range(num_samples)):
                asked = asked_mode(problem, mode)
                key = Key(problem.source, asked, problem.id, sample)
                pieces.setdefault(key, _Piece(key=key, index=index, mode=asked, problem=problem))
    return list(pieces.values())
