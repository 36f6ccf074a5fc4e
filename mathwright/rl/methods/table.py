"""Table 10 as data: where the responses of a method come from, who rewards them, and what weighs each token's gradient
(the gradient coefficient GC of Eq. 5).

    method         responses      reward         gradient coefficient
    grpo           o ~ pi_theta   rule or model  A_i + beta (pi_ref / pi - 1), A from the response's reward
    grpo_process   o ~ pi_theta   rule, a step   A_{i,t} + beta (pi_ref / pi - 1), A from its steps' rewards
    sft            (q, o) ~ P_sft none           1
    online_rft     o ~ pi_theta   rule           1 for a correct response, 0 for a wrong one
    rft            o ~ pi_sft     rule           the same
    dpo            o+, o- ~ pi_sft rule          beta sigma(-margin), + on o+ and - on o-

    and relatives that the paper does not have:
    dr_grpo        o ~ pi_theta   rule or model  as grpo; A without a deviation, the sum without |o_i|
    dapo           o ~ pi_theta   rule or model  as grpo; mean over all tokens, two bounds of the clip
    rloo           o ~ pi_theta   rule or model  A_i from the other responses, the KL in the reward
    dpo_sum        as dpo         rule           as dpo; sums over tokens for the means of Eq. 12
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
    lacks: str = "all groups had equal rewards"
    """Why there may be nothing to train on."""


_NO_PAIR = "no question had both a correct and a wrong response"
_NONE_CORRECT = "no response was correct"

TABLE_10: Mapping[str, Row] = {
    "grpo": Row(data="policy", reward="any", compares=True),
    "grpo_process": Row(data="policy", reward="steps", compares=True),
    "sft": Row(data="solutions", reward="none", compares=False),
    "online_rft": Row(data="policy", reward="answer", compares=False, lacks=_NONE_CORRECT),
    "rft": Row(data="sft", reward="answer", compares=False, lacks=_NONE_CORRECT),
    "dpo": Row(data="sft", reward="answer", compares=True, lacks=_NO_PAIR),
    "dr_grpo": Row(data="policy", reward="any", compares=True),
    "dapo": Row(data="policy", reward="any", compares=True),
    "rloo": Row(data="policy", reward="any", compares=True),
    "dpo_sum": Row(data="sft", reward="answer", compares=True, lacks=_NO_PAIR),
}
