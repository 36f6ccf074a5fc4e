"""Table 10 as data: where the responses of a method come from, who rewards them, and what weighs each token's gradient
(the gradient coefficient GC of Eq. 5). `mathwright show methods` prints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is asked of a method before any model is loaded."""

    data: Literal["policy", "sft", "solutions"]
    """Who wrote the responses. policy: the policy as it is; sft: the model the training began with; solutions: they are
    worked solutions."""
    reward: Literal["any", "steps", "answer", "none"]
    """any: rule, reward model and further terms; steps: each step by rule; answer: the verdict alone."""
    compares: bool
    """Whether the responses to one question are compared, so that at least two are needed."""
    coefficient: str
    """GC(q, o, t) in words and signs; rho is pi / pi_old."""
    equation: str
    """Of the paper, or the paper the method is from."""
    test: str
    """Below tests/: what holds the method's gradient to its coefficient."""
    lacks: str = "all groups had equal rewards"
    """Why there may be nothing to train on."""

    @property
    def responses(self) -> str:
        """Who wrote them, as the paper writes it."""
        return {"policy": "o ~ pi_theta", "sft": "o ~ pi_sft", "solutions": "(q, o) ~ P_sft"}[self.data]

    @property
    def rewarded(self) -> str:
        """Who rewards them."""
        return {"any": "rule or model", "steps": "steps", "answer": "rule", "none": "none"}[self.reward]


_NO_PAIR = "no question had both a correct and a wrong response"
_NONE_CORRECT = "no response was correct"
_NONE_SCORED = "no response was scored, or none had a token to train"
_ROWS, _LOSSES, _RATIOS = "rl/methods/test_rows.py::", "rl/test_losses.py::", "rl/test_ratio_losses.py::"

TABLE_10: Mapping[str, Row] = {
    "grpo": Row(
        data="policy", reward="any", compares=True,
        coefficient="A_i + beta (pi_ref / pi - 1), A = (r - mean) / std of the group",
        equation="Eq. 3, 21", test=_LOSSES + "test_table_10_gradient_at_theta_old",
    ),
    "grpo_process": Row(
        data="policy", reward="steps", compares=True,
        coefficient="A_{i,t} + beta (pi_ref / pi - 1), A from the rewards of this and later steps",
        equation="Eq. 3, 21, §4.1.3", test=_LOSSES + "test_table_10_gradient_at_theta_old",
    ),
    "ppo": Row(
        data="policy", reward="any", compares=False, lacks=_NONE_SCORED,
        coefficient="A_t by GAE from V and r - beta log(pi_old / pi_ref), whitened",
        equation="Eq. 1, 2, 18", test="rl/methods/test_ppo.py::test_the_gradient_at_theta_old_is_the_advantage",
    ),
    "sft": Row(
        data="solutions", reward="none", compares=False,
        coefficient="1", equation="Eq. 6-8", test=_ROWS + "test_likelihood_rows_weigh_by_the_verdict_or_not_at_all",
    ),
    "online_rft": Row(
        data="policy", reward="answer", compares=False, lacks=_NONE_CORRECT,
        coefficient="1 for a correct response, 0 for a wrong one",
        equation="Eq. 10", test=_LOSSES + "test_likelihood_has_the_coefficient_of_eq10",
    ),
    "rft": Row(
        data="sft", reward="answer", compares=False, lacks=_NONE_CORRECT,
        coefficient="the same",
        equation="Eq. 9", test=_LOSSES + "test_likelihood_has_the_coefficient_of_eq10",
    ),
    "dpo": Row(
        data="sft", reward="answer", compares=True, lacks=_NO_PAIR,
        coefficient="beta sigma(-margin), + on o+ and - on o-",
        equation="Eq. 12-14", test=_LOSSES + "test_dpo_equals_eq12",
    ),
    "dr_grpo": Row(
        data="policy", reward="any", compares=True,
        coefficient="as grpo; A without a deviation, the sum without |o_i|",
        equation="Liu et al. 2025", test=_ROWS + "test_dr_grpo_divides_by_neither_the_deviation_nor_the_length",
    ),
    "dapo": Row(
        data="policy", reward="any", compares=True,
        coefficient="as grpo; a mean over all tokens, two bounds of the clip",
        equation="Yu et al. 2025", test=_LOSSES + "test_relatives_against_the_same_oracle",
    ),
    "rloo": Row(
        data="policy", reward="any", compares=True,
        coefficient="A_i = R_i - mean of the other R, R = r - beta log(pi / pi_ref)",
        equation="Ahmadian et al. 2024", test=_ROWS + "test_rloo_is_unbiased",
    ),
    "gspo": Row(
        data="policy", reward="any", compares=True,
        coefficient="as grpo with s_i A_i, s the geometric mean of rho, clipped as one",
        equation="Zheng et al. 2025", test=_RATIOS + "test_gspo_weighs_every_token_by_the_ratio_of_its_response",
    ),
    "cispo": Row(
        data="policy", reward="any", compares=True,
        coefficient="min(rho, 1 + eps) A_i, no token left out; a mean over all tokens",
        equation="MiniMax 2025", test=_RATIOS + "test_cispo_keeps_the_gradient_of_every_token",
    ),
    "gdpo": Row(
        data="policy", reward="any", compares=True,
        coefficient="as grpo; A the sum of the rewards, each normalised in its group",
        equation="Liu et al. 2026", test=_ROWS + "test_gdpo_normalises_each_reward_apart",
    ),
    "distill": Row(
        data="policy", reward="none", compares=False, lacks="no response had a token to train",
        coefficient="log pi_T - log pi_old of the token, T the teacher",
        equation="Agarwal et al. 2024", test=_ROWS + "test_distillation_lowers_the_divergence_from_the_teacher",
    ),
    "dpo_sum": Row(
        data="sft", reward="answer", compares=True, lacks=_NO_PAIR,
        coefficient="as dpo; sums over tokens for the means of Eq. 12",
        equation="Rafailov et al. 2023", test=_LOSSES + "test_dpo_gradient_is_one_scalar_a_pair_with_opposite_signs",
    ),
}  # fmt: skip


def as_rows() -> list[tuple[str, ...]]:
    """The table as text, a header first."""
    header = ("method", "responses", "reward", "gradient coefficient", "equation", "test")
    rows = [(name, r.responses, r.rewarded, r.coefficient, r.equation, r.test) for name, r in TABLE_10.items()]
    return [header, *rows]
