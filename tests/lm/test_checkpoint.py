"""Checkpoints: parts with their optimisers, which are kept, what does not fit, and those of earlier versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.lm import checkpoint
from mathwright.lm.optimise import Optimiser
from tests.lm.conftest import adamw, earlier_checkpoint

NARROW, WIDE = torch.bfloat16, torch.float32


def network(dtype: torch.dtype = WIDE, width: int = 6) -> torch.nn.Module:
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(5, width), torch.nn.Linear(width, 2)).to(dtype)


def tied_network(dtype: torch.dtype) -> torch.nn.Module:
    """One weight under two names, as embedding and output layer may be."""
    torch.manual_seed(3)
    first, second = torch.nn.Linear(5, 5), torch.nn.Linear(5, 5)
    second.weight = first.weight
    return torch.nn.Sequential(first, second).to(dtype)


class Two:
    """A policy and a critic in training, each with its optimiser."""

    def __init__(self) -> None:
        self.parts = {"policy": network(NARROW), "critic": network(WIDE, 4)}
        self.optimisers = {name: Optimiser(part, adamw(), num_steps=9) for name, part in self.parts.items()}

    def step(self, *names: str) -> None:
        """Draws its input, so that the random state must come back too."""
        for name in names:
            part = self.parts[name]
            part(torch.randn(3, 5).to(next(part.parameters()).dtype)).float().square().sum().backward()
            self.optimisers[name].accumulate()
            self.optimisers[name].step()

    def save(self, folder: Path, step: int) -> Path:
        return checkpoint.save(folder, parts=self.parts, optimisers=self.optimisers, step=step)

    def weights(self) -> list[Tensor]:
        return [p.detach().clone() for part in self.parts.values() for p in part.parameters()]


def assert_equal(found: list[Tensor], expected: list[Tensor]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_parts_and_their_optimisers_continue_exactly(tmp_path: Path) -> None:
    """They have had different numbers of updates, and the weights of one are narrow."""
    straight = Two()
    straight.step("policy", "critic", "critic")
    path = straight.save(tmp_path, 1)
    straight.step("policy", "critic")
    resumed = Two()
    assert checkpoint.restore(path, parts=resumed.parts, optimisers=resumed.optimisers).step == 1
    assert {name: o.num_updates for name, o in resumed.optimisers.items()} == {"policy": 1, "critic": 2}
    resumed.step("policy", "critic")
    assert_equal(resumed.weights(), straight.weights())


def test_one_part_can_be_restored_alone(tmp_path: Path) -> None:
    two = Two()
    two.step("policy", "critic")
    path = two.save(tmp_path, 1)
    critic = network(WIDE, 4)
    checkpoint.restore(path, parts={"critic": critic})
    assert_equal(list(critic.parameters()), list(two.parts["critic"].parameters()))


def test_a_weight_that_has_had_no_gradient_has_no_moments(tmp_path: Path) -> None:
    def training() -> tuple[torch.nn.Module, Optimiser]:
        net = network()
        return net, Optimiser(net, adamw(), num_steps=3)

    def step(net: Any, optimiser: Optimiser, layers: int) -> None:
        net[:layers](torch.ones(1, 5)).sum().backward()
        optimiser.step()

    straight, optimiser = training()
    step(straight, optimiser, 1)
    path = checkpoint.save(tmp_path, parts={"net": straight}, optimisers={"net": optimiser}, step=1)
    step(straight, optimiser, 2)
    resumed, again = training()
    checkpoint.restore(path, parts={"net": resumed}, optimisers={"net": again})
    step(resumed, again, 2)
    assert_equal(list(resumed.parameters()), list(straight.parameters()))


def test_the_last_two_are_kept_and_extra_state_returns(tmp_path: Path) -> None:
    net = network()
    trained: dict[str, Any] = {"parts": {"net": net}, "optimisers": {"net": Optimiser(net, adamw(), num_steps=5)}}
    (tmp_path / "step-00000003.partial").write_bytes(b"cut short by a kill, by an earlier version")
    (tmp_path / "step-00000002.partial").mkdir()
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, **trained, step=step, extra={"position": step, "t": torch.ones(2)})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]
    assert checkpoint.oldest_step(tmp_path) == 2
    newest = checkpoint.latest(tmp_path)
    assert newest is not None
    restored = checkpoint.restore(newest, **trained)
    assert (restored.step, restored.extra["position"], restored.extra["t"].sum().item()) == (3, 3, 2.0)
    checkpoint.keep_only(newest)
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000003"]
    assert checkpoint.latest(tmp_path / "nowhere") is None


@pytest.mark.parametrize(("dtype", "width", "told"), [(WIDE, 7, "weights/0.bias"), (NARROW, 6, "not of these weights")])
def test_another_model_is_refused_before_anything_is_changed(
    tmp_path: Path, dtype: torch.dtype, width: int, told: str
) -> None:
    net, other = network(), network(dtype, width)
    path = checkpoint.save(
        tmp_path, parts={"net": net}, optimisers={"net": Optimiser(net, adamw(), num_steps=1)}, step=1
    )
    optimiser = Optimiser(other, adamw(), num_steps=1)
    before = [p.detach().clone() for p in other.parameters()]
    with pytest.raises(ValueError, match=told):
        checkpoint.restore(path, parts={"net": other}, optimisers={"net": optimiser})
    assert_equal(list(other.parameters()), before)


# --- earlier versions -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [WIDE, NARROW])
@pytest.mark.parametrize("name", ["step-00000004.pt", "step-00000004.ranks/rank-0-of-1.pt"])
def test_a_training_of_an_earlier_version_resumes_exactly(tmp_path: Path, dtype: torch.dtype, name: str) -> None:
    def step(net: torch.nn.Module, optimiser: Optimiser) -> None:
        net(torch.randn(3, 5).to(dtype)).float().square().sum().backward()
        optimiser.accumulate()
        optimiser.step()

    straight = tied_network(dtype)
    optimiser = Optimiser(straight, adamw(warmup_steps=3), num_steps=9)
    step(straight, optimiser)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    torch.save(earlier_checkpoint(straight, optimiser), tmp_path / name)
    step(straight, optimiser)

    resumed = tied_network(dtype)
    again = Optimiser(resumed, adamw(warmup_steps=3), num_steps=9)
    newest = checkpoint.latest(tmp_path)
    assert newest is not None
    restored = checkpoint.restore(newest, parts={"model": resumed}, optimisers={"model": again})
    assert restored == checkpoint.Restored(4, {"position": 17})
    step(resumed, again)
    assert_equal(list(resumed.parameters()), list(straight.parameters()))
    checkpoint.save(tmp_path, parts={"model": resumed}, optimisers={"model": again}, step=5)
    checkpoint.keep_only(tmp_path / "step-00000005")
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000005"]


def test_shards_of_an_earlier_version_fit_their_number_of_processes(tmp_path: Path) -> None:
    folder = tmp_path / "step-00000004.ranks"
    folder.mkdir()
    for rank in range(2):
        (folder / f"rank-{rank}-of-2.pt").write_bytes(b"")
    with pytest.raises(MathwrightError, match="in 2 processes, and this training has 1") as caught:
        checkpoint.restore(folder, parts={"model": network()})
    assert "--nproc-per-node 2" in caught.value.hint
    assert len(list(folder.iterdir())) == 2


def test_a_training_is_saved_by_steps_and_by_the_clock() -> None:
    now = 0.0
    due = checkpoint.Due(10, clock=lambda: now)
    saved = []
    for done in range(1, 31):  # a step a minute
        now += 60
        if due.now(done):
            saved.append(done)
            with due.saving():
                now += 1
    assert saved == [5, 10, 15, 20, 25, 30]


def test_saving_that_takes_long_is_done_less_often() -> None:
    now = 0.0
    due = checkpoint.Due(1_000, clock=lambda: now)
    saved = []
    for done in range(1, 61):
        now += 60
        if due.now(done):
            saved.append(done)
            with due.saving():
                now += 60
    assert saved == [5, 25, 45]  # a minute of twenty


def test_a_training_without_checkpoints_is_not_saved_by_the_clock_either() -> None:
    now = 0.0
    due = checkpoint.Due(0, clock=lambda: now)
    now = 10_000.0
    assert not due.now(7)
