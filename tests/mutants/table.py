"""Mistakes that RL code is known to make, each as a change of one place of the source and the test that catches it."""

from __future__ import annotations

import importlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """`old` stands once in `module`; with `new` in its place the test `killed_by` must fail."""

    mistake: str
    module: str
    old: str
    new: str
    killed_by: str
    """module:function of the test, without the leading "tests."."""


ADVANTAGES, DIVERGENCE, LOSSES = (f"mathwright.rl.{name}" for name in ("advantages", "divergence", "losses"))
RANKING = "mathwright.reward.losses"
ATTENTION = "mathwright.lm.attention"
LEARN, EXPLORE = "mathwright.rl.learn", "mathwright.rl.explore"
RLOO, PPO = "mathwright.rl.methods.rloo", "mathwright.rl.methods.ppo"

MUTANTS = [
    # advantages
    Mutant(
        mistake="population and sample deviation exchanged",
        module=ADVANTAGES,
        old='count if std == "population" else count - 1',
        new='count if std == "sample" else count - 1',
        killed_by="rl.test_advantages:test_outcome_golden_cases",
    ),
    Mutant(
        mistake="unscored responses counted in the mean as zeros",
        module=ADVANTAGES,
        old="count = scored.sum(1, keepdim=True)",
        new="count = torch.full_like(scored.sum(1, keepdim=True), scored.shape[1])",
        killed_by="rl.test_advantages:test_outcome_golden_cases",
    ),
    Mutant(
        mistake="equal rewards recognised by the deviation, which rounding keeps above 0",
        module=ADVANTAGES,
        old="differ = scored & (highest > lowest)",
        new="differ = scored & (deviation > 0)",
        killed_by="rl.test_advantages:test_outcome_golden_cases",
    ),
    Mutant(
        mistake="group statistics over the whole batch",
        module=ADVANTAGES,
        old="mean = rewards_PN.where(scored, 0.0).sum(1, keepdim=True) / count",
        new="mean = rewards_PN.where(scored, 0.0).sum() / count.sum()",
        killed_by="rl.test_advantages:test_groups_do_not_mix",
    ),
    Mutant(
        mistake="credit by the worst step: the best one instead",
        module=ADVANTAGES,
        old="shares = (-step_rewards_PGS / temperature)",
        new="shares = (step_rewards_PGS / temperature)",
        killed_by="rl.test_advantages:test_after_the_worst_step_a_response_is_held_to_account_for_nothing",
    ),
    Mutant(
        mistake="credit by shares: statistics over steps, not over responses",
        module=ADVANTAGES,
        old="normalised = shares * (rewards - mean[:, :, None]) / divisor[:, :, None]",
        new="normalised = shares * (rewards - rewards.mean()) / divisor[:, :, None]",
        killed_by="rl.test_advantages:test_min_and_mean_equal_the_loop_written_from_the_definition",
    ),
    Mutant(
        mistake="credit by shares: worths that differ by rounding told apart",
        module=ADVANTAGES,
        old=".round(decimals=9)",
        new="",
        killed_by="rl.test_advantages:test_equal_worth_by_other_numbers_of_steps_is_nothing_to_prefer",
    ),
    Mutant(
        mistake="step loss: a mean over all steps, so that long responses weigh more",
        module=RANKING,
        old="per_response = torch.where(labelled, losses, 0.0).sum(1) / labelled.sum(1).clamp(min=1)",
        new="per_response = torch.where(labelled, losses, 0.0).sum(1) * len(losses) / labelled.sum()",
        killed_by="reward.test_step_loss:test_equals_the_loop_over_steps",
    ),
    Mutant(
        mistake="step loss: unlabelled steps taken for wrong ones",
        module=RANKING,
        old="labelled = ~labels_BS.isnan() if labelled_BS is None else labelled_BS",
        new="labelled = torch.ones_like(labels_BS, dtype=torch.bool); labels_BS = labels_BS.nan_to_num()",
        killed_by="reward.test_step_loss:test_equals_the_loop_over_steps",
    ),
    Mutant(
        mistake="process supervision: prefix sums for suffix sums",
        module=ADVANTAGES,
        old="at_step_end.flip(2).cumsum(2).flip(2)",
        new="at_step_end.cumsum(2)",
        killed_by="rl.test_advantages:test_process_by_hand",
    ),
    Mutant(
        mistake="process supervision: the end token of a step left out of the step",
        module=ADVANTAGES,
        old="at_step_end.flip(2).cumsum(2).flip(2)",
        new="at_step_end.flip(2).cumsum(2).flip(2) - at_step_end",
        killed_by="rl.test_advantages:test_process_by_hand",
    ),
    Mutant(
        mistake="process supervision: each response normalised alone, not pooled over the group",
        module=ADVANTAGES,
        old="_standardise(step_rewards_PGS.reshape(P, G * S), std=std, eps=eps)",
        new="_standardise(step_rewards_PGS.reshape(P * G, S), std=std, eps=eps)",
        killed_by="rl.test_advantages:test_process_with_one_step_at_the_last_token_is_outcome_supervision",
    ),
    Mutant(
        mistake="leave-one-out with the response itself in the baseline",
        module=ADVANTAGES,
        old="mean_of_others = (rewards.sum(1, keepdim=True) - rewards) / others.clamp(min=1)",
        new="mean_of_others = rewards.sum(1, keepdim=True) / (others + 1).clamp(min=1)",
        killed_by="rl.test_advantages:test_leave_one_out_by_hand",
    ),
    Mutant(
        mistake="GAE: the next value discounted by lambda too",
        module=ADVANTAGES,
        old="rewards[:, t] + gamma * next_value",
        new="rewards[:, t] + gamma * lam * next_value",
        killed_by="rl.test_advantages:test_gae_identities",
    ),
    Mutant(
        mistake="GAE: the trace runs through masked tokens",
        module=ADVANTAGES,
        old="next_value = torch.where(active, values[:, t], next_value)",
        new="next_value = torch.where(active, values[:, t], 0.0)",
        killed_by="rl.test_advantages:test_gae_steps_over_masked_tokens",
    ),
    Mutant(
        mistake="Eq. 2: the KL given, not taken",
        module=ADVANTAGES,
        old="(outcome - kl_coef * (policy_logprobs - ref_logprobs))",
        new="(outcome + kl_coef * (policy_logprobs - ref_logprobs))",
        killed_by="rl.test_advantages:test_eq2_gives_the_outcome_at_the_last_token_and_takes_the_kl_from_every_token",
    ),
    # divergence
    Mutant(
        mistake="k3 in the other direction",
        module=DIVERGENCE,
        old="d = ref_logprobs - policy_logprobs",
        new="d = policy_logprobs - ref_logprobs",
        killed_by="rl.test_divergence:test_means_under_the_policy_are_the_divergence",
    ),
    Mutant(
        mistake="k1 with its sign flipped",
        module=DIVERGENCE,
        old="return policy_logprobs - ref_logprobs",
        new="return ref_logprobs - policy_logprobs",
        killed_by="rl.test_divergence:test_means_under_the_policy_are_the_divergence",
    ),
    Mutant(
        mistake="k3 from e^d - 1, which rounding eats near 0",
        module=DIVERGENCE,
        old="torch.expm1(d) - d",
        new="torch.exp(d) - 1 - d",
        killed_by="rl.test_divergence:test_k3_is_never_negative_and_keeps_its_precision_near_zero",
    ),
    Mutant(
        mistake="k3 computed without gradient",
        module=DIVERGENCE,
        old="torch.expm1(d) - d",
        new="torch.expm1(d.detach()) - d",
        killed_by="rl.test_divergence:test_the_mean_gradient_of_k3_is_that_of_the_reverse_divergence",
    ),
    # losses
    Mutant(
        mistake="sign of the loss flipped",
        module=LOSSES,
        old="return PolicyLoss(-objective, _stats",
        new="return PolicyLoss(objective, _stats",
        killed_by="rl.test_losses:test_grpo_equals_eq3",
    ),
    Mutant(
        mistake="mean over all tokens for the mean of sequence means",
        module=LOSSES,
        old="return ((values * response_mask).sum(1) / lengths).sum() / _divisor(response_mask, num_sequences)",
        new="return (values * response_mask).sum() / lengths.sum()",
        killed_by="rl.test_losses:test_each_sequence_weighs_the_same_whatever_its_length",
    ),
    Mutant(
        mistake="lengths count the padding",
        module=LOSSES,
        old="lengths = response_mask.sum(1).clamp(min=1)",
        new="lengths = torch.full_like(response_mask.sum(1), response_mask.shape[1])",
        killed_by="rl.test_losses:test_grpo_equals_eq3",
    ),
    Mutant(
        mistake="mask shifted by one token",
        module=LOSSES,
        old="return torch.where(mask, values, 0.0)",
        new="return torch.where(mask.roll(1, -1), values, 0.0)",
        killed_by="rl.test_losses:test_grpo_equals_eq3",
    ),
    Mutant(
        mistake="masking by multiplication, which keeps NaN",
        module=LOSSES,
        old="return torch.where(mask, values, 0.0)",
        new="return values * mask",
        killed_by="rl.test_losses:test_what_stands_in_masked_slots_changes_nothing[grpo]",
    ),
    Mutant(
        mistake="masking after the exponential: value right, gradient NaN",
        module=LOSSES,
        old="policy = _zero_masked(policy_logprobs, response_mask)",
        new="policy = policy_logprobs",
        killed_by="rl.test_losses:test_what_stands_in_masked_slots_changes_nothing[grpo]",
    ),
    Mutant(
        mistake="behaviour log-probabilities not detached: no gradient at all with one update",
        module=LOSSES,
        old="_zero_masked(behavior_logprobs.detach(), response_mask)",
        new="_zero_masked(behavior_logprobs, response_mask)",
        killed_by="rl.test_losses:test_table_10_gradient_at_theta_old",
    ),
    Mutant(
        mistake="reference not detached",
        module=LOSSES,
        old="ref = _zero_masked(ref_logprobs.detach(), response_mask)",
        new="ref = _zero_masked(ref_logprobs, response_mask)",
        killed_by="rl.test_losses:test_advantages_behavior_and_reference_are_constants",
    ),
    Mutant(
        mistake="advantages not detached",
        module=LOSSES,
        old="advantages.detach() if advantages.ndim == 2",
        new="advantages if advantages.ndim == 2",
        killed_by="rl.test_losses:test_advantages_behavior_and_reference_are_constants",
    ),
    Mutant(
        mistake="KL of the reference from the policy",
        module=LOSSES,
        old="kl = k3(policy, ref)",
        new="kl = k3(ref, policy)",
        killed_by="rl.test_losses:test_the_kl_is_k3_of_policy_from_reference",
    ),
    Mutant(
        mistake="KL added to the objective",
        module=LOSSES,
        old="surrogate - kl_coef * kl, kl.detach()",
        new="surrogate + kl_coef * kl, kl.detach()",
        killed_by="rl.test_losses:test_table_10_gradient_at_theta_old",
    ),
    Mutant(
        mistake="maximum for minimum in the clipped objective",
        module=LOSSES,
        old="surrogate = torch.minimum(",
        new="surrogate = torch.maximum(",
        killed_by="rl.test_losses:test_clipping_by_cases",
    ),
    Mutant(
        mistake="clipped term alone, without the minimum",
        module=LOSSES,
        old="torch.minimum(ratio * advantage, ratio.clamp(lowest, highest) * advantage)",
        new="ratio.clamp(lowest, highest) * advantage",
        killed_by="rl.test_losses:test_clipping_by_cases",
    ),
    Mutant(
        mistake="ratio upside down",
        module=LOSSES,
        old="ratio = torch.exp(policy - behavior)",
        new="ratio = torch.exp(behavior - policy)",
        killed_by="rl.test_losses:test_table_10_gradient_at_theta_old",
    ),
    Mutant(
        mistake="low and high clip exchanged",
        module=LOSSES,
        old="lowest, highest = 1 - clip_eps[0], 1 + clip_eps[1]",
        new="lowest, highest = 1 - clip_eps[1], 1 + clip_eps[0]",
        killed_by="rl.test_losses:test_relatives_against_the_same_oracle",
    ),
    Mutant(
        mistake="micro-batches divide by their own size",
        module=LOSSES,
        old="return response_mask.shape[0] if num_sequences is None else num_sequences",
        new="return response_mask.shape[0]",
        killed_by="rl.test_losses:test_micro_batches_add_up",
    ),
    Mutant(
        mistake="REINFORCE that means over the tokens of a response",
        module=LOSSES,
        old="terms = _Terms(constant * logprobs, kl",
        new="terms = _Terms(constant * logprobs / one.sum(1, keepdim=True).clamp(min=1), kl",
        killed_by="rl.test_losses:test_reinforce_is_the_sum_over_the_tokens_of_each_response",
    ),
    Mutant(
        mistake="DPO with chosen and rejected exchanged",
        module=LOSSES,
        old="return _pair_loss(beta * (chosen - rejected), num_pairs)\n\n\ndef dpo_sum_loss",
        new="return _pair_loss(beta * (rejected - chosen), num_pairs)\n\n\ndef dpo_sum_loss",
        killed_by="rl.test_losses:test_dpo_equals_eq12",
    ),
    Mutant(
        mistake="Eq. 12 without its length normalisation",
        module=LOSSES,
        old=" / rejected_mask.sum(1).clamp(min=1)",
        new="",
        killed_by="rl.test_losses:test_dpo_equals_eq12",
    ),
    Mutant(
        mistake="value clipping by minimum",
        module=LOSSES,
        old="error = torch.maximum(error,",
        new="error = torch.minimum(error,",
        killed_by="rl.test_losses:test_value_loss_equals_the_loop",
    ),
    # ranking
    Mutant(
        mistake="ranking upside down",
        module=RANKING,
        old="better = ranks_NK[:, :, None] < ranks_NK[:, None, :]",
        new="better = ranks_NK[:, :, None] > ranks_NK[:, None, :]",
        killed_by="reward.test_losses:test_gradient_raises_the_better_and_lowers_the_worse",
    ),
    Mutant(
        mistake="equal ranks compared",
        module=RANKING,
        old="better = ranks_NK[:, :, None] < ranks_NK[:, None, :]",
        new="better = ranks_NK[:, :, None] <= ranks_NK[:, None, :]",
        killed_by="reward.test_losses:test_equals_the_loop_over_pairs",
    ),
    Mutant(
        mistake="padding compared",
        module=RANKING,
        old="return better & present_NK[:, :, None] & present_NK[:, None, :]",
        new="return better",
        killed_by="reward.test_losses:test_equals_the_loop_over_pairs",
    ),
    Mutant(
        mistake="margin given, not asked for",
        module=RANKING,
        old="- margin * gaps",
        new="+ margin * gaps",
        killed_by="reward.test_losses:test_margin_0_is_the_plain_loss_and_a_margin_asks_for_more_the_further_apart_two_ranks_are",
    ),
    Mutant(
        mistake="Plackett-Luce: the other winners among the rivals",
        module=RANKING,
        old="below = _pairs(ranks_NK, present_NK)\n    chooses",
        new="below = _pairs(ranks_NK, present_NK)\n    below = below | (_pairs(-ranks_NK, present_NK))\n    chooses",
        killed_by="reward.test_losses:test_with_one_loser_plackett_luce_is_bradley_terry",
    ),
    Mutant(
        mistake="Plackett-Luce: the chosen one left out of the normaliser",
        module=RANKING,
        old="F.softplus(rivals.logsumexp(2) - scores)",
        new="rivals.logsumexp(2) - scores",
        killed_by="reward.test_losses:test_with_one_loser_plackett_luce_is_bradley_terry",
    ),
    Mutant(
        mistake="pointwise: right and wrong exchanged",
        module=RANKING,
        old="right = (ranks_NK == 0)",
        new="right = (ranks_NK != 0)",
        killed_by="reward.test_losses:test_a_pointwise_minimum_is_the_share_of_right_responses",
    ),
    Mutant(
        mistake="next token: learned from wrong responses too",
        module=RANKING,
        old="learned = present_NKT & (ranks_NK == 0)[:, :, None]",
        new="learned = present_NKT",
        killed_by="reward.test_losses:test_the_next_token_is_learned_from_right_responses_alone",
    ),
    Mutant(
        mistake="verdict at every token: a mean over all tokens, in which long responses weigh more",
        module=RANKING,
        old="per_prompt = per_response.sum(1) / present_NKT.any(2).sum(1).clamp(min=1)",
        new="per_prompt = (per_response * present_NKT.sum(2)).sum(1) / present_NKT.sum((1, 2)).clamp(min=1)",
        killed_by="reward.test_losses:test_a_verdict_at_every_token_by_the_loop",
    ),
    # packed attention
    Mutant(
        mistake="a token sees the next one",
        module=ATTENTION,
        old="device=query.device).triu(1)",
        new="device=query.device).triu(2)",
        killed_by="lm.test_attention:test_groups_of_any_shape",
    ),
    Mutant(
        mistake="outputs of padding taken for those of the next response",
        module=ATTENTION,
        old="return flat if self.kept is None else flat.index_select(1, self.kept)",
        new="return flat[:, : self.num_tokens]",
        killed_by="lm.test_attention:test_groups_of_any_shape",
    ),
    Mutant(
        mistake="heads of one key head in the order of tokens",
        module=ATTENTION,
        old="attn_mask=mask.repeat(repeats, 1)",
        new="attn_mask=mask.repeat_interleave(repeats, 0)",
        killed_by="lm.test_attention:test_groups_of_any_shape",
    ),
    # the step
    Mutant(
        mistake="pi_old of later minibatches taken after the first update",
        module=LEARN,
        old="minibatches if self.method.uses_values else minibatches[1:]:",
        new="minibatches if self.method.uses_values else minibatches[:0]:",
        killed_by="rl.test_learn:test_pi_old_of_every_minibatch_is_the_policy_before_the_first_update",
    ),
    Mutant(
        mistake="pi_old taken again in each inner update",
        module=LEARN,
        old="        if self.scored is None:\n            device",
        new="        if True:\n            device",
        killed_by="rl.test_learn:test_pi_old_of_every_minibatch_is_the_policy_before_the_first_update",
    ),
    Mutant(
        mistake="the mean over the responses of a micro-batch in the place of all",
        module=LEARN,
        old="num_sequences=minibatch.num_sequences,",
        new="num_sequences=len(micro.batch.rows),",
        killed_by="rl.test_learn:test_micro_batches_add_up_to_the_mean_over_all_responses",
    ),
    Mutant(
        mistake="DAPO: the mean over the tokens of a micro-batch in the place of all",
        module=LEARN,
        old="num_tokens=minibatch.num_trained_tokens,",
        new="num_tokens=int(scored.response_mask.sum()),",
        killed_by="rl.test_learn:test_micro_batches_of_every_method_add_up[dapo]",
    ),
    Mutant(
        mistake="RLOO: a group split over micro-batches, so that the others are not there",
        module=LEARN,
        old="if self.method.unsplittable:",
        new="if False:",
        killed_by="rl.test_learn:test_micro_batches_of_every_method_add_up[rloo]",
    ),
    Mutant(
        mistake="weights of the training groups in the place of those the method made",
        module=LEARN,
        old="self._corrected(micro, self.method.weights(scored))",
        new="self._corrected(micro, scored.group_weights)",
        killed_by="rl.test_learn:test_weights_may_depend_on_what_the_models_say",
    ),
    Mutant(
        mistake="RLOO: the KL given, not taken",
        module=RLOO,
        old="returns = returns - self.kl_coef",
        new="returns = returns + self.kl_coef",
        killed_by="rl.methods.test_rows:test_rloo_is_unbiased",
    ),
    Mutant(
        mistake="RLOO: the groups of a batch taken for one",
        module=RLOO,
        old="members = scored.groups == group",
        new="members = scored.groups >= 0",
        killed_by="rl.methods.test_rows:test_rloo_takes_the_kl_from_the_reward_and_the_others_as_baseline",
    ),
    Mutant(
        mistake="Dr. GRPO divided by the deviation",
        module="mathwright.rl.methods.dr_grpo",
        old="centred_advantages(rewards_of(groups))",
        new="centred_advantages(rewards_of(groups)) / rewards_of(groups).nan_to_num().std(1, keepdim=True)",
        killed_by="rl.methods.test_rows:test_dr_grpo_divides_by_neither_the_deviation_nor_the_length",
    ),
    # PPO
    Mutant(
        mistake="Eq. 2: the score one token late, behind the last trained one",
        module=ADVANTAGES,
        old="torch.where(positions == last, rewards[:, None], 0.0)",
        new="torch.where(positions == last + 1, rewards[:, None], 0.0)",
        killed_by="rl.test_advantages:test_eq2_gives_the_outcome_at_the_last_token_and_takes_the_kl_from_every_token",
    ),
    Mutant(
        mistake="PPO: the values trained towards whitened advantages",
        module=PPO,
        old="returns=[estimate.returns for estimate in estimates],",
        new="returns=[whiten(a, b.response_mask, moments=moments) + b.values for a, b in zip(advantages, batches)],",
        killed_by="rl.methods.test_ppo:test_advantages_are_white_over_the_step_and_returns_are_not",
    ),
    Mutant(
        mistake="PPO: each micro-batch whitened alone",
        module=PPO,
        old="weights=[whiten(a, b.response_mask, moments=moments)",
        new="weights=[whiten(a, b.response_mask)",
        killed_by="rl.methods.test_ppo:test_micro_batches_change_nothing",
    ),
    Mutant(
        mistake="PPO: a batch that keeps company counted in the moments",
        module=PPO,
        old="add_up(Moments.of(a, b.response_mask) for a, b in parts if b.counts)",
        new="add_up(Moments.of(a, b.response_mask) for a, b in parts)",
        killed_by="rl.methods.test_ppo:test_a_batch_that_only_keeps_company_is_in_no_sum",
    ),
    Mutant(
        mistake="V_t read at the token itself, which has seen what it is to expect",
        module="mathwright.lm.heads",
        old="hidden.flatten(0, 1)[batch.source_index.to(hidden.device)]",
        new="hidden.flatten(0, 1)[batch.token_index.to(hidden.device)]",
        killed_by="lm.test_heads:test_the_head_is_read_at_a_token_for_steps_before_it_for_values_and_at_the_last_for_outcomes",
    ),
    Mutant(
        mistake="the KL that is steered with its sign flipped",
        module=PPO,
        old="sums = (scored.behavior_logprobs - ref)",
        new="sums = (ref - scored.behavior_logprobs)",
        killed_by="rl.methods.test_ppo:test_the_kl_that_is_steered_is_a_sum_over_a_response",
    ),
    Mutant(
        mistake="beta falls where the KL is above its target",
        module="mathwright.rl.kl_control",
        old="kl / self.target - 1",
        new="1 - kl / self.target",
        killed_by="rl.methods.test_ppo:test_beta_follows_the_kl_of_a_response",
    ),
    Mutant(
        mistake="value clipped around the new value in the place of the old one",
        module=LOSSES,
        old="clipped = old + (values - old).clamp(-clip_range, clip_range)",
        new="clipped = values + (old - values).clamp(-clip_range, clip_range)",
        killed_by="rl.methods.test_ppo:test_the_value_is_clipped_towards_what_it_was",
    ),
    Mutant(
        mistake="GAE: the two lambdas exchanged",
        module=PPO,
        old="at_value = generalized_advantages(rewards, values, mask, gamma=1.0, lam=self.lambda_value)",
        new="at_value = generalized_advantages(rewards, values, mask, gamma=1.0, lam=self.lambda_policy)",
        killed_by="rl.methods.test_ppo:test_the_lambdas_of_targets_and_policy_are_apart",
    ),
    Mutant(
        mistake="a gate that opens where nothing is explained",
        module=PPO,
        old="not (explained is not None and explained > 0)",
        new="explained is not None and explained > 0",
        killed_by="rl.methods.test_ppo:test_the_gate_takes_the_mean_of_the_group_where_values_explain_nothing",
    ),
    Mutant(
        mistake="explained variance from the square of the errors in the place of their variance",
        module="mathwright.rl.explained",
        old="1 - errors.variance / returns.variance",
        new="1 - errors.squares / errors.count / returns.variance",
        killed_by="rl.methods.test_ppo:test_explained_variance_adds_up_and_is_what_it_says",
    ),
    # other bounds of the ratio
    Mutant(
        mistake="GSPO: the ratio of the whole response without the root",
        module="mathwright.rl.ratio_losses",
        old="torch.exp((policy - behavior).sum(1) / lengths)",
        new="torch.exp((policy - behavior).sum(1))",
        killed_by="rl.test_ratio_losses:test_gspo_weighs_every_token_by_the_ratio_of_its_response",
    ),
    Mutant(
        mistake="CISPO: the bounded ratio not detached",
        module="mathwright.rl.ratio_losses",
        old="ratio = torch.exp(policy.detach() - behavior)",
        new="ratio = torch.exp(policy - behavior)",
        killed_by="rl.test_ratio_losses:test_cispo_keeps_the_gradient_of_every_token",
    ),
    Mutant(
        mistake="importance weights upside down",
        module="mathwright.rl.correction",
        old="torch.exp((behavior_logprobs - sampled_logprobs)",
        new="torch.exp((sampled_logprobs - behavior_logprobs)",
        killed_by="rl.methods.test_rows:test_importance_weights_make_the_mean_that_of_the_policy",
    ),
    Mutant(
        mistake="distillation towards the policy in the place of the teacher",
        module="mathwright.rl.methods.distill",
        old="scored.ref_logprobs - scored.behavior_logprobs",
        new="scored.behavior_logprobs - scored.ref_logprobs",
        killed_by="rl.methods.test_rows:test_distillation_lowers_the_divergence_from_the_teacher",
    ),
    Mutant(
        mistake="a gate that never closes",
        module=LEARN,
        old="if gaps.mean <= self.recipe.max_logprob_gap:",
        new="if True:",
        killed_by="rl.test_learn:test_the_gate_closes_where_the_generator_says_something_else",
    ),
    Mutant(
        mistake="seeds by the place in the wave: two waves draw the same",
        module=EXPLORE,
        old="self._seed(step, first + p, g)",
        new="self._seed(step, p, g)",
        killed_by="rl.test_explore:test_seeds_belong_to_the_place_in_the_step_not_in_the_wave",
    ),
    Mutant(
        mistake="further problems asked at the places of those already asked",
        module=EXPLORE,
        old="start = position + first",
        new="start = position",
        killed_by="rl.test_explore:test_seeds_belong_to_the_place_in_the_step_not_in_the_wave",
    ),
    Mutant(
        mistake="dynamic sampling keeps the groups it replaces",
        module=EXPLORE,
        old="if not recipe.max_resampling or not nothing_to_prefer(g)",
        new="if True",
        killed_by="rl.test_explore:test_dynamic_sampling_asks_further_problems_for_groups_of_equal_rewards",
    ),
]


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """The functions of the mutated source stand in the place of the real ones meanwhile."""
    module = importlib.import_module(mutant.module)
    source = inspect.getsource(module)
    if source.count(mutant.old) != 1:
        raise ValueError(f"{mutant.module} has {source.count(mutant.old)} places {mutant.old!r}; adapt the mutant")
    twin = types.ModuleType(mutant.module)
    exec(compile(source.replace(mutant.old, mutant.new), f"<mutant of {mutant.module}>", "exec"), twin.__dict__)
    real = {
        name: value
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == mutant.module
    }
    try:
        for name in real:
            setattr(module, name, twin.__dict__[name])
        yield
    finally:
        for name, value in real.items():
            setattr(module, name, value)


