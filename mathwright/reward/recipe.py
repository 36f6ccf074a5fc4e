"""§4.1: the reward model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from mathwright.errors import MathwrightError
from mathwright.lm.checks import check_lora, check_lowest, check_optimiser
from mathwright.lm.recipe import LoraRecipe, OptimiserRecipe, SamplingRecipe
from mathwright.problems.steps import StepRule
from mathwright.records import SolutionFormat
from mathwright.run.affects import ADDED, MEMORY, SPEED, Grows


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecipe:
    """A process reward model (§4.1.3): the steps of samples of the SFT model, labelled, and a score for each."""

    responses_per_problem: int = 2
    """Responses to each of `reward.num_problems` whose steps are labelled."""
    steps: str = "line"
    """What is taken for a step: line, paragraph, step ("Step 3: ..."), sentence, or `module:name` of a function of the
    text of a response to the ends of its steps as character offsets (`problems.steps`)."""
    max_steps: int = 64
    """Steps of a response; what follows belongs to the last of them."""
    labels: Literal["hard", "soft", "rule"] = "hard"
    """hard: 1 where any completion of the response up to the step reaches the right answer; soft: the share of
    completions that do (Math-Shepherd); rule: whether the arithmetic on the step holds, without any completion."""
    num_completions: int = 8
    """N: completions from the end of each step."""
    completions_per_wave: int = 2
    """Completions drawn before it is looked whether one was right, where the first hit is enough."""
    early_stop: bool | None = None
    """Draw no more completions of a step after the first right one: enough for hard labels, too few for soft ones.
    None: for hard labels."""
    binary_search: bool = False
    """Look for the first wrong step by halves (OmegaPRM): about log2 S steps are completed, not all up to it."""
    batch_responses: int = 32
    """Responses of an update."""
    files: tuple[str, ...] = ()
    """Published step labels to train on besides the samples (docs/process_rewards.md has their layouts); with
    reward.num_problems=0 on them alone."""
    neutral: Literal["right", "wrong", "unlabelled"] = "right"
    """What PRM800K's neutral steps count as. Its authors count them right, TRL wrong."""

    @property
    def stops_early(self) -> bool:
        """Whether a step is done with at its first hit."""
        return self.labels == "hard" if self.early_stop is None else self.early_stop


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardRecipe:
    """Reward models: of outcomes, trained on judged samples of the SFT model, and of steps."""

    num_problems: int = 1000
    """Training problems sampled for rankings; 0 trains on `files` alone."""
    responses_per_problem: int = 8
    """Enough that most problems have right and wrong ones."""
    mode: Annotated[SolutionFormat, ADDED] = "cot"
    """How the outcome model's problems are asked: as `rl.mode` says where its score is to be the reward of RL. In mode
    tool the programs of the responses run, and what they print is part of what is judged."""
    max_tool_rounds: Annotated[int, ADDED] = 3
    """Programs that a response of mode tool may run."""
    sampling: SamplingRecipe = SamplingRecipe()
    num_epochs: Annotated[int, Grows(unless="optimiser.decay")] = 1
    """Reward models overfit in a second pass."""
    batch_rankings: int = 16
    """Prompts of a step, each with all its responses."""
    micro_batch_tokens: Annotated[int, MEMORY] = 8_192
    """Tokens of one forward and backward; bounds the memory, changes nothing but rounding."""
    heldout_share: float = 0.1
    """Share of the problems kept out to measure how often the better response scores higher."""
    optimiser: OptimiserRecipe = OptimiserRecipe(lr=2e-5, warmup_steps=10)
    """§4.2's rate."""
    checkpoint_every: Annotated[int, SPEED] = 50
    """Steps between checkpoints."""
    generation_batch: Annotated[int, MEMORY] = 64
    """Responses generated at one time; bounds the memory, changes nothing but rounding."""
    heldout_responses: Annotated[int, ADDED] = 0
    """Responses to each problem kept out: the N up to which best-of-N is measured; 0 is responses_per_problem."""
    loss: Annotated[Literal["ranking", "plackett_luce"], ADDED] = "ranking"
    """ranking: the mean over pairs (`losses.ranking_loss`); plackett_luce: a right response against all wrong ones at
    once (`losses.plackett_luce_loss`)."""
    margin: Annotated[float, ADDED] = 0.0
    """By how much the better of two neighbouring ranks is to score higher under loss ranking."""
    pointwise_weight: Annotated[float, ADDED] = 0.0
    """Weight of the cross-entropy of sigma(score) with the verdict; above 0, problems whose responses are all right or
    all wrong are trained on too."""
    token_weight: Annotated[float, ADDED] = 0.0
    """Weight of the same cross-entropy at every token of a response (`losses.token_loss`), in a process model of the
    label of the step that a token belongs to; from it a small model learns several times as fast as from the end alone
    (docs/reward.md)."""
    language_weight: Annotated[float, ADDED] = 0.0
    """Weight of the cross-entropy of the next token on right responses (`losses.language_loss`), in a process model on
    those whose labels are all right, which keeps and extends what the model knows. Only of the first training: a reward
    model that Algorithm 1 trains further has no output layer."""
    centring: Annotated[float, ADDED] = 0.0
    """Weight of the mean square of the scores, which keeps their level near 0; 0.01 is usual."""
    truncation_reward: Annotated[float | None, ADDED] = None
    """What a response that ran into its limit is scored as. The model neither trains on such responses nor scores them
    then. None: they are read at their last token, without an end token that they never wrote."""
    files: Annotated[tuple[str, ...], ADDED] = ()
    """Labelled or ranked solutions from elsewhere to train on besides the samples, as JSON or JSONL; a share of their
    prompts is held out too. docs/reward.md lists the layouts."""
    fields: Annotated[tuple[tuple[str, str], ...], ADDED] = ()
    """Pairs (our name, the file's name) of fields that are called otherwise in `files`, such as ("chosen", "good")."""
    judged_files: Annotated[tuple[str, ...], ADDED] = ()
    """The same of responses that are only scored, never trained on: test sets, samples of a later policy."""
    kind: Annotated[Literal["outcome", "process", "both"], ADDED] = "outcome"
    """Which reward models are trained. What rl.reward=model reads is the outcome model, rl.step_reward=model the
    process model."""
    process: Annotated[ProcessRecipe, ADDED] = ProcessRecipe()
    """The process model; num_problems, sampling, num_epochs, micro_batch_tokens, heldout_share, optimiser,
    token_weight, language_weight and lora are those of this part."""
    lora: Annotated[LoraRecipe | None, ADDED] = None
    """Train adapters and the head only. The model is saved with them added to its weights, and they alone, with the
    head, in `adapter/`."""


