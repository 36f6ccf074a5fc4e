"""Exploration with a generator of paper: what is asked, with which seeds, and what is kept."""

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mathwright.engines.respond import EncodedPrompt
from mathwright.records import Completion
from mathwright.rl import explore
from mathwright.rl.buffer import RolloutBuffer
from mathwright.rl.rewards import FunctionReward
from mathwright.rl.rollout import drawn_indices, response_seed
from tests.rl import toy

PROMPTS = [EncodedPrompt(prompt=toy.asked(p, p.question), tokens=(i,)) for i, p in enumerate(toy.PROBLEMS)]


class Paper:
    """A generator that answers with the seed, and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[tuple[int, ...]], list[list[int]]]] = []

    def generate(self, prompts: Any, sampling: Any, *, seeds: Any, **_: Any) -> list[list[Completion]]:
        self.calls.append((list(prompts), [list(row) for row in seeds]))
        return [[written(seed) for seed in row] for row in seeds]


def written(seed: int) -> Completion:
    return Completion(tokens=(1,), logprobs=(0.0,), sampled=(True,), text=str(seed), finish="stop")


def explored(paper: Paper, reward: Any, *, step: int = 3, position: int = 7, folder: str | None = None, **changes: Any):
    recipe = toy.recipe(problems_per_step=4, group_size=2, **changes)
    with tempfile.TemporaryDirectory() as own:
        explorer = explore.Explorer(
            recipe=recipe,
            prompts=PROMPTS,
            rewards=[(FunctionReward(reward, "reward"), 1.0)],
            steps=None,
            tokenizer=None,
            buffer=RolloutBuffer(Path(folder or own)),
            seed=5,
        )
        return explorer.explore(step, position, lambda: nullcontext(paper), None)


def varied(problem: Any, completion: Completion) -> float:
    return int(completion.text) % 1000 / 1000


def test_seeds_belong_to_the_place_in_the_step_not_in_the_wave():
    whole, parts = Paper(), Paper()
    one = explored(whole, varied)
    several = explored(parts, varied, wave_responses=2)
    assert (len(whole.calls), len(parts.calls)) == (1, 4)
    seeds = [row for _, rows in parts.calls for row in rows]
    assert seeds == whole.calls[0][1] == [[response_seed(5, 3, p, g) for g in range(2)] for p in range(4)]
    assert one.groups == several.groups
    assert one.position == several.position == 11
    asked = [PROMPTS[i].tokens for i in drawn_indices(5, 7, 11, 5)]
    assert [prompt for prompts, _ in parts.calls for prompt in prompts] == asked == whole.calls[0][0]


def test_finished_waves_are_read_and_not_asked_again():
    with tempfile.TemporaryDirectory() as folder:
        first = explored(Paper(), varied, wave_responses=2, folder=folder)
        last = sorted(Path(folder).rglob("wave-*.json"))[-1]
        last.unlink()
        again = Paper()
        second = explored(again, varied, wave_responses=2, folder=folder)
        assert len(again.calls) == 1
        assert second.groups == first.groups
        assert second.values["reward_mean"] == first.values["reward_mean"]


def test_dynamic_sampling_asks_further_problems_for_groups_of_equal_rewards():
    def equal_for_odd(problem: Any, completion: Completion) -> float:
        return 1.0 if int(problem.id[1:]) % 2 else varied(problem, completion)

    paper = Paper()
    found = explored(paper, equal_for_odd, max_resampling=9, position=0)
    assert len(found.groups) == 4
    assert all(int(g.problem.id[1:]) % 2 == 0 for g in found.groups)
    asked = sum(len(prompts) for prompts, _ in paper.calls)
    assert found.position == asked > 4
    assert found.values["resampled_groups"] == asked - 4
    seeds = [seed for _, rows in paper.calls for row in rows for seed in row]
    assert len(set(seeds)) == len(seeds), "a problem asked again is answered anew"


def test_dynamic_sampling_gives_up_after_so_many_times():
    paper = Paper()
    found = explored(paper, lambda p, c: 1.0, max_resampling=2)
    assert found.groups == []
    assert len(paper.calls) == 3
    assert found.values["equal_reward_groups"] == 1.0