def calls(killed_by: str) -> Iterator[Callable[[], Any]]:
    """The test as calls without arguments, one for each of its parameter sets (`test[value]`: that one alone)."""
    path, _, name = killed_by.partition(":")
    name, _, chosen = name.partition("[")
    test = getattr(importlib.import_module(f"tests.{path}"), name)
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    if not marks:
        yield test
        return
    names, values = marks[0].args
    for value in values:
        arguments = dict(zip(names, value, strict=True)) if isinstance(names, tuple) else {names: value}
        if not chosen or list(map(str, arguments.values())) == [chosen.rstrip("]")]:
            yield lambda arguments=arguments: test(**arguments)


def killed(mutant: Mutant) -> bool:
    """Whether the named test fails on the mutant."""
    # before anything is replaced: what a test module binds as it is imported must be the real thing
    importlib.import_module(f"tests.{mutant.killed_by.partition(':')[0]}")
    with applied(mutant):
        for call in calls(mutant.killed_by):
            try:
                call()
            except (AssertionError, RuntimeError, pytest.fail.Exception):
                return True
    return False


def main() -> int:
    """Print the table of the mutants; the exit status is the number that survive."""
    survivors = 0
    for mutant in MUTANTS:
        verdict = "killed" if killed(mutant) else "SURVIVES"
        survivors += verdict == "SURVIVES"
        print(f"| {verdict} | {mutant.module} | {mutant.mistake} | {mutant.killed_by} |")
    return survivors


if __name__ == "__main__":
    sys.exit(main())
