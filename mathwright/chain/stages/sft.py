"""Stage `sft` (§3): fine-tuning on worked solutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mathwright.chain.checks import require_template
from mathwright.chain.context import Context
from mathwright.chain.plan import Plan, rates, training_bytes, training_seconds
from mathwright.chain.provenance import local
from mathwright.chain.spec import StageSpec
from mathwright.recipe import Recipe
from mathwright.records import Problem, Solution
from mathwright.run import Stage
from mathwright.sft.folder import folder_mark, gather, require_folder
from mathwright.sft.recipe import check as check_sft


def reads(recipe: Recipe) -> Sequence[str]:
    return ("problems",)


def models(recipe: Recipe) -> Sequence[str]:
    return ("pretrain",) if recipe.pretrain is not None else ("model",)


def check(context: Context) -> None:
    assert context.recipe.sft is not None
    require_template("template", context.recipe.template)
    check_sft(context.recipe.sft)
    for folder in context.recipe.sft.solutions or ():
        require_folder(local(folder))


def plan(recipe: Recipe, num_gpus: int) -> Plan:
    part = recipe.sft
    assert part is not None
    passes = part.num_epochs is not None
    tokens = part.num_steps * part.batch_rows * part.context
    return Plan(
        reads=(f"{models(recipe)[0]}/model", "problems/solutions.jsonl", *(part.solutions or ())),
        writes=("sft/model", "sft/checkpoints"),
        num_steps=0 if passes else part.num_steps,
        num_tokens=0 if passes else tokens,
        memory_bytes=training_bytes(recipe.model, num_gpus=num_gpus, micro_batch_tokens=part.context, lora=part.lora),
        seconds=None if passes else training_seconds(recipe.model, num_gpus=num_gpus, trained=tokens),
        notes=(
            f"{part.batch_rows} rows of {part.context:,} tokens a step",
            *((f"steps are those of {part.num_epochs:g} passes, known once the data is read",) if passes else ()),
            rates(part.optimiser, 0 if passes else part.num_steps),
        ),
    )


def run(context: Context, stage: Stage) -> None:
    from mathwright.sft.training import run

    assert context.recipe.sft is not None
    problems, solutions = _solutions(context, stage)
    run(
        context.recipe.sft,
        stage,
        model=context.start_model("sft"),
        problems=problems,
        solutions=solutions,
        template=context.recipe.template,
        dtype=context.recipe.model.dtype,
        seed=context.recipe.seed,
        device=context.device,
    )


def _solutions(context: Context, stage: Stage) -> tuple[list[Problem], list[Solution]]:
    """Problems and solutions of the problem sources, and of the folders that the recipe names."""
    problems, solutions = context.problems("train"), context.solutions()
    assert context.recipe.sft is not None
    if not context.recipe.sft.solutions:
        return problems, solutions
    folders = [local(folder) for folder in context.recipe.sft.solutions]
    found = gather(folders, test=context.problems("test"), first=(problems, solutions))
    num = len(found.solutions)
    lost = {name: n for name, n in found.dropped.items() if "solution" in name}
    stage.funnel("solutions", unit="solutions", num_in=num + sum(lost.values()), num_out=num, dropped=lost)
    return found.problems, found.solutions


def contents(recipe: Recipe) -> Mapping[str, str]:
    assert recipe.sft is not None
    return {folder: folder_mark(local(folder)) for folder in recipe.sft.solutions or ()}


SFT = StageSpec(
    name="sft",
    about="§3 Fine-tune on worked solutions: chain of thought, program of thought, tool-integrated.",
    run=run,
    check=check,
    plan=plan,
    reads=reads,
    contents=contents,
    models=models,
    uses_template=lambda recipe: True,
    asks=True,
    keeps_checkpoints=True,
    parallel=True,
)
