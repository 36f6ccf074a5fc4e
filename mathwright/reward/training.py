"""The outcome reward model (§4.1): judged responses of the SFT model, the pairwise logistic loss.

The paper trains its reward model from the base model at a rate of 2e-5 and gives neither head, loss nor epochs. Here it
starts from the model whose responses it ranks, which has read the format of the responses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.files import write_json
from mathwright.lm import checkpoint, heads, lora
from mathwright.lm.ending import stop_at
from mathwright.lm.load import load
from mathwright.lm.loop import CHECKPOINTS, Training, fit
from mathwright.lm.model import LanguageModel, RewardModel
from mathwright.lm.recipe import OptimiserRecipe
from mathwright.lm.save import save
from mathwright.problems.turns import turn
from mathwright.records import JudgedGroup, Problem, read_jsonl, write_jsonl
from mathwright.reward import judges
from mathwright.reward.evaluate import MODEL, evaluation, log_best_of_n, summary_of
from mathwright.reward.examples import Example, Group, examples_of, split_by_prompt, trainable
from mathwright.reward.judges import Scores
from mathwright.reward.layouts import read_files
from mathwright.reward.objective import RankingBatch, objective, pack_rankings
from mathwright.reward.rankings import sample_groups
from mathwright.reward.recipe import RewardRecipe, check
from mathwright.reward.scoring import keep_scale, score_groups
from mathwright.run import Stage

ADAPTER, SAMPLES, HELDOUT, RANKINGS = "adapter", "samples.jsonl", "heldout.jsonl", "rankings.jsonl"


def run(
    recipe: RewardRecipe,
    stage: Stage,
    *,
    model: str | Path,
    problems: Sequence[Problem],
    template: str,
    dtype: str,
    seed: int,
    device: str = "cpu",
) -> None:
    """Sample, judge, train and measure; outputs model, evaluation, samples, heldout and rankings.

    samples.jsonl and heldout.jsonl hold every judged group (`JudgedGroup`), those of equal verdicts too;
    evaluation.json what `evaluate.evaluation` finds on the held-out groups, and on each of the judged files.

    Args:
        recipe: sizes and loss.
        stage: where to write.
        model: the SFT model, which gives the responses and the first weights.
        problems: training problems with reference answers.
        template: prompt template, that of SFT.
        dtype: type of the weights.
        seed: of the choice of problems, the responses, the split, the head and the order.
        device: where the models live.

    Raises MathwrightError for a recipe, files or problems that give nothing to train on.
    """
    check(recipe)
    if not problems and recipe.num_problems:
        raise MathwrightError("there are no problems to sample on", hint="raise num_train of the problem sources")
    lm = load(model, dtype=dtype, device=device)
    end = turn(template, lm.tokenizer).end
    stop_at(lm, end)
    files = read_files(recipe.files, template=template, tokenizer=lm.tokenizer, stage=stage, fields=recipe.fields)
    judged_files = {
        path: read_files([path], template=template, tokenizer=lm.tokenizer, stage=stage) for path in recipe.judged_files
    }
    sampled = _sample(recipe, stage, lm, problems, template=template, seed=seed)
    from_files = split_by_prompt(files, recipe.heldout_share, seed)
    training, heldout = ([*ours, *theirs] for ours, theirs in zip(sampled, from_files, strict=True))
    examples = usable(recipe, lm, training)
    require_pairs(
        examples,
        "hardly a problem has both correct and wrong responses",
        hint="look at the counts above; raise reward.num_problems or reward.responses_per_problem, "
        "or choose problems the model solves sometimes",
    )
    on = {"heldout": heldout, **judged_files}
    # before the training, which changes the weights
    nothing_known = stage.once("judges", lambda _: _judges(recipe, lm, end, examples, on))
    reward_model = heads.from_language_model(lm, seed=seed, end=end)
    measured = {"heldout": usable(recipe, lm, heldout)}
    if recipe.lora is not None:
        lora.attach(reward_model, recipe.lora, seed=seed)
    _train(recipe, stage, reward_model, lm, examples, measured, seed)
    save(reward_model, stage.path / "model")
    if recipe.lora is not None:
        lora.save_adapter(reward_model, stage.path / ADAPTER, recipe.lora, base=model)
    keep_scale(recipe, reward_model, stage.path / "model", sampled[1] or heldout)
    found = {
        name: evaluation(groups, {MODEL: score_groups(recipe, reward_model, groups), **nothing_known[name]})
        for name, groups in on.items()
    }
    _finish(stage, examples, measured, found)
    checkpoint.leave(stage.path / CHECKPOINTS, recipe.optimiser, recipe.checkpoint_every)


def _finish(
    stage: Stage,
    examples: Sequence[Example],
    measured: Mapping[str, Sequence[Example]],
    found: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write what was found, and the manifest."""
    write_json(stage.path / "evaluation.json", found)
    log_best_of_n(stage, found["heldout"])
    outputs = {
        "model": stage.path / "model",
        "evaluation": stage.path / "evaluation.json",
        "samples": stage.path / SAMPLES,
        "heldout": stage.path / HELDOUT,
        "rankings": stage.path / "sampling" / RANKINGS,
        "adapter": stage.path / ADAPTER,
    }
    stage.finish(
        outputs={name: path for name, path in outputs.items() if path.exists()},
        summary={
            "num_rankings": sum(e.num_pairs > 0 for e in examples),
            "num_pairs": sum(e.num_pairs for e in examples),
            **accuracies(stage, measured),
            **summary_of(found["heldout"]),
        },
    )


