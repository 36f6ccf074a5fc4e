"""The loop: exact resumption, checkpoints, and what it does when a number stops being one."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from mathwright.errors import MathwrightError
from mathwright.lm.logprobs import next_token_losses
from mathwright.lm.loop import CHECKPOINTS, Training, fit
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import Example, PackedRows, pack_examples
from mathwright.run import RunDirectory, Stage
from tests.lm.conftest import adamw, tiny_lm

NUM_STEPS = 7


class KilledError(Exception):
    pass


def make_stage(path) -> Stage:
    return RunDirectory(path, recipe_name="test", recipe={}).stage("train")


def batches(step: int) -> list[PackedRows]:
    rng = random.Random(step)
    examples = [Example([rng.randrange(200) for _ in range(9)], [True] * 9) for _ in range(6)]
    return pack_examples(examples, 32, rng)


def loss(lm: LanguageModel, rows: PackedRows) -> tuple[torch.Tensor, dict[str, float]]:
    # uses all three random states, which a checkpoint must therefore restore
    noise = 1 + 0.01 * (torch.rand(()) + np.random.rand() + random.random())
    return noise * next_token_losses(lm, rows).sum() / 48, {"tokens": rows.num_tokens}


def train(stage: Stage, dtype: torch.dtype, *, stop_at: int | None = None) -> LanguageModel:
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    lm = tiny_lm(dtype)

    def until_killed(step: int) -> list[PackedRows]:
        if step == stop_at:
            raise KilledError
        return batches(step)

    fit(lm, stage, Training(
        optimiser=adamw(warmup_steps=2), num_steps=NUM_STEPS, batches=until_killed, loss=loss,
        checkpoint_every=2, evaluate=lambda step: {"weight": float(next(lm.model.parameters()).float().sum())},
        evaluate_every=3, description="test",
    ))  # fmt: skip
    return lm


def without_times(stage: Stage) -> list[dict]:
    return [{k: v for k, v in m.items() if k not in ("time", "seconds")} for m in stage.metrics()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("stop_at", [1, 2, 5, 6])
def test_killed_and_resumed_equals_never_stopped(tmp_path, dtype, stop_at, capsys):
    straight = train(make_stage(tmp_path / "a"), dtype)
    with pytest.raises(KilledError):
        train(make_stage(tmp_path / "b"), dtype, stop_at=stop_at)
    resumed = train(make_stage(tmp_path / "b"), dtype)
    for a, b in zip(straight.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert without_times(make_stage(tmp_path / "a")) == without_times(make_stage(tmp_path / "b"))
    said = capsys.readouterr().err
    assert ("begins again" if stop_at == 1 else f"resuming after step {stop_at // 2 * 2} of 7") in said


def test_a_finished_training_is_not_trained_again(tmp_path):
    first = train(make_stage(tmp_path), torch.float32)
    again = train(make_stage(tmp_path), torch.float32, stop_at=0)
    for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert len(list((make_stage(tmp_path).path / CHECKPOINTS).iterdir())) == 1


def test_metrics_and_loss_fall(tmp_path):
    stage = make_stage(tmp_path)
    lm = tiny_lm()
    fit(lm, stage, Training(
        optimiser=adamw(), num_steps=30, batches=lambda _: batches(0), loss=loss,
        checkpoint_every=0, description="test",
    ))  # fmt: skip
    measured = [m for m in stage.metrics() if m["kind"] == "train"]
    assert [m["step"] for m in measured] == list(range(30))
    assert measured[-1]["loss"] < 0.5 * measured[0]["loss"]
    assert measured[0]["tokens"] == 54
    assert measured[0]["lr"] == 1e-2
    assert not lm.model.training


def test_micro_batches_change_nothing(tmp_path):
    models = []
    for name, row_tokens in (("a", 9), ("b", 64)):
        lm = tiny_lm(torch.float64)
        examples = [Example([random.Random(n).randrange(200) for _ in range(9)], [True] * 9) for n in range(6)]
        packed = pack_examples(examples, row_tokens, None)
        assert len(packed) == (6 if name == "a" else 1)
        fit(lm, make_stage(tmp_path / name), Training(
            optimiser=adamw(), num_steps=3, batches=lambda _, p=packed: p,
            loss=lambda lm, rows: (next_token_losses(lm, rows).sum() / 48, {}), checkpoint_every=0, description="test",
        ))  # fmt: skip
        models.append(lm.model)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_batch(tmp_path, what):
    stage = make_stage(tmp_path)

    def bad(lm: LanguageModel, rows: PackedRows) -> tuple[torch.Tensor, dict[str, float]]:
        value = next_token_losses(lm, rows).mean()
        # sqrt has an infinite slope at 0: a finite loss whose gradient is not
        return (value * float("nan"), {}) if what == "loss" else ((value - value.detach()).sqrt() + 0 * value, {})

    with pytest.raises(MathwrightError, match=f"the {what} of step 0 is not finite"):
        fit(tiny_lm(), stage, Training(
            optimiser=adamw(), num_steps=2, batches=batches, loss=bad,
            checkpoint_every=0, description="test",
        ))  # fmt: skip
    saved = torch.load(stage.path / "not-finite-step-0.pt", weights_only=False)
    saved = saved if isinstance(saved, PackedRows) else saved[0]
    assert torch.equal(saved.tokens, batches(0)[0].tokens)
