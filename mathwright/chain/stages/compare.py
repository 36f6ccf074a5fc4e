"""Stage `compare` (§2.2): the same model trained on each corpus alone, or on each of several mixtures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mathwright.chain.checks import require_model, require_shards
from mathwright.chain.context import Context
from mathwright.chain.plan import Plan, rates, training_bytes, training_seconds
from mathwright.chain.spec import StageSpec
from mathwright.chain.texts import heldout_beside, is_text, shards_of, texts_mark
from mathwright.errors import MathwrightError
from mathwright.files import content_mark
from mathwright.pretrain.comparison import (
    arms,
    check_comparison,
    components,
    measure_names,
    pilot,
    task_and_mode,
    trainings,
)
from mathwright.pretrain.recipe import CompareRecipe, MixtureRecipe
from mathwright.recipe import Recipe
from mathwright.run import Stage


def reads(recipe: Recipe) -> Sequence[str]:
    return ("corpus",) if recipe.corpus is not None else ()


def models(recipe: Recipe) -> Sequence[str]:
    return ("model",)


def contents(recipe: Recipe) -> Mapping[str, str]:
    part = recipe.compare
    assert part is not None
    texts = [component.path for component in components(part).values() if is_text(component.path)]
    return {path: texts_mark(path) for path in texts} | {
        path: content_mark([Path(path)]) for path in part.targets or () if Path(path).is_file()
    }


def check(context: Context) -> None:
    from mathwright.pretrain.targets import read_targets

    recipe = context.recipe.compare
    assert recipe is not None
    check_comparison(recipe)
    measure_names(recipe)
    for path in recipe.targets or ():
        read_targets(Path(path), limit=1)
    _check_benchmarks(recipe)
    require_shards(context, [component.path for component in components(recipe).values()])
    _check_heldout(context, recipe)
    if recipe.model is not None:
        require_model(recipe.model.source, "compare.model.source")


def _measures_own(context: Context, recipe: CompareRecipe) -> bool:
    """Whether held-out text of the corpora is a measure: where the recipe says so, or has nothing else."""
    if recipe.own_heldout is not None:
        return recipe.own_heldout
    return context.recipe.corpus is None and not (recipe.targets or recipe.choices)


def _own_corpora(recipe: CompareRecipe) -> list[MixtureRecipe]:
    """The corpora of the arms whose held-out text is a measure of its own; that of the run's corpus is one anyway."""
    found = {component.path: component for arm in arms(recipe) for component in arm.mixture}
    return [component for component in found.values() if component.path != "run:corpus"]


def _check_heldout(context: Context, recipe: CompareRecipe) -> None:
    """Raise MathwrightError where a corpus whose held-out text is a measure has none."""
    if not _measures_own(context, recipe):
        return
    for component in _own_corpora(recipe):
        if not is_text(component.path) and heldout_beside(Path(component.path)) is None:
            raise MathwrightError(
                f"no held-out text beside {component.path} to measure by",
                hint="import the corpus with --heldout-share 0.01, or measure by worked solutions: compare.targets",
            )


def _check_benchmarks(recipe: CompareRecipe) -> None:
    """Raise MathwrightError for a benchmark that is unknown, or whose file is not in the folder."""
    from mathwright.eval.tasks import find_task
    from mathwright.problems.benchmarks import load_benchmark

    tasks = [find_task(task_and_mode(task)[0]) for task in recipe.tasks or ()]
    if recipe.benchmark_data:  # the hub is asked when the time comes
        for name in dict.fromkeys([*(recipe.choices or ()), *(task.source or task.name for task in tasks)]):
            load_benchmark(name, recipe.benchmark_data)


def plan(recipe: Recipe, num_gpus: int) -> Plan:
    part = recipe.compare
    assert part is not None
    training, num_arms = part.training, len(arms(part))
    todo = trainings(part, recipe.seed)
    paid = [*pilot(part, recipe.seed), *todo]
    steps = sum(one.num_tokens // training.batch_tokens for one in paid)
    healing = part.heal.num_tokens // part.heal.batch_tokens * part.heal.batch_tokens if part.heal is not None else 0
    num_tokens = steps * training.batch_tokens + healing
    model = part.model or recipe.model
    of_one = training.num_tokens // training.batch_tokens
    return Plan(
        reads=tuple(f"{c.name}: {c.path}" for c in components(part).values()),
        writes=tuple(f"compare/{t.name}/model" for t in todo),
        num_steps=steps,
        num_tokens=num_tokens,
        memory_bytes=training_bytes(model, num_gpus=num_gpus, micro_batch_tokens=training.micro_batch_tokens),
        seconds=training_seconds(model, num_gpus=num_gpus, trained=num_tokens),
        notes=(
            f"{num_arms} {'arms' if any(arm.after for arm in part.arms) else 'corpora'}, {of_one:,} steps each"
            + (f", {len(todo) // num_arms} times (seeds and rates)" if len(todo) > num_arms else ""),
            rates(training.optimiser, of_one),
        ),
    )


def run(context: Context, stage: Stage) -> None:
    from mathwright.chain.compare import run

    part = context.recipe.compare
    assert part is not None, "check has seen to it"
    model = part.model.source if part.model else context.start_model("compare")
    corpora = context.shards((c.name, c.path) for c in components(part).values() if not is_text(c.path))
    heldout: dict[str, Path | None] = {name: heldout_beside(path) for name, path in corpora.items()}
    for component in components(part).values():
        if is_text(component.path):
            corpora[component.name], heldout[component.name] = shards_of(
                component, stage, tokenizer=model, seed=context.recipe.seed
            )
    own = {component.name: heldout[component.name] for component in _own_corpora(part)}
    run(
        part,
        stage,
        model=model,
        corpora=corpora,
        heldout=context.heldout(),
        dtype=context.recipe.model.dtype,
        seed=context.recipe.seed,
        device=context.device,
        own_heldout={name: path for name, path in own.items() if path and _measures_own(context, part)},
    )


COMPARE = StageSpec(
    name="compare",
    about="§2.2 Train the same model on several corpora and compare.",
    run=run,
    check=check,
    plan=plan,
    reads=reads,
    contents=contents,
    models=models,
    takes_shards=True,
    keeps_checkpoints=True,
    parallel=True,
)