def _judges(
    recipe: RewardRecipe, lm: LanguageModel, end: int, examples: Sequence[Example], on: Mapping[str, Sequence[Group]]
) -> dict[str, dict[str, Scores]]:
    """What each of the judges that know nothing gives the responses of each set of groups."""
    sign = judges.length_sign(examples)
    return {
        name: {
            "length": judges.by_length(groups, sign),
            "logprob": judges.mean_logprobs(lm, groups, end=end, micro_batch_tokens=recipe.micro_batch_tokens),
            "answer": judges.by_answer(groups),
        }
        for name, groups in on.items()
    }


# --- data -----------------------------------------------------------------------------------------


def _sample(
    recipe: RewardRecipe, stage: Stage, lm: LanguageModel, problems: Sequence[Problem], *, template: str, seed: int
) -> tuple[list[JudgedGroup], list[JudgedGroup]]:
    """Judged groups to train on and to hold out, drawn once."""
    if not recipe.num_problems:
        return [], []

    def sample(folder: Path) -> int:
        training, heldout = sample_groups(recipe, stage, lm, problems, template=template, seed=seed)
        write_jsonl(stage.path / SAMPLES, training)
        write_jsonl(stage.path / HELDOUT, heldout)
        examples, _ = examples_of([*training, *heldout], lm, leave_out_truncated=recipe.truncation_reward is not None)
        return write_jsonl(folder / RANKINGS, [e.as_ranking() for e in examples if e.num_pairs])

    stage.once("sampling", sample)
    training, heldout = (list(read_jsonl(stage.path / name, JudgedGroup)) for name in (SAMPLES, HELDOUT))
    return training, heldout


def usable(recipe: RewardRecipe, lm: LanguageModel, groups: Sequence[Group]) -> list[Example]:
    """What of some groups the recipe's loss learns from."""
    examples, _ = examples_of(groups, lm, leave_out_truncated=recipe.truncation_reward is not None)
    return trainable(recipe, examples)


def require_pairs(examples: Sequence[Example], what: str, hint: str) -> None:
    """Raise MathwrightError where there is not one pair to train on."""
    num_rankings = sum(e.num_pairs > 0 for e in examples)
    if not num_rankings:
        raise MathwrightError(f"{num_rankings} rankings are too few to train on: {what}", hint=hint)


# --- training -------------------------------------------------------------------------------------


def _train(
    recipe: RewardRecipe,
    stage: Stage,
    reward_model: RewardModel,
    lm: LanguageModel,
    examples: Sequence[Example],
    measured: Mapping[str, Sequence[Example]],
    seed: int,
) -> None:
    """All epochs, each in an order of its own."""
    per_epoch = math.ceil(len(examples) / recipe.batch_rankings)

    def chosen(step: int) -> list[Example]:
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng((seed, epoch)).permutation(len(examples))
        return [examples[i] for i in order[place * recipe.batch_rankings : (place + 1) * recipe.batch_rankings]]

    fit_reward_model(
        recipe,
        stage,
        reward_model,
        optimiser=recipe.optimiser,
        num_steps=per_epoch * recipe.num_epochs,
        chosen=chosen,
        measured=measured,
        lm=lm,
    )


def fit_reward_model(
    recipe: RewardRecipe,
    stage: Stage,
    reward_model: RewardModel,
    *,
    optimiser: OptimiserRecipe,
    num_steps: int,
    chosen: Callable[[int], Sequence[Example]],
    measured: Mapping[str, Sequence[Example]],
    lm: LanguageModel | None = None,
) -> None:
    """Train a reward model in place; metrics hold loss and pair accuracy of each of `measured`, before and after.

    `chosen` gives the examples of a step (from 0), as a pure function of it; lm is the model that the reward model
    began as, for `language_weight`.
    """

    def batches(step: int) -> list[RankingBatch]:
        return pack_rankings(reward_model, chosen(step), recipe.micro_batch_tokens)

    def loss(trained: LanguageModel, micro: RankingBatch) -> tuple[Tensor, dict[str, float]]:
        return objective(recipe, trained, micro, lm)

    def evaluate(_: int) -> dict[str, float]:
        values: dict[str, float] = {}
        for name, examples in measured.items():
            packed = pack_rankings(reward_model, examples, recipe.micro_batch_tokens)
            parts = [loss(reward_model, micro) for micro in packed]
            if parts:
                values[f"{name}_loss"] = sum(value.item() for value, _ in parts)
                values[f"{name}_accuracy"] = sum(stats["accuracy"] for _, stats in parts)
        return values

    fit(
        reward_model,
        stage,
        Training(
            optimiser=optimiser,
            num_steps=num_steps,
            batches=batches,
            loss=loss,
            checkpoint_every=recipe.checkpoint_every,
            evaluate=evaluate if any(measured.values()) else None,
            description="training the reward model",
        ),
    )


def accuracies(stage: Stage, measured: Mapping[str, Sequence[Example]]) -> dict[str, Any]:
    """Pair accuracy of each of `measured` before and after the training, with its numbers of rankings and pairs."""
    evaluated = [m for m in stage.metrics() if m.get("kind") == "eval"]
    summary: dict[str, Any] = {}
    for name, examples in measured.items():
        compared = [e.num_pairs for e in examples if e.num_pairs]
        summary |= {f"num_{name}": len(compared), f"num_{name}_pairs": sum(compared)}
        if compared:
            summary[f"{name}_accuracy_before"] = evaluated[0][f"{name}_accuracy"]
            summary[f"{name}_accuracy_after"] = evaluated[-1][f"{name}_accuracy"]
    return summary
