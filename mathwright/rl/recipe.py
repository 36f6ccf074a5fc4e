"""§4: reinforcement learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mathwright.lm.recipe import LoraRecipe, OptimiserRecipe, SamplingRecipe
from mathwright.run.affects import ADDED, DISPLAY, GUARD, MEMORY, RESULT, SPEED, Grows


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardTermRecipe:
    """A further term of the reward: weight times value, added to the reward proper."""

    kind: Literal["format", "length", "function"] = "function"
    """format: 1 for one boxed answer in a response that ended, else 0; length: 0 up to half of max_new_tokens, from
    there falling to -1 at max_new_tokens; function: whatever `function` returns."""
    weight: float = 1.0
    function: str = ""
    """`module:name`, or `file.py:name`, of a function of (Problem, Completion) that returns a number, or None where it
    has nothing to say: the other terms score the response then. One with the arguments of TRL or verl will do. It may
    be an `async def`: then the responses are scored at the same time."""
    timeout_s: Annotated[float, RESULT] = 10.0
    """Seconds one call of `function` may take; then what it was to score is unscored."""
    batched: Annotated[bool, RESULT] = False
    """Whether `function` takes all responses at once: lists of Problem and of Completion to a list of numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RLRecipe:
    """GRPO (§4.1) and its relatives (§5.2)."""

    method: Literal[
        "grpo", "grpo_process", "ppo", "online_rft", "rft", "dpo", "sft",
        "dr_grpo", "dapo", "rloo", "gspo", "cispo", "gdpo", "distill", "dpo_sum",
    ] = "grpo"  # fmt: skip
    """A row of `rl.methods.table`."""
    reward: Literal["rule", "model", "functions"] = "rule"
    """rule: 1 for a correct answer, 0 for another; model: the score of the reward model; functions: `extra_rewards`
    alone, for which no problem needs an answer."""
    mode: Literal["cot", "tool"] = "cot"
    """Prompt format of the questions."""
    num_steps: Annotated[int, Grows(unless="optimiser.decay")] = 100
    """At which a small model has learned most of what it will from some hundred questions."""
    num_problems: Annotated[int, ADDED] = 0
    """Training problems that are asked, drawn by the seed; 0: all. §4.2 asks 144K of the 776K it fine-tuned on."""
    problems_per_step: int = 16
    """With 16 responses each a quarter of §4.2's 1,024."""
    group_size: int = 16
    """G; §4.2 has 64."""
    inner_updates: int = 1
    """mu: updates per exploration; §4.2."""
    clip_eps: float = 0.2
    """PPO's usual value; paper silent."""
    kl_coef: float = 0.04
    """beta of Eq. 3, of Eq. 12 under dpo, and of the KL in the reward under ppo (Eq. 2) and rloo."""
    advantage_std: Literal["population", "sample"] = "population"
    """Paper silent: that of the group as a whole."""
    advantage_eps: float = 1e-6
    """What keeps the division finite; paper silent."""
    sampling: SamplingRecipe = SamplingRecipe()
    micro_batch_tokens: Annotated[int, MEMORY] = 8_192
    """Tokens of one forward and backward; bounds the memory, changes nothing but rounding."""
    optimiser: OptimiserRecipe = OptimiserRecipe(lr=1e-6)
    """§4.2's rate, for 7B; a model of 0.1B takes ten times as much."""
    checkpoint_every: Annotated[int, SPEED] = 20
    """Steps between checkpoints."""
    extra_rewards: tuple[RewardTermRecipe, ...] = ()
    """Under grpo_process these have no part: it rewards steps."""
    max_tool_rounds: int = 3
    """Programs a response may run in mode tool."""
    generation_batch: Annotated[int, MEMORY] = 64
    """Responses generated at one time; bounds the memory, changes nothing but rounding."""
    saved_groups: Annotated[int, DISPLAY] = 2
    """Groups of each step written in full to rollouts.jsonl."""
    step_reward: str = "arithmetic"
    """What scores the steps under grpo_process: arithmetic (`rl.step_scorers`); model, the process reward model of the
    run; or `module:name` of a function of (Problem, Completion) that returns pairs (end as a character offset,
    reward)."""
    reference: str = ""
    """pi_ref: a model folder or hub id of the same vocabulary; "" is the model the training begins with."""
    num_minibatches: int = 1
    """Parts a step is cut into by questions, with an update each, in each of the inner updates."""
    max_resampling: int = 0
    """How often groups of equal rewards are replaced by those of further questions (dynamic sampling of DAPO)."""
    max_logprob_gap: Annotated[float, GUARD] = 1.0
    """The run stops where generator and training differ by more, in nats a token, about the drawn tokens."""
    wave_responses: Annotated[int, SPEED] = 1024
    """Responses explored between two saves to the rollout buffer: what a kill costs at most."""
    evaluate_every: Annotated[int, DISPLAY] = 0
    """Steps between two measurements of greedy accuracy on held-out problems; 0 is none."""
    num_evaluated: Annotated[int, DISPLAY] = 100
    """Held-out problems they ask."""
    lora: LoraRecipe | None = None
    """Train adapters in place of the weights; pi_ref is then the model without them. The model is saved with them added
    to its weights, and they alone in `adapter/`."""
    clip_eps_high: Annotated[float | None, ADDED] = None
    """Under dapo the upper side of the clip, of which clip_eps is the lower, and None is its 0.28; under gspo the same,
    and None is clip_eps; under cispo the ratio counts as at most 1 + this, and None is 4."""
    truncated_sampling: Annotated[Literal["refuse", "whole_vocabulary", "importance"], GUARD] = "refuse"
    """What happens where `sampling` draws from a part of the vocabulary (top_p below 1, top_k above 0), which is not
    the distribution that is trained. refuse: the run does not start; whole_vocabulary: the log-probabilities of the
    loss are those over the whole vocabulary all the same, as in most trainers (docs/rl.md); importance: the same, and
    the generator says how probable a token was as it was drawn, so that `importance` weighs it."""
    checkpoint_activations: Annotated[bool, MEMORY] = False
    """Compute each layer again in the backward pass: 6 to 20% more time, a fraction of the memory (docs/speed.md)."""
    engine: Annotated[Literal["local", "vllm"], RESULT] = "local"
    """What explores: our generator on the weights in training, or vLLM, to which they are given before each wave (where
    the model the training began with explores, it is ours)."""
    iterations: Annotated[int, ADDED] = 1
    """I of Algorithm 1, each of num_steps steps; after each, pi_ref is the policy of then and the reward model, if it
    is the reward, is trained further on what the iteration explored (`chain.iterate`)."""
    reset_reference: Annotated[bool, ADDED] = True
    """Whether pi_ref becomes the policy at each iteration (line 3); False keeps the one the training began with."""
    refresh_reward: Annotated[bool, ADDED] = True
    """Whether the reward model is trained further after each iteration (line 12); False keeps it as it is."""
    replay_share: Annotated[float, ADDED] = 0.1
    """Share of each batch of that training which is drawn from the samples of before ("10% of historical data")."""
    outcome_weight: Annotated[float, ADDED] = 0.0
    """Under grpo_process, with a model or a function for the steps: the verdict counts as a last step of its own, with
    this reward where it is right and 0 where it is wrong. 0 leaves it out, as the paper does. (Of arithmetic the
    verdict is the last step already.)"""
    process_credit: Annotated[Literal["sum", "min", "mean"], ADDED] = "sum"
    """How the rewards of steps become advantages. sum: those of this and later steps add up (§4.1.3), so that a policy
    may gain by writing more or fewer steps; min: a response is worth its worst step (PURE); mean: what its steps are
    worth on average."""
    when_gamed: Annotated[Literal["stop", "warn"], GUARD] = "stop"
    """What happens where a learned reward rises while correct answers fall (`rl.guards.Gaming`)."""
    truncation_reward: Annotated[float | None, ADDED] = None
    """What a response that ran into its limit has in place of `reward`; no reward model is asked about it then. None:
    as the others, and a reward model reads it at its last token, without an end token."""
    standardise_reward: Annotated[bool, ADDED] = False
    """Whether a reward model's scores are given mean 0 and deviation 1 on the held-out samples they were fitted on."""
    sigmoid_reward: Annotated[bool, ADDED] = False
    """Whether a reward model's score s, standardised or not, counts as sigma(s): of one that learned verdicts
    (`reward.pointwise_weight`, `reward.token_weight`) the chance of being right. What is surely right gains nothing by
    a score that is higher still, which is how scores are gamed."""

    # --- the value model of ppo; without a meaning elsewhere ---

    value_init: Annotated[Literal["reward", "policy"] | None, ADDED] = None
    """What the value model begins as. reward: the run's reward model, brought to mean 0 and deviation 1 where its
    folder says how; policy: the model the training begins with, with a head of zeros; None: reward where the run has
    one."""
    value_lr: Annotated[float | None, ADDED] = None
    """Peak rate of its AdamW, whose other settings are those of `optimiser`; None is five times that of the policy."""
    value_updates: Annotated[int, ADDED] = 2
    """Updates of the value model for one of the policy, on the same responses."""
    value_trainable: Annotated[Literal["all", "mlp", "head"], ADDED] = "all"
    """What of it is trained. mlp: all but embeddings and attention; head: the head alone."""
    value_pretraining: Annotated[int, ADDED] = 2
    """Passes over the stored samples of the reward stage, where there are any, before the first step."""
    value_warmup_steps: Annotated[int, ADDED] = 0
    """So many of the first steps train the value model alone."""
    value_clip: Annotated[float | None, ADDED] = None
    """A value may move so far from what it was when the step began (`rl.losses.value_loss`); None is any distance."""
    value_gate: Annotated[Literal["off", "ev"], ADDED] = "off"
    """ev: in a step in which the values do not explain the returns (explained_variance is not above 0, or there is
    none) the mean reward of a response's group is the baseline."""
    lambda_policy: Annotated[float, ADDED] = 1.0
    """lambda of GAE for the advantages; gamma is 1."""
    lambda_value: Annotated[float, ADDED] = 1.0
    """lambda of GAE for what the values are trained towards."""
    lambda_alpha: Annotated[float | None, ADDED] = None
    """Where given, lambda_policy is 1 - 1 / (alpha times the length of the response): 0.05 in VAPO, 1.5 in SAO."""
    kl_target: Annotated[float | None, ADDED] = None
    """Where given, kl_coef is only where beta begins; it then follows the KL to stay near this, in nats a response (the
    sum over its tokens)."""
    kl_horizon: Annotated[int, ADDED] = 10_000
    """Responses in which beta changes by a fifth where the KL is far from kl_target."""

    # --- what any method may do with its responses ---

    mask_truncated: Annotated[bool, ADDED] = False
    """Responses that ran into a limit are not trained on; they keep their part in the mean of their group."""
    importance: Annotated[Literal["off", "truncate", "mask"], ADDED] = "off"
    """Weigh tokens by what training says of them over what the generator said, pi_old(o_t) / q(o_t), which may be
    another engine's or over another support (docs/rl.md). truncate: at most importance_high; mask: a token outside of
    importance_low to importance_high is not trained on."""
    importance_low: Annotated[float, ADDED] = 0.5
    importance_high: Annotated[float, ADDED] = 5.0
    teacher: Annotated[str, ADDED] = ""
    """Under distill: a model folder or hub id of the same vocabulary."""
    pairs: Annotated[str, ADDED] = ""
    """Under dpo and dpo_sum: a file of pairs to train on in place of generated responses, a JSON object a line with
    `chosen`, `rejected` and either `question` or `prompt` (a whole prompt as it stands)."""
