"""What every measurement of a run is: its name for people, its unit, what it tells, and where it is healthy.

The limits of reinforcement are those at which training warns (`rl/guards.py`; a test holds the two together).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """How a measurement is shown. A healthy range is given where there is one for every run."""

    title: str
    unit: str
    about: str
    low: float | None = None
    """Below this it is worth a look."""
    high: float | None = None
    """Above this it is worth a look."""

    @property
    def healthy(self) -> str:
        """The healthy range in words; "" where it depends on the run."""
        low, high = self.low, self.high
        if low is not None and high is not None:
            return f"{_limit(low, self.unit)} to {_limit(high, self.unit)}"
        if high is not None:
            return f"below {_limit(high, self.unit)}"
        return f"above {_limit(low, self.unit)}" if low is not None else ""

    def is_healthy(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


SHARE, NATS, TOKENS, SECONDS = "share", "nats a token", "tokens", "s"
"""Units: a share is shown in percent; nats are natural logarithms (1 nat = 1.44 bits)."""


def _limit(value: float, unit: str) -> str:
    return f"{value:.0%}" if unit == SHARE else f"{value:g}"


METRICS: dict[str, Metric] = {
    # every training
    "loss": Metric("Loss", NATS, "How badly the model predicts what it is trained on. It should fall, then level off."),
    "lr": Metric("Learning rate", "", "Size of the steps of the optimiser: up at the beginning, down at the end."),
    "grad_norm": Metric("Gradient norm", "", "Length of the gradient before it is clipped. A jump is a hard batch; a rise that stays means the rate is too high."),
    "seconds": Metric("Time of a step", SECONDS, "Wall time."),
    "heldout_loss": Metric("Held-out loss", NATS, "The loss on data that is not trained on. Where it rises, the model learns by heart."),
    "heldout_accuracy": Metric("Held-out accuracy", SHARE, "Share of held-out comparisons that come out right; a coin has 50%."),
    "num_tokens": Metric("Tokens", TOKENS, "Trained on in the step."),
    # reinforcement: what was explored
    "reward_mean": Metric("Mean reward", "reward", "What training raises. Look at correct answers too: a reward that rises alone is being gamed."),
    "reward_std": Metric("Spread of rewards", "reward", "Standard deviation over the responses of a step. Near 0 there is nothing to prefer."),
    "accuracy": Metric("Correct answers", SHARE, "Share of right responses among those drawn in the step (or compared rightly, in a reward model)."),
    "response_tokens": Metric("Response length", TOKENS, "Mean over responses. A steady climb may be reasoning, or padding."),
    "truncated": Metric("Cut responses", SHARE, "Share of responses that ran into the limit of tokens.", high=0.3),
    "tool_calls": Metric("Programs a response", "programs", "Programs run, mean over responses."),
    "equal_reward_groups": Metric("Groups that teach nothing", SHARE, "Share of questions whose responses all have the same reward.", high=0.8),
    "resampled_groups": Metric("Groups drawn again", "groups", "Drawn in place of groups that teach nothing (dynamic sampling)."),
    "unscored": Metric("Responses without a reward", SHARE, "Share that could not be scored: they count neither for nor against.", high=0.1),
    "step_reward_mean": Metric("Mean reward of a step", "reward", "Over all scored steps of responses."),
    "steps_per_response": Metric("Steps a response", "steps", "Where it leaves its first value by 30%, the number of steps may be what pays."),
    "tokens_per_step": Metric("Tokens a step", TOKENS, "Mean length of a step of a response."),
    # reinforcement: the policy
    "kl": Metric("Distance from the reference", NATS, "KL divergence from the model that this training (or iteration) began with.", high=1.0),
    "kl_initial": Metric("Distance from the first model", NATS, "KL divergence from the model before any iteration."),
    "kl_coef": Metric("Weight of the distance (beta)", "", "How much the distance costs at this step."),
    "kl_response": Metric("Distance of a response", "nats", "Summed over the tokens of a response, mean over responses."),
    "entropy": Metric("Entropy", NATS, "How undecided the model is. Near 0 it always says the same and stops learning.", low=0.01),
    "ratio": Metric("Probability ratio", "", "New over old probability of the drawn tokens: near 1 where updates are small."),
    "clip_fraction": Metric("Clipped tokens", SHARE, "Share of tokens whose update was held back because the policy had moved too far."),
    "gradient_coefficient": Metric("Gradient coefficient", "", "Mean weight of a token's gradient (Eq. 5)."),
    "logprob_gap": Metric("Generator against trainer", NATS, "Mean difference of the log-probabilities that both give to the same tokens. It should be rounding.", high=0.1),
    "logprob_gap_max": Metric("Generator against trainer, largest", NATS, "The same for the worst token."),
    "advantage_std": Metric("Spread of advantages", "reward", "Standard deviation before they are whitened."),
    "num_trained": Metric("Responses trained on", "responses", "In the step."),
    # reinforcement: the value model
    "explained_variance": Metric("Explained variance", "", "How much of the rewards' variance the value model foresees: 1 all, 0 no more than their mean.", low=0.0),
    "explained_variance_after": Metric("Explained variance after the update", "", "The same after the step's updates."),
    "value_loss": Metric("Value loss", "reward²", "Half the squared error of the values, before the updates."),
    "value_loss_after": Metric("Value loss after the update", "reward²", "The same after the step's updates."),
    "value_gated": Metric("Mean in place of values", SHARE, "1 where the group's mean reward was the baseline instead of the values.", high=0.5),
    "value_grad_norm": Metric("Gradient norm, value model", "", "Of the last update."),
    "value_lr": Metric("Learning rate, value model", "", "Of the last update."),
    "return_mean": Metric("Mean return", "reward", "Over the trained tokens."),
    # speed
    "seconds_generate": Metric("Time to draw responses", SECONDS, "Of a step."),
    "seconds_reward": Metric("Time to score them", SECONDS, "Of a step."),
    "seconds_train": Metric("Time to train on them", SECONDS, "Of a step."),
    "generated_tokens_per_s": Metric("Drawing speed", "tokens/s", "Tokens drawn a second."),
    "trained_tokens_per_s": Metric("Training speed", "tokens/s", "Tokens trained on a second."),
}  # fmt: skip


def metric(name: str) -> Metric:
    """The metric of that name; one that nobody has described is shown by its name."""
    known = METRICS.get(name)
    if known is not None:
        return known
    return Metric(name.replace("_", " ").capitalize(), "", "")
