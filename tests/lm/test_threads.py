"""As many threads as there are free cores, chosen when a stage begins and kept where it goes on."""

from collections.abc import Iterator

import pytest
import torch

from mathwright.lm import threads
from mathwright.machine import Machine, busy_cores, used_seconds

STAT = """\
cpu  400 0 100 9000 50 7 3 0 0 0
cpu0 100 1 50 4000 10 2 1 9 5 5
cpu1 300 2 50 5000 40 5 2 9 5 5
cpu10 900 0 0 1 0 0 0 0 0 0
intr 1 2 3
"""


def test_only_work_on_our_cores_counts() -> None:
    assert used_seconds(STAT, [0], 100) == pytest.approx(1.54)
    assert used_seconds(STAT, [0, 1], 100) == pytest.approx(1.54 + 3.59)
    assert used_seconds(STAT, [10], 100) == pytest.approx(9.0)
    assert used_seconds(STAT, [2], 100) == 0.0


def test_this_machine_is_watched() -> None:
    assert busy_cores(0.02) >= 0.0


@pytest.mark.parametrize(
    ("cores", "busy", "free"),
    [(2, 0.0, 2), (2, 0.4, 2), (2, 0.6, 1), (2, 1.0, 1), (2, 2.0, 1), (1, 0.9, 1), (64, 0.3, 64), (64, 30.2, 34)],
)
def test_free_cores(cores: int, busy: float, free: int) -> None:
    assert threads.free_cores(cores, busy) == free


@pytest.fixture
def of_two(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Two cores, of which another program keeps one busy; torch may use two threads."""
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(threads, "this_machine", lambda: Machine(num_cores=2, memory_bytes=2**30))
    monkeypatch.setattr(threads, "busy_cores", lambda: 1.0)
    torch.set_num_threads(2)
    yield monkeypatch
    torch.set_num_threads(before)


def test_one_thread_beside_a_busy_program(of_two: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with threads.fitted(said.append) as number:
        assert number == torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2, "the next stage looks again"
    (line,) = said
    assert line.startswith("computes on 1 thread: other programs keep 1.0 of 2 cores busy")


def test_nothing_is_said_on_an_idle_machine(of_two: pytest.MonkeyPatch) -> None:
    of_two.setattr(threads, "busy_cores", lambda: 0.1)
    said: list[str] = []
    with threads.fitted(said.append) as number:
        assert number == torch.get_num_threads() == 2
    assert said == []


def test_work_goes_on_with_the_number_it_began_with(of_two: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with threads.fitted(said.append, begun_with=2) as number:
        assert number == torch.get_num_threads() == 2
    assert "as it began" in said[0] and "OMP_NUM_THREADS=1 is faster" in said[0]
    of_two.setattr(threads, "busy_cores", lambda: 0.0)
    with threads.fitted(said.append, begun_with=1) as number:
        assert number == torch.get_num_threads() == 1
    assert "goes on on 1 thread, as it began" in said[1], (
        "nor is half the speed of an idle machine passed over in silence"
    )


@pytest.mark.parametrize("given", ["2", "1"])
def test_who_sets_a_number_has_it(of_two: pytest.MonkeyPatch, given: str) -> None:
    of_two.setenv("OMP_NUM_THREADS", given)
    with threads.fitted(pytest.fail) as number:
        assert number == torch.get_num_threads() == 2, "torch was told before"


def test_a_torch_of_one_thread_is_not_watched(of_two: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    of_two.setattr(threads, "busy_cores", pytest.fail)
    with threads.fitted(pytest.fail) as number:
        assert number == torch.get_num_threads() == 1
