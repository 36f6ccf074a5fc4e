"""§4: reinforcement learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mathwright.lm.recipe import LoraRecipe, OptimiserRecipe, SamplingRecipe
from mathwright.run.affects import ADDED, DISPLAY, GUARD, MEMORY, RESULT, SPEED, Grows


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardTermRecipe:
    """A further term of the reward: weight times value, added to the reward proper."""

    kind: Literal["format", "length", "function"]
    """format: 1 for one boxed answer in a response that ended, else 0; length: 0 up to half of max_new_tokens, from
    there falling to -1 at max_new_tokens; function: whatever `function` returns."""
    weight: float
    function: str = ""
    """`module:name` of a function of (Problem, Completion) that returns a number, or None where it has nothing to say:
    the other terms score the response then. It may be an `async def`: then the responses are scored at the same
    time."""
    timeout_s: Annotated[float, RESULT] = 10.0
    """Seconds one call of `function` may take; then what it was to score is unscored."""
    batched: Annotated[bool, RESULT] = False
    """Whether `function` takes all responses at once: lists of Problem and of Completion to a list of numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RLRecipe:
    """GRPO (§4.1) and its relatives (§5.2)."""

    method: Literal["grpo", "grpo_process", "online_rft", "rft", "dpo", "sft", "dr_grpo", "dapo", "rloo", "dpo_sum"]
    """A row of `rl.methods.table`."""
    reward: Literal["rule", "model"]
    """rule: 1 for a correct answer, 0 for another; model: the score of the reward model."""
    mode: Literal["cot", "tool"]
    """Prompt format of the questions."""
    num_steps: Annotated[int, Grows(unless="optimiser.decay")]
    problems_per_step: int
    group_size: int
    """G."""
    inner_updates: int
    """mu: updates per exploration."""
    clip_eps: float
    kl_coef: float
    """beta of Eq. 3, of Eq. 12 under dpo, and of the KL in the reward under rloo."""
    advantage_std: Literal["population", "sample"]
    advantage_eps: float
    sampling: SamplingRecipe
    micro_batch_tokens: Annotated[int, MEMORY]
    """Tokens of one forward and backward; bounds the memory, changes nothing but rounding."""
    optimiser: OptimiserRecipe
    checkpoint_every: Annotated[int, SPEED]
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
    """What scores the steps under grpo_process: arithmetic (`rl.step_scorers`), or `module:name` of a function of
    (Problem, Completion) that returns pairs (end as a character offset, reward)."""
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
    """Train adapters in place of the weights; pi_ref is then the model without them."""
    clip_eps_high: Annotated[float | None, ADDED] = None
    """Under dapo the upper side of the clip, of which clip_eps is the lower; None is its 0.28."""
    truncated_sampling: Annotated[Literal["refuse", "whole_vocabulary"], GUARD] = "refuse"
    """What happens where `sampling` draws from a part of the vocabulary (top_p below 1, top_k above 0), which is not
    the distribution that is trained. refuse: the run does not start; whole_vocabulary: the log-probabilities of the
    loss are those over the whole vocabulary all the same, as in most trainers (docs/rl.md)."""
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
    when_gamed: Annotated[Literal["stop", "warn"], GUARD] = "stop"
    """What happens where a learned reward rises while correct answers fall (`rl.guards.Gaming`)."""
