"""Stage `model`: the language model that everything starts from, as a folder of this run."""

from __future__ import annotations

from collections.abc import Sequence

from mathwright.chain.checks import require_model, require_template
from mathwright.chain.context import Context
from mathwright.chain.spec import StageSpec
from mathwright.errors import MathwrightError
from mathwright.recipe import Recipe
from mathwright.run import Stage


def from_scratch(recipe: Recipe) -> bool:
    """Whether it is made here, its tokenizer from the problems."""
    return recipe.model.source == "scratch"


def reads(recipe: Recipe) -> Sequence[str]:
    return ("problems",) if from_scratch(recipe) else ()


def check(context: Context) -> None:
    recipe = context.recipe.model
    if recipe.source != "scratch":
        require_model(recipe.source, "model.source")
    elif recipe.scratch is None:
        raise MathwrightError("model.source is 'scratch' but model.scratch is missing", hint="give its sizes")
    else:
        require_template("template", context.recipe.template)


def run(context: Context, stage: Stage) -> None:
    from mathwright.lm.load import load
    from mathwright.lm.save import save
    from mathwright.lm.scratch import from_scratch as new_model
    from mathwright.problems.formats import response_text
    from mathwright.problems.own_template import set_system, set_thinking

    recipe = context.recipe.model
    if recipe.source == "scratch":
        assert recipe.scratch is not None, "check has seen to it"
        responses = [response_text(solution, context.recipe.template) for solution in context.solutions()]
        texts = [problem.question for problem in context.problems("train")] + responses
        lm = new_model(recipe.scratch, texts, max_length=recipe.max_length, seed=context.recipe.seed)
    else:
        lm = load(recipe.source, dtype=recipe.dtype)
    if context.recipe.system:
        set_system(lm.tokenizer, context.recipe.system)
    if context.recipe.enable_thinking is not None:
        set_thinking(lm.tokenizer, context.recipe.enable_thinking)
    save(lm, stage.path / "model")
    num_parameters = sum(p.numel() for p in lm.model.parameters())
    stage.say(f"{recipe.source}: {num_parameters / 1e6:.1f}M parameters")
    stage.finish(
        outputs={"model": stage.path / "model"},
        summary={"source": recipe.source, "num_parameters": num_parameters},
    )


def opens(recipe: Recipe) -> Sequence[tuple[str, str]]:
    return () if from_scratch(recipe) else ((recipe.model.source, "model.source"),)


MODEL = StageSpec(
    name="model", run=run, check=check, opens=opens, reads=reads, uses_template=from_scratch, parallel=True
)
