"""The optimiser against torch's AdamW, the schedule against §2.2, and what bfloat16 weights need."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from mathwright.errors import MathwrightError
from mathwright.lm.optimise import Float32Copy, Optimiser, learning_rate
from tests.lm.conftest import adamw
from tests.oracles.lm import adamw_step


def module(dtype: torch.dtype = torch.float32) -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.LayerNorm(5), torch.nn.Linear(5, 3)).to(dtype)


def backward(net: Any, step: int, scale: float = 1.0) -> None:
    x = torch.randn(7, 6, generator=torch.Generator().manual_seed(step)).to(next(net.parameters()).dtype)
    (scale * net(x).float().square().sum()).backward()


def test_float32_equals_torch_adamw_with_clipping():
    ours, theirs = module(), module()
    optimiser = Optimiser(ours, adamw(clip_norm=0.5), num_steps=10)
    matrices = [p for p in theirs.parameters() if p.ndim >= 2]
    vectors = [p for p in theirs.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), eps=1e-8, foreach=False)
    for step in range(10):
        backward(ours, step)
        optimiser.accumulate()
        backward(ours, step + 100)
        optimiser.accumulate()
        norm = optimiser.step()
        backward(theirs, step)
        backward(theirs, step + 100)
        expected = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        reference.step()
        reference.zero_grad()
        assert norm == pytest.approx(float(expected), rel=1e-5)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_float32_weights_are_not_kept_twice():
    net = module()
    assert Optimiser(net, adamw(), num_steps=1).state_dict().keys() == {"num_updates"}


@pytest.mark.parametrize("value", [1.0, -1.0, 3e-39, 1e-45, -2e-38, 65280.0, 1e30, 0.0, -0.0])
def test_a_float32_copy_is_kept_to_the_bit(value):
    """Around `value`, in steps of one bit of float32: two units of bfloat16 to either side."""
    start = torch.tensor(value).view(torch.int32)
    bits = start + torch.arange(-(2**17), 2**17, dtype=torch.int32)
    truth = bits.view(torch.float32)
    truth = truth[truth.isfinite()]
    weight = truth.bfloat16()
    copy = Float32Copy(weight)
    copy.restore()
    with torch.no_grad():
        copy.whole.copy_(truth)
    copy.split()
    assert torch.equal(weight.view(torch.int16), truth.bfloat16().view(torch.int16))
    assert copy.whole.untyped_storage().nbytes() == 0
    copy.restore()
    found, expected = copy.whole.detach().view(torch.int32), truth.view(torch.int32)
    between = (expected & 0xFFFF) == 0x8000  # two weights are as near; one of them is above, and cannot be said
    assert torch.equal(found[~between], expected[~between])
    assert (expected - found)[between].abs().max() <= 1
    assert (expected == found)[between].any()


def test_only_bfloat16_has_a_float32_copy():
    with pytest.raises(MathwrightError, match="float16"):
        Optimiser(module(torch.float16), adamw(), num_steps=1)


def test_bfloat16_equals_the_naive_float32_computation():
    """Two micro-batches a step, Adam by its definition in float32; bfloat16 weights make the gradient only."""
    net = module(torch.bfloat16)
    optimiser = Optimiser(net, adamw(clip_norm=0.0), num_steps=20)
    masters = [p.detach().float() for p in net.parameters()]
    moments = [(torch.zeros_like(m), torch.zeros_like(m)) for m in masters]
    for step in range(1, 21):
        grads = [torch.zeros_like(m) for m in masters]
        for part in (0, 1):
            twin = copy.deepcopy(net)
            backward(twin, 2 * step + part)
            grads = [g + p.grad.float() for g, p in zip(grads, twin.parameters(), strict=True)]
            backward(net, 2 * step + part)
            optimiser.accumulate()
            assert all(p.grad is None for p in net.parameters())
        optimiser.step()
        for i, grad in enumerate(grads):
            masters[i], *rest = adamw_step(
                masters[i], grad, *moments[i], step, lr=1e-2, betas=(0.9, 0.95), eps=1e-8,
                decay=0.1 if masters[i].ndim >= 2 else 0.0,
            )  # fmt: skip
            moments[i] = (rest[0], rest[1])
    for weight, master in zip(net.parameters(), masters, strict=True):
        torch.testing.assert_close(weight, master.bfloat16())


def test_updates_too_small_for_bfloat16_add_up():
    net = torch.nn.Linear(1, 1, bias=False, dtype=torch.bfloat16)
    torch.nn.init.ones_(net.weight)
    optimiser = Optimiser(net, adamw(lr=1e-4, weight_decay=0.0), num_steps=100)
    for _ in range(100):
        net(torch.ones(1, 1, dtype=torch.bfloat16)).sum().backward()
        optimiser.accumulate()
        optimiser.step()
    assert net.weight.item() == pytest.approx(0.99, abs=0.004)


def test_a_gradient_that_is_not_finite_changes_nothing():
    net = module()
    optimiser = Optimiser(net, adamw(), num_steps=2)
    before = copy.deepcopy(net.state_dict())
    backward(net, 0, scale=float("nan"))
    optimiser.accumulate()
    assert not torch.isfinite(torch.tensor(optimiser.step()))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert optimiser.num_updates == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_state_continues_exactly(dtype):
    straight, resumed = module(dtype), module(dtype)
    recipe = adamw(warmup_steps=3)

    def run(net, optimiser, steps):
        for step in steps:
            backward(net, step)
            optimiser.accumulate()
            optimiser.step()

    whole = Optimiser(straight, recipe, num_steps=8)
    run(straight, whole, range(8))
    first = Optimiser(resumed, recipe, num_steps=8)
    run(resumed, first, range(4))
    state, weights = copy.deepcopy(first.state_dict()), copy.deepcopy(resumed.state_dict())
    again = module(dtype)
    second = Optimiser(again, recipe, num_steps=8)
    again.load_state_dict(weights)
    for name, value in second.state_to_fill(state.keys()).items():
        value.copy_(state[name])
    run(again, second, range(4, 8))
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), again.parameters(), strict=True))


def test_schedule_of_the_paper():
    """§2.2: 2,000 warm-up steps, x 31.6% after 80%, x 10% after 90% of 37,500 steps."""
    recipe = adamw(lr=5.3e-4, warmup_steps=2000, decay=((0.8, 0.316), (0.9, 0.1)))
    rate = lambda step: learning_rate(recipe, step, 37_500) / 5.3e-4  # noqa: E731
    assert rate(0) == pytest.approx(1 / 2000)
    assert rate(999) == pytest.approx(0.5)
    assert [rate(s) for s in (1999, 29_999, 30_000, 33_749, 33_750, 37_499)] == pytest.approx(
        [1.0, 1.0, 0.316, 0.316, 0.1, 0.1]
    )


def test_frozen_parameters_are_left_alone():
    net = module()
    net[0].requires_grad_(False)
    before = net[0].weight.clone()
    optimiser = Optimiser(net, adamw(), num_steps=1)
    backward(net, 0)
    optimiser.accumulate()
    optimiser.step()
    assert torch.equal(net[0].weight, before)
    with pytest.raises(ValueError, match="no gradient"):
        optimiser.step()
    with pytest.raises(ValueError, match="no trainable"):
        Optimiser(net.requires_grad_(False), adamw(), num_steps=1)
