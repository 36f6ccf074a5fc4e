"""§2.2-2.3: continued pre-training and the comparison of corpora."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from mathwright.errors import MathwrightError
from mathwright.lm.checks import check_lowest, check_optimiser
from mathwright.lm.recipe import ModelRecipe, OptimiserRecipe
from mathwright.run.affects import ADDED, DISPLAY, GUARD, MEMORY, SPEED, Grows

START = "none"
"""The arm of a comparison that is not trained (Table 1: "No Math Training")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureRecipe:
    """A component of the training mixture."""

    name: str
    path: str
    """Folder of token shards; `run:corpus` is the corpus mined by this run; text:PATH are texts that are made into
    shards first: a file, a folder or a glob of Parquet, JSONL or plain text (their column `text`; text:PATH:COLUMN)."""
    weight: float = 0.0
    """Share of the tokens; those of all components should sum to one."""
    tokens: Annotated[int | None, ADDED] = None
    """Tokens to be read, in place of a weight: given for all components, their sum being num_tokens."""
    order: Annotated[str | None, ADDED] = None
    """By what its order is drawn: components of one word and size come in the same order; None: by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainRecipe:
    """A fixed token budget over a mixture."""

    mixture: tuple[MixtureRecipe, ...] = (MixtureRecipe(name="mined", path="run:corpus", weight=1.0),)
    """The corpus of the run alone, where nothing else is named."""
    num_tokens: Annotated[int, Grows(unless="optimiser.decay")] = 100_000_000
    """Tokens to be read; `num_epochs` goes before it (`--set pretrain.num_tokens=N` turns passes off)."""
    batch_tokens: int = 65_536
    """Tokens of an optimiser step: small enough that some million tokens are steps enough."""
    micro_batch_tokens: Annotated[int, MEMORY] = 8_192
    """Tokens of one forward and backward on one device; bounds the memory, changes nothing but rounding."""
    context: int = 2048
    """Tokens of a row; half of §2.2's 4,096, for models that are small."""
    optimiser: OptimiserRecipe = OptimiserRecipe(lr=5e-5, warmup_steps=10, decay=((0.8, 0.316), (0.9, 0.1)))
    """The paper's multi-step schedule (§2.2) at a rate that leaves a trained model what it knows."""
    heldout_tokens: int = 100_000
    """Held-out tokens on which bits per byte are measured before and after."""
    checkpoint_every: Annotated[int, SPEED] = 50
    """Steps between checkpoints."""
    num_epochs: Annotated[float | None, ADDED] = None
    """Passes over the mixture, in place of num_tokens."""
    attention: Annotated[Literal["concatenated", "document"] | None, ADDED] = None
    """What a token of a row sees: all that stands before it (the paper's plain concatenation, also None), or its own
    document alone."""
    num_points: Annotated[int, DISPLAY] = 0
    """Points of the training, evenly spaced, at which all measures are taken, the last at its end; 0 is before and
    after alone."""


def check(recipe: PretrainRecipe, *, alone: bool = False) -> None:
    """Raise MathwrightError for a recipe under which nothing would be trained; `alone`: its mixture comes later."""
    lowest = [
        ("num_tokens", 1), ("batch_tokens", 1), ("micro_batch_tokens", 1), ("context", 1), ("checkpoint_every", 0),
        ("num_points", 0),
    ]  # fmt: skip
    check_lowest("pretrain", recipe, lowest)
    check_optimiser("pretrain", recipe.optimiser)
    if recipe.num_epochs is not None and not 0 < recipe.num_epochs < math.inf:
        raise MathwrightError(
            f"pretrain.num_epochs is {recipe.num_epochs}", hint="it must be above 0: --set pretrain.num_epochs=1"
        )
    if not recipe.mixture and not alone:
        raise MathwrightError("pretrain.mixture is empty", hint="name a corpus: run:corpus, or a folder of shards")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRecipe:
    """Something that is compared: a mixture to train on, from the common start or from where another arm ends."""

    name: str
    mixture: tuple[MixtureRecipe, ...]
    """Its corpora and their shares, as in pre-training."""
    num_tokens: int | None = None
    """Tokens to be read; None is as many as the others (`training.num_tokens`)."""
    after: str = ""
    """An arm named before, whose model of the same seed and rate this one starts from: code first, then mathematics
    (§5.1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRecipe:
    """Table 1: the same model trained on each corpus alone for the same number of tokens."""

    model: ModelRecipe | None = None
    """The model that is trained; None for the run's own."""
    corpora: tuple[MixtureRecipe, ...] = ()
    """What is compared, each an arm of its own."""
    training: PretrainRecipe = PretrainRecipe(mixture=())
    """How each is trained on."""
    seeds: Annotated[tuple[int, ...] | None, ADDED] = None
    """Each corpus is trained on under each of these, which fix the order of its data; a verdict needs two at least.
    None: the run's seed alone."""
    rates: Annotated[tuple[float, ...] | None, ADDED] = None
    """Peak learning rates at which all of that is done: the order of corpora may depend on it. None: the training's."""
    targets: Annotated[tuple[str, ...] | None, ADDED] = None
    """JSONL files of problems with worked solutions, whose bits per byte are compared besides the held-out text's."""
    num_targets: Annotated[int | None, ADDED] = None
    """Problems of each file and of each of `choices`, drawn by the run's seed; None is all."""
    with_start: Annotated[bool | None, ADDED] = None
    """Whether the start model takes part as the arm `none` (Table 1: "No Math Training")."""
    arms: Annotated[tuple[ArmRecipe, ...], ADDED] = ()
    """More of what is compared: mixtures of corpora, and trainings one after another."""
    heal: Annotated[PretrainRecipe | None, ADDED] = None
    """A training of the start model before all else, on text that no arm has: any text mends a quantised or
    chat-tuned model, which must not count for the arms. What it gives is the common start, and the arm `none`."""
    choices: Annotated[tuple[str, ...] | None, ADDED] = None
    """Benchmarks with options (mmlu_stem, sat, aqua, ...) or files of such problems: the log-probability of the right
    option is compared."""
    own_heldout: Annotated[bool | None, ADDED] = None
    """Whether held-out text of each corpus is a measure too: the folder `heldout` beside its shards, as `mathwright
    corpus import --heldout-share` writes it."""
    tasks: Annotated[tuple[str, ...] | None, ADDED] = None
    """Benchmarks on which accuracy after worked examples is measured, as `mathwright eval` does: gsm8k, or gsm8k:pot
    and gsm8k:tool for programs. It is marked where it is at the floor."""
    num_task_problems: Annotated[int | None, ADDED] = None
    """Problems of each task, drawn by the run's seed; None is all."""
    task_tokens: Annotated[int | None, ADDED] = None
    """Longest answer to a task; None is 1,024 (§4.2)."""
    benchmark_data: Annotated[str, ADDED] = ""
    """Folder with the files of `choices` and `tasks`; "" for the Hugging Face hub."""
    contamination: Annotated[bool | None, ADDED] = None
    """Whether each arm's text is searched for the problems it is measured by; the table has what was found."""
    pilot_tokens: Annotated[int | None, ADDED] = None
    """Tokens of a pilot, each arm under two seeds, before the comparison is begun: it says which difference all seeds
    would show. None is no pilot."""
    stop_above: Annotated[float | None, ADDED, GUARD] = None
    """Stop after the pilot where, by the first measure, a difference of this size could not be shown."""