def check(recipe: RewardRecipe) -> None:
    """Raise MathwrightError for a recipe under which nothing would be ranked or trained."""
    needs_problems = not recipe.files if recipe.kind != "process" else not recipe.process.files
    lowest = [
        ("num_problems", int(needs_problems)), ("num_epochs", 1), ("batch_rankings", 1), ("micro_batch_tokens", 1),
        ("checkpoint_every", 0), ("generation_batch", 1), ("heldout_responses", 0), ("max_tool_rounds", 0),
    ]  # fmt: skip
    check_lowest("reward", recipe, lowest)
    check_optimiser("reward", recipe.optimiser)
    check_lora("reward", recipe.lora)
    if recipe.responses_per_problem < 2 and recipe.kind != "process":
        raise MathwrightError(
            f"reward.responses_per_problem is {recipe.responses_per_problem}: a ranking compares responses",
            hint="--set reward.responses_per_problem=4, or another number of at least 2",
        )
    if recipe.heldout_responses == 1:
        raise MathwrightError(
            "reward.heldout_responses is 1: a pair needs two responses",
            hint="--set reward.heldout_responses=16, or another number of at least 2",
        )
    if recipe.sampling.temperature <= 0:
        raise MathwrightError(
            "reward.sampling.temperature is 0: all responses to a problem would be the same",
            hint="--set reward.sampling.temperature=1.0",
        )
    if not 0 <= recipe.heldout_share < 1:
        raise MathwrightError(
            f"reward.heldout_share is {recipe.heldout_share}", hint="it is a share between 0 and 1, 1 left out"
        )
    _check_loss(recipe)
    _check_process(recipe)


def _check_process(recipe: RewardRecipe) -> None:
    process = recipe.process
    if recipe.kind != "outcome" and recipe.mode != "cot":
        raise MathwrightError(
            f"reward.kind={recipe.kind} needs reward.mode=cot, not {recipe.mode}: the steps of a process model are "
            "labelled by completions without programs",
            hint="set reward.mode=cot, or reward.kind=outcome",
        )
    if recipe.kind == "outcome":
        if process != ProcessRecipe():
            raise MathwrightError(
                "reward.process has no part in reward.kind=outcome",
                hint="set reward.kind=process, or both, to train a process reward model",
            )
        return
    check_labelling(process, "reward.process")
    lowest = [("responses_per_problem", 1), ("batch_responses", 1)]
    check_lowest("reward.process", process, lowest)


def check_labelling(process: ProcessRecipe, where: str) -> None:
    """Raise MathwrightError for steps that cannot be cut, or labels that would not be what they are called."""
    StepRule(by=process.steps, max_steps=process.max_steps).check(f"{where}.steps")
    check_lowest(where, process, [("num_completions", 1), ("completions_per_wave", 1)])
    for option, value in (("early_stop", process.early_stop), ("binary_search", process.binary_search)):
        if value and process.labels == "soft":
            raise MathwrightError(
                f"{where}.{option} leaves too few completions for soft labels",
                hint=f"set {where}.labels=hard, or {where}.{option}=false",
            )


def _check_loss(recipe: RewardRecipe) -> None:
    for name in ("margin", "pointwise_weight", "token_weight", "language_weight", "centring"):
        value = getattr(recipe, name)
        if not 0 <= value < math.inf:
            raise MathwrightError(f"reward.{name} is {value}", hint="it is a number of at least 0")
    if recipe.margin and recipe.loss == "plackett_luce":
        raise MathwrightError(
            "reward.margin has no part in the Plackett-Luce loss",
            hint="--set reward.loss=ranking, or --set reward.margin=0",
        )
    if recipe.truncation_reward is not None and not math.isfinite(recipe.truncation_reward):
        raise MathwrightError(
            f"reward.truncation_reward is {recipe.truncation_reward}", hint="it is a number, or null for none"
        )
