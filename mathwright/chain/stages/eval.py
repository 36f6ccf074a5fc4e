"""Stage `eval`: the models of the run on its test problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mathwright.chain.checks import require_template
from mathwright.chain.context import Context
from mathwright.chain.plan import Plan, num_parameters
from mathwright.chain.spec import StageSpec
from mathwright.lm.shapes import shape_of
from mathwright.problems.templates import TEMPLATES
from mathwright.recipe import Recipe
from mathwright.run import Stage

if TYPE_CHECKING:
    from mathwright.eval.run import EvaluatedModel

ABOUT = """\
§2.3, §3.2 Measure a model on benchmarks, or the models of a run: accuracy, Maj@K, Pass@K, with or without tools.

With --tasks the first argument is a model: `mathwright eval MODEL --tasks gsm8k,math --mode cot,tool --samples 16`.
Finished samples are kept: the same command resumes where it was stopped."""


def reads(recipe: Recipe) -> Sequence[str]:
    return ("problems",)


def models(recipe: Recipe) -> Sequence[str]:
    return ("model", *(name for name in ("pretrain", "sft", "rl") if getattr(recipe, name) is not None))


def check(context: Context) -> None:
    assert context.recipe.eval is not None
    require_template("template", context.recipe.template)
    require_template("eval.start_template", context.recipe.eval.start_template, (*TEMPLATES, "plain"))


def plan(recipe: Recipe, num_gpus: int) -> Plan:
    part = recipe.eval
    assert part is not None
    shape, tied = shape_of(recipe.model)
    answers = part.num_problems + part.num_sampled_problems * part.num_samples
    return Plan(
        reads=("each stage's model", "problems/test.jsonl"),
        writes=("eval/records.jsonl", "eval/table.json"),
        num_steps=0,
        num_tokens=answers * len(part.modes) * part.greedy_max_new_tokens,
        memory_bytes=None if shape is None else 2 * num_parameters(shape, tied=tied),
        notes=(f"{answers:,} answers a model and mode, modes {', '.join(part.modes)}; weights only",),
    )


def run(context: Context, stage: Stage) -> None:
    from mathwright.eval.run import run

    part = context.recipe.eval
    assert part is not None
    run(
        part,
        stage,
        models=_evaluated(context, part.start_template),
        problems=context.problems("test"),
        dtype=context.recipe.model.dtype,
        seed=context.recipe.seed,
        device=context.device,
    )


def _evaluated(context: Context, start_template: str) -> dict[str, EvaluatedModel]:
    """The model that fine-tuning starts from, asked in the template of start models, and those trained in our own."""
    from mathwright.eval.run import EvaluatedModel

    template = context.recipe.template
    if context.made_from.given_model("eval") is not None:
        return {"model": EvaluatedModel(path=context.made_from.start("eval"), template=template)}
    names = models(context.recipe)
    start = [name for name in names if name in ("model", "pretrain")][-1]
    templates = {start: start_template} | {name: template for name in names if name in ("sft", "rl")}
    return {
        name: EvaluatedModel(path=context.output(name, "model"), template=template)
        for name, template in templates.items()
    }


EVAL = StageSpec(
    name="eval",
    about=ABOUT,
    run=run,
    check=check,
    plan=plan,
    reads=reads,
    models=models,
    uses_template=lambda recipe: True,
    asks=True,
)
