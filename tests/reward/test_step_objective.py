"""What the process reward model minimises: each term against a loop over responses, steps and tokens."""

import dataclasses
import math

import pytest
import torch

from mathwright.lm import heads
from mathwright.lm.logprobs import response_logprobs
from mathwright.lm.model import LanguageModel, RewardModel
from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.scratch import from_scratch
from mathwright.records import StepLabels
from mathwright.reward.recipe import RewardRecipe
from mathwright.reward.step_objective import StepExample, pack_steps, step_objective

NAN = math.nan
RECORDS = [
    ("1 + 1 =", "a b c d", (3, 7), (1.0, 0.0)),
    ("1 + 1 =", "a b", (3,), (1.0,)),
    ("2 + 5 =", "abcdef", (2, 4, 6), (1.0, None, 0.75)),
    ("3 + 3 =", "xy", (1, 2), (None, 0.25)),
]
LABELS_OF_TOKENS = [
    [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],  # the end token belongs to the last step
    [1.0, 1.0, 1.0, 1.0, NAN, NAN, NAN, NAN],
    [1.0, 1.0, NAN, NAN, 0.75, 0.75, 0.75, NAN],
    [NAN, 0.25, 0.25, NAN, NAN, NAN, NAN, NAN],
]
RIGHT = [False, True, True, False]


@pytest.fixture(scope="module")
def models() -> tuple[LanguageModel, RewardModel]:
    scratch = ScratchRecipe(vocab_size=259, width=16, num_layers=1, num_heads=2, num_kv_heads=1, ffn_width=32)
    lm = from_scratch(scratch, ["1 + 1"], max_length=64, seed=0)
    return lm, heads.from_language_model(lm, seed=0)


def examples(reward_model: RewardModel) -> list[StepExample]:
    made = []
    for prompt, response, ends, labels in RECORDS:
        group = heads.token_group(reward_model, prompt, [response])
        tokens = tuple(group.responses[0])
        assert len(tokens) == len(response) + 1, "a byte a token, and the end"
        record = StepLabels(problem_id="p", prompt=prompt, response=response, step_ends=ends, labels=labels)
        last = [end - 1 if end < len(response) else len(tokens) - 1 for end in ends]
        made.append(StepExample(record=record, prompt=tuple(group.prompt), tokens=tokens, ends=tuple(last)))
    return made


def cross_entropy(score: float, label: float) -> float:
    p = 1 / (1 + math.exp(-score))
    return -(label * math.log(p) + (1 - label) * math.log(1 - p))


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def test_each_token_has_the_label_of_its_step(models):
    (batch,) = pack_steps(examples(models[1]), 500)
    torch.testing.assert_close(batch.token_labels(), torch.tensor(LABELS_OF_TOKENS), equal_nan=True)
    assert batch.right().tolist() == RIGHT


def test_terms_are_those_of_the_loop(models):
    lm, reward_model = models
    (batch,) = pack_steps(examples(reward_model), 500)
    scores = heads.token_scores(reward_model, batch.batch).tolist()
    logprobs = response_logprobs(lm, batch.batch).tolist()
    at_ends, at_tokens, language = [], [], []
    for b, example in enumerate(examples(reward_model)):
        labelled = [(j, y) for j, y in zip(example.ends, example.record.labels, strict=True) if y is not None]
        at_ends.append(mean([cross_entropy(scores[b][j], y) for j, y in labelled]))
        carried = [(t, y) for t, y in enumerate(LABELS_OF_TOKENS[b]) if not math.isnan(y)]
        at_tokens.append(mean([cross_entropy(scores[b][t], y) for t, y in carried]))
        language.append(mean([-logprobs[b][t] for t in range(len(example.tokens))]) if RIGHT[b] else 0.0)
    recipe = RewardRecipe(kind="process", token_weight=0.5, language_weight=2.0)
    loss, stats = step_objective(recipe, reward_model, batch, lm)
    assert stats["step_loss"] == pytest.approx(mean(at_ends), rel=1e-5)
    assert stats["token_loss"] == pytest.approx(mean(at_tokens), rel=1e-5)
    assert stats["language_loss"] == pytest.approx(mean(language), rel=1e-5)
    assert loss.item() == pytest.approx(mean(at_ends) + mean(at_tokens) / 2 + 2 * mean(language), rel=1e-5)
    alone, only = step_objective(RewardRecipe(kind="process"), reward_model, batch, lm)
    assert alone.item() == pytest.approx(mean(at_ends), rel=1e-5)
    assert set(only) == {"step_loss", "accuracy"}


def test_micro_batches_add_up(models):
    lm, reward_model = models
    recipe = RewardRecipe(kind="process", token_weight=0.5, language_weight=2.0)
    (all_at_once,) = pack_steps(examples(reward_model), 500)
    whole = step_objective(recipe, reward_model, all_at_once, lm)
    packed = pack_steps(examples(reward_model), 12)
    assert len(packed) > 2
    parts = [step_objective(recipe, reward_model, micro, lm) for micro in packed]
    torch.testing.assert_close(sum(loss for loss, _ in parts), whole[0])
    assert sum(stats["accuracy"] for _, stats in parts) == pytest.approx(whole[1]["accuracy"])


def test_the_next_token_is_learned_through_the_body_the_two_share(models):
    """L_language alone moves the weights of the body, which the reward model has in common with the language model."""
    lm, reward_model = models
    (batch,) = pack_steps(examples(reward_model), 500)
    norms = []
    for weight in (0.0, 1.0):
        reward_model.model.zero_grad()
        loss, _ = step_objective(RewardRecipe(kind="process", language_weight=weight), reward_model, batch, lm)
        loss.backward()
        norms.append(next(lm.model.base_model.layers.parameters()).grad.norm().item())
    reward_model.model.zero_grad()
    assert dataclasses.astuple(batch)[3] == 4 and norms[0] != pytest.approx(norms[1], rel=1e-3)
